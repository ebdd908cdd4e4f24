"""The figures of `evaluate` and the verdicts on them, one by one, where the answer is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from hemocast_training.aims import independent_runs, judge, judged_aims
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
from hemocast_training.radiomics import CACHE_FILE, FEATURES, radiomics, radiomics_matrix
from hemocast_training.simulate import severity
from hemocast_training.volume_ceiling import informed_volumes, volume_ceiling, volumes_of_groups

from synthetic import toy_pair, write_toy_cohort


def test_an_aim_is_met_by_its_whole_interval_or_called_what_it_is():
    figure = {"value": 0.019, "low": 0.01, "high": 0.03}
    assert judge(figure, None, 0.03) == "met" and judge(figure, None, 0.02) == "met in the figure only"
    assert judge(figure, None, 0.018) == "missed" and judge(figure, 0.02, None) == "missed"
    assert judge(figure, 0.01, 0.03) == "met" and judge({"absent": "no such case"}, 0, 1) == judge(None, 0, 1) == "not measured"


def test_of_shifted_cohorts_those_count_whose_intervals_over_heads_hold():
    sure = {"value": 0.05, "low": 0.04, "high": 0.06}
    wide = {"ece": {"value": 0.05, "low": 0.02, "high": 0.09}, "oodFlaggedShare": {"value": 0.1, "low": 0.0, "high": 0.2}}
    flagged = {"ece": {"value": 0.2, "low": 0.1, "high": 0.3}, "oodFlaggedShare": {"value": 0.9, "low": 0.6, "high": 1.0}}
    shifted = {str(n): {"calibratedOn": False, "ece": sure, "overHeads": block} for n, block in enumerate((wide, flagged))}
    aims = {aim["key"]: aim for aim in judged_aims({"shifted": shifted}, {"seed": 1}, {})}
    assert aims["shifted"]["figure"] == {"value": 2, "low": 1, "high": 2} and aims["shifted"]["verdict"] == "met in the figure only"


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
