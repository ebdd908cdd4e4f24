"""What `evaluate` publishes: the figures a release is judged by, its rivals, its misses, and the card for people and machines."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.special import expit

from hemocast_training import evaluate
from hemocast_training.aims import independent_runs, judge
from hemocast_training.__main__ import main
from hemocast_training.bundle import METADATA_FILE, MODEL_FILE, describe_file, write_json
from hemocast_training.data import Cohort
from hemocast_training.evaluation_figures import (
    LIKENESS,
    PICTURES,
    forecast_figures,
    hemorrhages,
    over_heads,
    picture_figures,
    shift_prevalence,
    tasks_disagree,
)
from hemocast_training.generation_figures import case_errors
from hemocast_training.metrics import bootstrap, calibration_line, chance_calibration_error, net_benefit, sensitivity, specificity
from hemocast_training.model_card import checklist_sections
from hemocast_training.model_card_bench import ablations_section
from hemocast_training.panel import SHIFTED_CASE, choose_shifted_case
from hemocast_training.radiomics import CACHE_FILE, FEATURES, radiomics, radiomics_matrix
from hemocast_training.simulate import severity
from hemocast_training.volume_ceiling import informed_volumes, volume_ceiling, volumes_of_groups

from synthetic import toy_pair, write_toy_cohort

SHIPPED = Path(__file__).resolve().parents[2] / "hemocast-tiny"


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohorts")
    for name, count, head in (("train", 50, 1), ("test", 24, 13), ("strange", 20, 14), ("caught", 20, 14)):
        write_toy_cohort(root / name, count, seed=head, head=head)
    write_json(root / "strange" / "cohort.json", {"shift": "hu-offset"})
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
    assert {"ece", "oodFlaggedShare"} <= set(shifted["strange"]["overHeads"])
    assert not shifted["caught"]["miss"] and shifted["caught"]["oodFlaggedShare"]["value"] == 1
    card = (bundle / "docs" / "README.md").read_text()
    assert "**Missed: strange.**" in card and "- **strange**: All HU off by +6 or -6" in card
    for words in ("ResNet-18-3D (not trained (`rivals`)", "base (it was trained on a GPU twice", "no hemorrhage) were not tried", "in new hematoma", "scans are was not measured"):
        assert words in card
    for words in ("radiomics + gradient boosting", "decision-curve.png", "failures.png"):
        assert words in card


def test_an_aim_is_met_by_its_whole_interval_or_called_what_it_is():
    figure = {"value": 0.019, "low": 0.01, "high": 0.03}
    assert judge(figure, None, 0.03) == "met" and judge(figure, None, 0.02) == "met in the figure only"
    assert judge(figure, None, 0.018) == "missed" and judge(figure, 0.02, None) == "missed"
    assert judge(figure, 0.01, 0.03) == "met" and judge({"absent": "no such case"}, 0, 1) == judge(None, 0, 1) == "not measured"


def test_the_card_says_which_aims_are_missed_and_what_they_would_take(evaluation, bundle):
    aims = {aim["key"]: aim for aim in evaluation["aims"]}
    assert aims["gapAuc"]["verdict"] == "met" and "wouldTake" not in aims["gapAuc"]
    assert aims["ece"]["verdict"] == "missed" and aims["ece"]["wouldTake"] == "More heads."
    assert (aims["shifted"]["figure"], aims["shifted"]["low"], aims["shifted"]["verdict"]) == ({"value": 1, "low": 1, "high": 1}, 2, "missed")
    card = (bundle / "docs" / "README.md").read_text()
    assert "| calibration error | at most 0.03 | 0." in card and "- **calibration error**: More heads." in card
    assert json.loads((bundle / "card.json").read_text())["figures"]["aims"] == evaluation["aims"]


def test_trainings_count_as_independent_that_share_neither_start_nor_network():
    alone, started = {"seed": 1}, {"seed": 2, "start": {"name": "hemocast-tiny"}}
    assert independent_runs(alone) == independent_runs({**started, "average_of": [{"seed": 2}, {"seed": 3}]}) == 1
    assert independent_runs({"members": [alone, {"seed": 2}, {"seed": 3}]}) == 3
    assert independent_runs({"members": [started, started, started]}) == 1


def test_intervals_over_heads_are_wider_where_heads_differ_and_absent_where_nothing_can_be_compared():
    """Two heads: on one the network knows every outcome and volume, on the other none. No case is a hematoma."""
    rng, count = np.random.default_rng(0), 200
    labels, heads = rng.integers(0, 2, count), np.repeat([13, 14], count // 2)
    values = {"label": labels, "bayes": labels.astype(float), "head": heads, "kind": np.zeros(count, int), "group": np.ones(count, int)}
    ours = np.where(heads == 13, labels, 0.5)
    still = {f"{name}.{key}": 1.0 for name in PICTURES for key in ("mae_hot_8mm", "volume_error", "ssim")}
    errors = [
        {**still, "hemocast.mae_hot_8mm": float(head == 14), "hemocast.volume_error": float(head == 14), "hemocast.ring_bias": 0.0,
         "hemocast.ssim": 0.9, "true_ml": 0.5}
        for head in heads
    ]
    cohort = SimpleNamespace(values=values.__getitem__)
    figures = over_heads(cohort, {"probability": ours, "errors": errors}, {"rival": np.full(count, 0.5)}, 200)
    over_cases = bootstrap(lambda i: float((heads[i] == 14).mean()), count, 1, 200)
    assert (figures["volumeErrorRatio"]["low"], figures["volumeErrorRatio"]["high"]) == (0, 1) and over_cases["low"] > 0.4
    assert figures["hemocastGain"]["rival"]["auc"]["value"] == pytest.approx(figures["auc"]["value"] - 0.5)
    assert figures["hemocastGain"]["no_blood_anywhere"]["volumeErrorMl"] == {"value": 0.0, "low": -0.5, "high": 0.5, "n": count}
    # Its calibration is perfect on one head and as good as chance on the other.
    assert figures["ece"]["low"] < 0.01
    assert figures["phVolumeErrorRatio"]["n"] == 0 and "absent" in figures["phVolumeErrorRatio"]


def test_a_volume_is_forecast_by_its_median_which_holds_a_new_hematoma_only_where_that_is_likely():
    """Three patients in four do not bleed or bleed petechiae; the fourth bleeds surely, and with its deep, dense staining most likely a
    hematoma."""
    mild, grave = np.zeros(6), np.full(6, 2.0)
    assert severity.hematoma_share(mild) < 0.3 and severity.hematoma_share(grave) > 0.6
    kind, true = np.tile([0, 0, 1, 2], 50), np.tile([1.0, 1.0, 3.0, 21.0], 50)
    values = {"kind": kind, "group": np.ones(200, int), "bayes": np.where(kind == 2, 1.0, 0.3)}
    cohort = SimpleNamespace(values=values.__getitem__, measures=[grave if k == 2 else mild for k in kind])
    errors = [{"true_ml": volume, "no_change.volume_error": 10.0} for volume in true]
    volumes = informed_volumes(cohort, errors, volumes_of_groups(cohort, errors))
    assert (volumes[kind < 2] == 1).all() and (volumes[kind == 2] > 6).all()
    ratios = volume_ceiling(cohort, errors, 20)
    assert ratios["hiVolumeErrorRatio"]["value"] == pytest.approx(0.2)
    assert ratios["phNewVolumeErrorRatio"]["value"] == pytest.approx(np.abs(volumes[kind == 2] - 21).mean() / 10, abs=1e-3)


def test_where_blood_shows_the_volume_is_taken_as_known_and_without_petechial_cases_nothing_is_forecast():
    values = {"kind": np.array([0, 1, 2]), "group": np.array([1, 1, 2]), "bayes": np.array([0.5, 0.5, 1.0])}
    cohort = SimpleNamespace(values=values.__getitem__, measures=np.zeros((3, 6)))
    errors = [{"true_ml": volume, "no_change.volume_error": 1.0} for volume in (0.5, 3.0, 21.0)]
    assert informed_volumes(cohort, errors, volumes_of_groups(cohort, errors))[2] == 21
    values["kind"] = np.array([0, 0, 2])
    assert volume_ceiling(cohort, errors, 20) == {}


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


def test_an_interval_over_heads_holds_how_far_heads_differ():
    right = np.concatenate([np.ones(500), np.zeros(500)])  # always right on one head, never on the other
    heads = np.repeat([13, 14], 500)
    over_cases = bootstrap(lambda i: float(right[i].mean()), 1000, 1, 200)
    over_heads = bootstrap(lambda i: float(right[i].mean()), 1000, 1, 200, heads=heads)
    assert over_cases["value"] == over_heads["value"] == 0.5
    assert over_cases["low"] > 0.4 and over_cases["high"] < 0.6
    assert (over_heads["low"], over_heads["high"]) == (0, 1)


def test_the_tasks_contradict_each_other_where_one_sees_blood_and_the_other_none():
    def case(before, drawn):
        return {"no_change.volume_ml": before, "hemocast.volume_ml": drawn}

    errors = [case(2.0, 3.1), case(2.0, 2.9), case(5.0, 0.05), case(5.0, 0.5), case(0.0, 0.0)]
    assert tasks_disagree(np.array([0.1, 0.1, 0.9, 0.9, 0.5]), errors).tolist() == [True, False, True, False, False]


def test_a_probability_is_shifted_to_another_prevalence_by_its_odds():
    assert shift_prevalence(np.array([0.5]), 0.5, 0.35) == pytest.approx(0.35)
    assert shift_prevalence(np.array([0.62]), 0.4456, 0.4456) == pytest.approx(0.62)


def test_radiomics_measure_the_same_on_a_mirrored_head_and_more_on_a_brighter_one():
    pair = toy_pair(np.random.default_rng(3))
    image, inside = pair["initial"], pair["initial"] < 200
    inside &= np.abs(image) < 200
    found = np.array(radiomics(image, inside))
    assert found.shape == (len(FEATURES),) and np.isfinite(found).all()
    assert radiomics(image[:, :, ::-1], inside[:, :, ::-1]) == pytest.approx(found, rel=0.02, abs=0.05)
    brighter = np.array(radiomics(np.where(image > 45, image + 20, image), inside))
    assert (brighter[:5] >= found[:5]).all() and brighter[4] > found[4]
    assert len(radiomics(np.full(image.shape, 30, np.int16), np.zeros(image.shape, bool))) == len(FEATURES)


def test_cached_radiomics_belong_to_the_very_images(tmp_path):
    cohort = Cohort(write_toy_cohort(tmp_path, 2, seed=5))
    first = radiomics_matrix(cohort)
    written = (tmp_path / CACHE_FILE).stat().st_mtime_ns
    assert (radiomics_matrix(cohort) == first).all() and (tmp_path / CACHE_FILE).stat().st_mtime_ns == written
    cohort.initial[1] = np.where(cohort.initial[1] > 45, cohort.initial[1] + 20, cohort.initial[1])
    again = radiomics_matrix(cohort)
    assert (again[0] == first[0]).all() and (again[1] != first[1]).any()


def test_kinds_of_hemorrhage_are_the_simulators_own_and_a_new_hematoma_showed_no_blood(tmp_path):
    cohort = Cohort(write_toy_cohort(tmp_path, 4, seed=5))
    cohort.scalars["kind"], cohort.scalars["group"] = [0, 1, 2, 2], [0, 1, 1, 2]
    found = {name: chosen.tolist() for name, chosen in hemorrhages(cohort).items()}
    assert found == {"hi": [False, True, False, False], "ph": [False, False, True, True], "phNew": [False, False, True, False]}


def test_the_interval_of_a_calibration_error_is_around_it():
    rng = np.random.default_rng(1)
    forecast = rng.uniform(size=300)
    found = forecast_figures((rng.uniform(size=300) < forecast).astype(int), forecast, 400)["ece"]
    assert 0 <= found["low"] < found["value"] < found["high"]


def test_a_ratio_without_cases_says_so(tmp_path):
    errors = [{f"no_change.{key}": 1.0 for key in ("mae_hot_8mm", "ring_bias", "volume_error", *LIKENESS.values())}] * 4
    assert "absent" in picture_figures(errors, {"ph": np.zeros(4, bool)}, "no_change", 20)["phVolumeErrorRatio"]


def test_a_picture_off_by_twelve_hu_has_twenty_decibels_and_one_that_is_true_is_wholly_alike():
    image, inside = np.full((24, 128, 128), 30.0), np.zeros((24, 128, 128), bool)
    inside[4:20, 20:100, 20:100] = True
    image[10:13, 50:70, 50:70] = 80.0
    truth = np.where(image > 50, 40.0, image)
    exact, off = case_errors(image, truth, truth, inside), case_errors(image, truth + 12.0, truth, inside)
    assert [exact[f"hemocast.{key}"] for key in ("psnr", "psnr_hot_8mm")] == [100, 100]
    assert [off[f"hemocast.{key}"] for key in ("psnr", "psnr_hot_8mm")] == pytest.approx([20, 20], abs=1e-3)
    for place in ("", "_hot_8mm"):
        assert exact[f"hemocast.ssim{place}"] == pytest.approx(1, abs=1e-3) and off[f"hemocast.ssim{place}"] < 0.99
    assert exact["no_change.ssim_hot_8mm"] < exact["no_change.ssim"]
    cold = case_errors(np.minimum(image, 40.0), truth, truth, inside)
    assert np.isnan(cold["hemocast.psnr_hot_8mm"]) and np.isnan(cold["hemocast.ssim_hot_8mm"])


def test_net_benefit_sensitivity_and_specificity_are_those_of_the_textbook():
    labels, forecast = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.3, 0.6, 0.2, 0.5])
    assert net_benefit(labels, forecast, 0.25) == pytest.approx(2 / 5 - 2 / 5 / 3)
    assert sensitivity(labels, forecast) == 0.5
    assert specificity(labels, forecast) == pytest.approx(2 / 3)


def test_the_calibration_line_finds_forecasts_that_are_too_extreme_or_too_low():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, 20_000)
    labels = rng.random(20_000) < expit(logits)
    assert np.allclose(calibration_line(labels, expit(logits)), (1, 0), atol=0.06)
    assert abs(calibration_line(labels, expit(2 * logits))[0] - 0.5) < 0.03
    assert abs(calibration_line(labels, expit(logits - 1), fixed_slope=True)[1] - 1) < 0.06
    with pytest.raises(ValueError):
        calibration_line(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))


def test_chance_alone_gives_a_perfect_forecast_a_calibration_error():
    """0.024 by the formula: 0.8 times the standard error of a frequency of 0.1 in bins of 100."""
    assert abs(chance_calibration_error(np.full(1000, 0.1), seed=1) - 0.8 * 0.03) < 0.003


def test_a_shifted_cohort_needs_a_name(tmp_path, capsys):
    (tmp_path / "configs").mkdir()
    (tmp_path / METADATA_FILE).write_text('{"files": {}}')
    assert main(["evaluate", "--bundle", str(tmp_path), "--cohort", "x", "--shifted", "cohorts/low-dose"]) == 1
    assert "NAME=DIR" in capsys.readouterr().err
