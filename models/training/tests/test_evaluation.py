"""What `evaluate` publishes: the figures a release is judged by, its rivals, its misses, and the card for people and machines."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread

from hemocast_training import evaluate
from hemocast_training.__main__ import main
from hemocast_training.bundle import METADATA_FILE, MODEL_FILE, describe_file, write_json
from hemocast_training.data import Cohort
from hemocast_training.generation_figures import case_errors
from hemocast_training.model_card import checklist_sections
from hemocast_training.model_card_bench import ablations_section
from hemocast_training.panel import SHIFTED_CASE, choose_shifted_case

from synthetic import write_toy_cohort

SHIPPED = Path(__file__).resolve().parents[2] / "hemocast-tiny"


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohorts")
    for name, count, head in (("train", 50, 1), ("test", 24, 13), ("strange", 20, 14), ("caught", 20, 14)):
        write_toy_cohort(root / name, count, seed=head, head=head)
    write_json(root / "strange" / "cohort.json", {"shift": "hu-offset"})
    write_json(root / "caught" / "cohort.json", {"prevalence_mix": "all-comers"})
    return root


def oracle(bundle, cohort, pictures=None):
    """Knows the truth on the test heads; on `strange` and `caught` it is sure of nothing but hemorrhage."""
    lost = cohort.folder.name != "test"
    labels, count = cohort.values("label"), len(cohort)
    truth = [volume.astype(np.float32) for volume in cohort.follow_up]
    return {
        "probability": np.full(count, 0.95) if lost else np.where(labels == 1, 0.9, 0.1),
        "ood_score": np.full(count, 9.0 if cohort.folder.name == "caught" else 0.0),
        "errors": [case_errors(cohort.initial[i], truth[i], truth[i], cohort.mask(i)) for i in range(count)],
        "follow_up": cohort.follow_up,
        "attention": [np.ones((24, 32, 32), np.float16)] * count,
    }


@pytest.fixture(scope="module")
def bundle(cohorts, tmp_path_factory):
    """An evaluated bundle whose network is the oracle."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "models").mkdir()
    (folder / MODEL_FILE).write_bytes(b"not read")
    metadata = json.loads((SHIPPED / METADATA_FILE).read_text())
    metadata["calibration"].setdefault("bias", 0.0)
    metadata["files"] = {MODEL_FILE: describe_file(folder / MODEL_FILE)}
    write_json(folder / METADATA_FILE, metadata)
    ablation = {"no_gradnorm": {"n": 24, "simulator": "0.1.0", "auc": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    (folder / "ablations.json").write_text(json.dumps(ablation))
    paths = {name: str(cohorts / name) for name in ("train", "test", "strange", "caught")}
    command = ["evaluate", "--bundle", str(folder), "--cohort", paths["test"], "--train", paths["train"], "--resamples", "40"]
    command += ["--shifted", f"strange={paths['strange']}", "--shifted", f"caught={paths['caught']}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "predict", oracle)
        (folder / "aims.json").write_text(json.dumps({"gapAuc": "Nothing more.", "ece": "More heads."}))
        assert main([*command, "--ablations", str(folder / "ablations.json"), "--aims", str(folder / "aims.json")]) == 0
    return folder


@pytest.fixture(scope="module")
def evaluation(bundle):
    return json.loads((bundle / "evaluation.json").read_text())


def test_a_network_that_knows_the_truth_gets_the_best_figures(evaluation):
    figures = evaluation["inDistribution"]
    assert figures["n"] == 24 and figures["seeds"] == [0, 23] and figures["date"] == evaluation["date"]
    for name, best in (("auc", 1), ("accuracy", 1), ("brier", 0.01), ("sensitivity", 1), ("specificity", 1)):
        assert figures[name]["value"] == pytest.approx(best), name
    assert 0.05 < figures["ece"]["value"] <= 0.1  # it says 0.9 and 0.1 where it could say 1 and 0
    for name in ("lesionMaeRatio", "ringBiasHu", "volumeErrorRatio", "phVolumeErrorRatio"):
        assert figures[name]["value"] == figures[name]["low"] == figures[name]["high"] == 0, name
    assert figures["ssim"]["value"] == pytest.approx(1, abs=0.001)
    assert figures["ssimNoChange"]["high"] < 1 and figures["ssimGain"]["low"] > 0
    assert evaluation["ceiling"]["auc"]["value"] == 1 and figures["gapToCeiling"]["auc"]["value"] == 0
    assert figures["overHeads"]["heads"] == 1 and figures["overHeads"]["auc"]["value"] == 1
    clustered = figures["overHeads"]
    for name in ("lesionMaeRatio", "ringBiasHu", "volumeErrorRatio", "phVolumeErrorRatio"):
        assert clustered[name]["value"] == 0, name
    assert clustered["ssim"]["value"] > clustered["ssimNoChange"]["value"] and clustered["hemocastGain"]["no_change"]["ssim"]["low"] > 0
    assert clustered["ece"]["value"] == figures["ece"]["value"] and clustered["ceiling"]["auc"]["value"] == 1
    for name, better in (("cap_at_40", "lesionMaeHu"), ("no_blood_anywhere", "volumeErrorMl")):
        assert clustered["hemocastGain"][name][better]["value"] == evaluation["baselines"][name]["hemocastGain"][better]["value"] < 0
    gain = clustered["hemocastGain"]["radiomics_boosting"]["auc"]
    assert gain["value"] == evaluation["baselines"]["radiomics_boosting"]["hemocastGain"]["auc"]["value"]


def test_every_rival_stands_beside_it_or_says_why_it_was_not_run(evaluation):
    baselines = evaluation["baselines"]
    for name in ("radiomics_regression", "radiomics_boosting", "radiomics_regression_true_probability"):
        assert baselines[name]["trainedOn"]["n"] > 0
        gain = baselines[name]["hemocastGain"]["auc"]
        assert gain["value"] == pytest.approx(1 - baselines[name]["auc"]["value"], abs=2e-4) and gain["low"] >= 0
        assert baselines[name]["auc"]["value"] > 0.7  # the toy's outcome is its density
    assert baselines["no_change"]["lesionMaeRatio"]["value"] == 1
    assert baselines["no_change"]["hemocastGain"]["lesionMaeHu"]["high"] < 0
    assert baselines["no_blood_anywhere"]["volumeErrorRatio"]["value"] == baselines["cap_at_40"]["volumeErrorRatio"]["value"]
    assert baselines["pix2pix"] == {"status": "not run", "reason": "not trained (`rivals`)"}
    assert evaluation["ablations"]["no_gradnorm"]["n"] == 24
    assert evaluation["ablations"]["no_self_attention"]["status"] == "not run"


def test_a_figure_of_another_simulator_is_not_read_beside_the_others_as_if_it_were_of_the_same(bundle, evaluation):
    assert "n = 24 test cases, of simulator 0.1.0 (the figures above: not known)." in (bundle / "docs" / "README.md").read_text()
    both = {"inDistribution": {"simulator": "0.2.0"}, "ablations": {"full": {"n": 24, "simulator": "0.2.0"}}}
    assert "n = 24 test cases. Intervals" in ablations_section(both)
    assert "of simulator not known" in ablations_section({**both, "ablations": {"full": {"n": 24}}})


def test_ablations_that_are_run_later_join_what_was_measured_of_the_same_network_only(bundle, evaluation, tmp_path, capsys):
    later = tmp_path / "bundle"
    shutil.copytree(bundle, later)
    ablation = {"generation_only": {"n": 24, "lesionMaeRatio": {"value": 0.7, "low": 0.6, "high": 0.8}}}
    (later / "ablations.json").write_text(json.dumps(ablation))
    command = ["evaluate", "--bundle", str(later), "--keep", "--ablations", str(later / "ablations.json"), "--aims", str(later / "aims.json")]
    assert main(command) == 0
    found = json.loads((later / "evaluation.json").read_text())
    assert found["ablations"]["generation_only"] == ablation["generation_only"]
    assert {**found, "ablations": evaluation["ablations"]} == evaluation
    assert "| generation only |" in (later / "docs" / "README.md").read_text()
    longer = {"generation_only": {**ablation["generation_only"], "n": 25, "trainingPairs": 3000}}
    (later / "longer.json").write_text(json.dumps(longer))
    assert main([*command, "--ablations", str(later / "longer.json")]) == 0
    found = json.loads((later / "evaluation.json").read_text())
    assert found["ablations"]["generation_only_3000_pairs"] == longer["generation_only"]
    assert found["ablations"]["generation_only"] == ablation["generation_only"]
    card = (later / "docs" / "README.md").read_text().split("saw 3000 pairs")
    assert all("| generation only |" in part for part in card) and "n = 25 test cases" in card[1]
    assert main(command) == 0
    found = json.loads((later / "evaluation.json").read_text())

    forecasts = {"as it is": (0.1, 0.6), "4 HU higher": (0.8, 1.1), "mirrored": (0.05, 0.7)}
    series = {"a head": {change: {"probability": p, "ood_score": ood} for change, (p, ood) in forecasts.items()}}
    steadiness = {"bundle": found["bundle"], "series": series}
    for measured, ended in ((steadiness, 0), ({**steadiness, "bundle": {"sha256": "of another network"}}, 1)):
        write_json(later / "steadiness.json", measured)
        assert main([*command, "--steadiness", str(later / "steadiness.json")]) == ended
    assert "steadiness.json was measured with another model.onnx" in capsys.readouterr().err
    found = json.loads((later / "evaluation.json").read_text())
    assert found["steadiness"] == json.loads((later / "card.json").read_text())["figures"]["steadiness"] == steadiness
    assert "| a head | 0.10 | 0.05 (mirrored) | 0.80 (4 HU higher) | 0.60 |" in (later / "docs" / "README.md").read_text()

    interval = {"value": 0.7, "low": 0.6, "high": 0.8}
    as_long = {"asLongGain": {"auc": {"value": 0.05, "low": -0.01, "high": 0.1}}}
    block = {"n": 24, "trainingPairs": 2400, "trainedOn": {"n": 1200}, "parameters": 33e6, "auc": interval, "hemocastGain": {"auc": interval}, **as_long}
    rivals = {"bundle": found["bundle"], "baselines": {"resnet18_3d": block}}
    for measured, ended in ((rivals, 0), ({**rivals, "bundle": {"sha256": "of another network"}}, 1)):
        write_json(later / "rivals.json", measured)
        assert main([*command, "--rivals", str(later / "rivals.json")]) == ended
    assert "rivals.json holds them against another model.onnx" in capsys.readouterr().err
    found = json.loads((later / "evaluation.json").read_text())
    assert found["baselines"]["resnet18_3d"] == block
    assert "| ResNet-18-3D | 33.0 M | 0.700 (0.600 to 0.800) | 0.050 (-0.010 to 0.100) | 0.700" in (later / "docs" / "README.md").read_text()

    assert main(command[:4]) == 1
    assert "--ablations" in capsys.readouterr().err
    assert json.loads((later / "evaluation.json").read_text()) == found

    found["bundle"]["sha256"] = "of another network"
    write_json(later / "evaluation.json", found)
    assert main(command) == 1
    assert "another model.onnx" in capsys.readouterr().err


def test_a_shift_that_is_neither_calibrated_nor_flagged_is_called_a_miss(evaluation, bundle):
    shifted = evaluation["shifted"]
    assert shifted["strange"]["miss"] and shifted["strange"]["oodFlaggedShare"]["value"] == 0
    assert not shifted["caught"]["miss"] and shifted["caught"]["oodFlaggedShare"]["value"] == 1
    card = (bundle / "docs" / "README.md").read_text()
    assert "**Missed: strange.**" in card and "- **strange**: All HU off by +6 or -6" in card
    bled = shifted["caught"]["departs"].split("; ")[1]
    assert 0 < int(bled.split("%")[0]) < 100 and f"- **caught**: The case mix of all comers; {bled}" in card
    for words in ("ResNet-18-3D (not trained (`rivals`)", "base (it was trained on a GPU twice", "no hemorrhage) were not tried", "in new hematoma", "scans are was not measured"):
        assert words in card
    for words in ("radiomics + gradient boosting", "decision-curve.png", "failures.png"):
        assert words in card


def test_the_card_says_which_aims_are_missed_and_what_they_would_take(evaluation, bundle):
    aims = {aim["key"]: aim for aim in evaluation["aims"]}
    assert aims["gapAuc"]["verdict"] == "met" and "wouldTake" not in aims["gapAuc"]
    assert aims["ece"]["verdict"] == "missed" and aims["ece"]["wouldTake"] == "More heads."
    assert (aims["shifted"]["figure"], aims["shifted"]["low"], aims["shifted"]["verdict"]) == ({"value": 1, "low": 1, "high": 1}, 2, "missed")
    card = (bundle / "docs" / "README.md").read_text()
    assert "| calibration error | at most 0.03 | 0." in card and "- **calibration error**: More heads." in card
    assert json.loads((bundle / "card.json").read_text())["figures"]["aims"] == evaluation["aims"]


def test_the_card_shows_curves_and_one_case_of_every_shifted_cohort_and_says_which(bundle):
    card = (bundle / "docs" / "README.md").read_text()
    for name in ("shifted.png", "shifted-panel.png"):
        assert f"]({name})" in card and min(imread(bundle / "docs" / name).shape[:2]) > 200
    assert SHIFTED_CASE in card


def test_without_shifted_cohorts_no_picture_of_an_earlier_evaluation_stays(tmp_path):
    (tmp_path / "docs").mkdir()
    for name in ("shifted.png", "shifted-panel.png"):
        (tmp_path / "docs" / name).write_bytes(b"of an earlier evaluation")
    evaluate.draw_shifted(tmp_path, {})
    assert not list((tmp_path / "docs").iterdir())


def test_the_case_shown_is_the_first_that_bled_from_staining_or_the_first_that_bled():
    values = {"label": np.array([0, 1, 1, 1]), "group": np.array([1, 2, 1, 1])}
    assert choose_shifted_case(SimpleNamespace(values=values.__getitem__)) == 2
    values["group"] = np.array([1, 2, 2, 2])
    assert choose_shifted_case(SimpleNamespace(values=values.__getitem__)) == 1


def test_of_a_shifted_cohort_only_the_pictures_of_the_case_shown_are_kept(cohorts, monkeypatch):
    outputs = {"logit": [0.0], "probability": [0.5], "ood_score": [0.0], "attention": np.ones((1, 24, 32, 32), np.float32)}
    monkeypatch.setattr(evaluate, "open_session", lambda path: None)
    monkeypatch.setattr(evaluate, "infer", lambda session, image: {**outputs, "follow_up": image})
    found = evaluate.predict(Path("no bundle"), Cohort(str(cohorts / "strange"), limit=4), pictures=[2])
    assert list(found["follow_up"]) == list(found["attention"]) == [2] and len(found["errors"]) == len(found["probability"]) >= 4


def test_the_card_for_machines_answers_all_31_source_attributes_or_says_why_not(evaluation, bundle):
    card = json.loads((bundle / "card.json").read_text())
    assert len({found["id"] for found in card["sourceAttributes"]}) == 31
    assert len(card["tripodAi"]) == 52 and len(card["claim"]) == 44
    people = (bundle / "docs" / "README.md").read_text()
    assert all(section in people for section in checklist_sections(json.loads((bundle / METADATA_FILE).read_text()), evaluation))
    for found in (*card["sourceAttributes"], *card["tripodAi"], *card["claim"]):
        assert found["value"] and (found["value"] == "not available") == bool(found.get("why")), found
    assert card["figures"]["inDistribution"] == evaluation["inDistribution"]


def test_a_shifted_cohort_needs_a_name(tmp_path, capsys):
    (tmp_path / "configs").mkdir()
    (tmp_path / METADATA_FILE).write_text('{"files": {}}')
    assert main(["evaluate", "--bundle", str(tmp_path), "--cohort", "x", "--shifted", "cohorts/low-dose"]) == 1
    assert "NAME=DIR" in capsys.readouterr().err
