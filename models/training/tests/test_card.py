"""The checklists of the model card: complete, of one mind with metadata and evaluation, the same for people and machines."""

import copy
import json
from pathlib import Path

import pytest

from hemocast_training.card_attributes import NOT_AVAILABLE, PARAGRAPH
from hemocast_training.card_json import checklists, write_card_json
from hemocast_training.model_card import CHECKLISTS, calibration_section, checklist_section, checklist_sections, escaped
from hemocast_training.site_card import write_site_card

BUNDLE = Path(__file__).resolve().parents[2] / "hemocast-tiny"
NAMED = {"name": "hemocast-tiny", "version": "0.3.1", "training_data": "5050 simulated pairs."}
TRIPOD_PARTS = {3: 3, 5: 2, 6: 3, 8: 3, 9: 3, 12: 7, 18: 6, 20: 3, 23: 2, 27: 3}


@pytest.fixture
def metadata():
    return json.loads((BUNDLE / "configs" / "metadata.json").read_text())


@pytest.fixture
def evaluation():
    return json.loads((BUNDLE / "evaluation.json").read_text())


def said(metadata, evaluation, checklist, number):
    """Value and reason of one record."""
    found = next(found for found in checklists(metadata, evaluation)[checklist] if found["id"] == number)
    return f"{found['value']} {found.get('why', '')}"


def whole(metadata, evaluation):
    """All sections of docs/README.md that speak of what is strange or answer a checklist."""
    return "\n".join([calibration_section(metadata, evaluation), *checklist_sections(metadata, evaluation)])


def test_every_item_of_each_checklist_is_there_once_and_answered_or_says_why_not(metadata, evaluation):
    lists = checklists(metadata, evaluation)
    numbers = {key: [found["id"] for found in records] for key, records in lists.items()}
    tripod = [f"{item}{part}" for item in range(1, 28) for part in ("abcdefg"[: TRIPOD_PARTS[item]] if item in TRIPOD_PARTS else [""])]
    assert numbers["tripodAi"] == tripod and len(tripod) == 52
    assert numbers["claim"] == [str(number) for number in range(1, 45)]
    assert len(set(numbers["sourceAttributes"])) == len(numbers["sourceAttributes"]) == 31
    for found in (found for records in lists.values() for found in records):
        assert found["title"].strip() and found["value"].strip(), found
        assert (found["value"] == NOT_AVAILABLE) == bool(found.get("why", "").strip()), found


def test_records_are_words_and_no_python_objects(metadata, evaluation):
    evaluation["cohort"]["groups"] = {"none": 171, "stain": 664, "blood": 165}
    for found in (found for records in checklists(metadata, evaluation).values() for found in records):
        assert not set("{}[]") & set(found["value"] + found.get("why", "")), found
    assert "171 without hyperdensity, 664 with staining only and 165 with visible blood" in said(metadata, evaluation, "tripodAi", "20b")


def test_the_tables_for_people_hold_the_records_for_machines(metadata, evaluation, tmp_path):
    write_card_json(tmp_path, metadata, evaluation)
    card = json.loads((tmp_path / "card.json").read_text())
    sections = dict(zip(CHECKLISTS, checklist_sections(metadata, evaluation)))
    for key, section in sections.items():
        rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
        assert len(rows) == len(card[key])
        for row, found in zip(rows, card[key]):
            item, answered = row[2:-2].split(" | ")
            assert item == f"{found['id'].removeprefix(PARAGRAPH)} {escaped(found['title'])}"
            assert answered.startswith(escaped(found["value"])) and escaped(found.get("why", "")) in answered


def test_a_cell_stays_a_cell_whatever_stands_in_it():
    section = checklist_section("Title", [{"id": "1", "title": "a|b", "value": "x | y\n<b>z</b> \\"}])
    assert section.splitlines()[-1] == "| 1 a\\|b | x \\| y \\<b>z\\</b> \\\\ |"


def test_a_scan_is_called_refused_only_where_the_metadata_let_the_service_refuse_it(metadata, evaluation):
    metadata["ood"] = {"threshold": 0.5, "quantile": 0.99, "action": "flag", "refuse_above": 2.0}
    assert "above 0.50 is flagged, one above 2.00 is refused" in said(metadata, evaluation, "sourceAttributes", f"{PARAGRAPH}(3)(ii)")
    assert whole(metadata, evaluation).count("one above 2.00 is refused") == 3
    del metadata["ood"]["refuse_above"]
    text = whole(metadata, evaluation)
    assert text.count("above 0.50 is flagged") == 3 and "refused" not in text
    metadata["ood"]["action"] = "refuse"
    text = whole(metadata, evaluation)
    assert text.count("above 0.50 is refused") == 3 and "flagged, " not in text


def test_the_card_of_a_site_says_refused_under_the_same_condition(metadata, tmp_path):
    figure = {"value": 0.7, "low": 0.6, "high": 0.8}
    figures = {name: figure for name in ("auc", "accuracy", "brier", "ece", "calibration_slope", "mean_excess")}
    evaluation = {
        "cohort": {"folds": 5, "pairs": 30, "patients": 30, "bled": 12},
        "date": "2026-01-01",
        "finetuned": figures,
        "before_finetuning": figures,
        "gain": {"auc": figure},
        "generation": {"mae_hot_8mm_over_no_change": None, "pairs_with_hot_region": 1},
    }
    metadata["training"]["final_steps"] = 10
    for above, word in ((2.0, "one above 2.00 is refused"), (None, "no scan is turned away")):
        metadata["ood"] = {"threshold": 0.5, "quantile": 0.99, "action": "flag", **({"refuse_above": above} if above else {})}
        write_site_card(tmp_path, metadata, evaluation)
        text = (tmp_path / "docs" / "README.md").read_text()
        assert word in text and ("refused" in text) == bool(above)


def test_an_update_names_what_it_went_on_from_and_a_first_training_says_that_it_is_none(metadata, evaluation):
    metadata["training"]["start"] = NAMED
    assert "hemocast-tiny 0.3.1" in said(metadata, evaluation, "tripodAi", "24")
    for checklist, number in (("tripodAi", "10"), ("tripodAi", "21"), ("claim", "21"), ("claim", "24")):
        assert "hemocast-tiny 0.3.1" in said(metadata, evaluation, checklist, number)
    assert "not an update" not in whole(metadata, evaluation)
    metadata["training"]["start"] = {**NAMED, "name": "run6", "version": "run"}
    assert "the training run named run6 " in said(metadata, evaluation, "tripodAi", "24")
    for none in (None, {}):
        first = copy.deepcopy(metadata)
        first["training"]["start"] = none
        assert "not an update" in said(first, evaluation, "tripodAi", "24")
        assert "went on from" not in "".join(found["value"] for found in checklists(first, evaluation)["tripodAi"] if found["id"] != "5a")
        assert said(first, evaluation, "claim", "24").startswith("Random")


def test_every_use_of_the_test_heads_is_named_and_only_those_that_took_place(metadata, evaluation):
    evaluation["cohort"]["heads"] = [13, 14]
    evaluation["ablations"], evaluation["conditional"] = {"full": {"n": 500}}, {"n": 600}
    for checklist, number in (("tripodAi", "12a"), ("claim", "19")):
        words = said(metadata, evaluation, checklist, number)
        assert "heads 13 and 14 test" in words and "nothing calibrated" in words
        for use in ("the evaluation", "the start check", "the parity check", "the ablations", "conditional pictures"):
            assert use in words
    evaluation["ablations"] = {"full": {"status": "not run", "reason": "not run"}}
    evaluation["conditional"] = {"status": "not run", "reason": "not run"}
    words = said(metadata, evaluation, "tripodAi", "12a")
    assert "ablations" not in words and "conditional" not in words


def test_the_curves_are_those_of_the_run_that_is_in_the_picture(metadata, evaluation):
    metadata["training"].update(average_of=[{"seed": 7}, {"seed": 8}], start=NAMED, members=[])
    assert "the first of the averaged runs, with the mean as its last point" in said(metadata, evaluation, "claim", "25")
    metadata["training"]["average_of"] = None
    assert "the last run only, not of the training it went on from" in said(metadata, evaluation, "claim", "25")
    metadata["training"]["start"] = None
    assert said(metadata, evaluation, "claim", "25").rstrip().endswith("the last run only.")


def test_the_calibration_is_named_as_the_metadata_names_it(metadata, evaluation):
    metadata["calibration"]["method"] = "temperature and bias"
    assert "temperature and bias fitted on validation heads" in said(metadata, evaluation, "tripodAi", "12c")
    assert "temperature scaling" not in whole(metadata, evaluation)
