"""Figures of merit and calibration on forecasts whose truth is known."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from hemocast_training.calibrate import REFITS, calibrate, fit_temperature
from hemocast_training.metrics import auc, bootstrap, brier, calibration_error, negative_log_likelihood


def overconfident(count: int = 400, seed: int = 0):
    """Labels drawn from sigmoid(z), logits reported as 2.5 z."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, count)
    return (rng.random(count) < expit(z)).astype(float), 2.5 * z


def test_the_auc_is_the_one_of_scikit_learn_ties_included():
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(0, 2, 300), rng.integers(0, 8, 300)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_an_auc_of_one_class_is_refused():
    with pytest.raises(ValueError, match="both classes"):
        auc(np.ones(5), np.arange(5))


def test_a_bootstrap_interval_holds_its_value_and_is_repeatable():
    labels, logits = overconfident()
    first = bootstrap(lambda i: auc(labels[i], logits[i]), len(labels), seed=3, resamples=200)
    assert first["low"] < first["value"] < first["high"]
    assert first == bootstrap(lambda i: auc(labels[i], logits[i]), len(labels), seed=3, resamples=200)


def test_calibration_finds_the_overconfidence_and_lowers_cross_entropy_brier_and_ece():
    labels, logits = overconfident()
    calibration = calibrate(labels, logits, np.arange(len(labels)) % 2)
    assert calibration.temperature == pytest.approx(2.5, rel=0.25)
    assert calibration.figures["nll_after"] < calibration.figures["nll_before"]
    assert calibration.figures["ece_after"] < calibration.figures["ece_before"]
    fresh_labels, fresh = overconfident(seed=7)
    before, after = expit(fresh), expit(fresh / calibration.temperature)
    assert negative_log_likelihood(fresh_labels, fresh / calibration.temperature) < negative_log_likelihood(
        fresh_labels, fresh
    )
    assert brier(fresh_labels, after) < brier(fresh_labels, before)
    assert calibration_error(fresh_labels, after) < calibration_error(fresh_labels, before)


def test_the_interval_holds_the_calibrated_probability_and_narrows_with_more_cases():
    def width(count: int) -> float:
        labels, logits = overconfident(count)
        calibration = calibrate(labels, logits, np.zeros(count))
        assert len(calibration.affine) == REFITS
        refits = [expit(a * 2.0 + b) for a, b in calibration.affine]
        low, high = np.quantile(refits, [0.05, 0.95])
        assert low < expit(2.0 / calibration.temperature + calibration.bias) < high
        return high - low

    assert width(800) < 0.7 * width(100)


def test_the_interval_holds_the_probability_also_where_every_forecast_was_too_high():
    labels, logits = overconfident()
    shifted = logits + 1.5
    calibration = calibrate(labels, shifted, np.zeros(len(labels)))
    assert calibration.bias < -0.2
    for logit in (-3.0, 0.0, 1.5, 4.0):
        low, high = np.quantile([expit(a * logit + b) for a, b in calibration.affine], [0.05, 0.95])
        assert low < expit(logit / calibration.temperature + calibration.bias) < high


def test_the_interval_says_what_it_does_not_cover():
    labels, logits = overconfident()
    few = calibrate(labels, logits, np.arange(len(labels)) % 2).method
    assert "2 head anatomies" in few and "not differences between anatomies" in few
    many = calibrate(labels, logits, np.arange(len(labels)) % 12).method
    assert "whole heads (12)" in many


def test_a_separable_validation_set_gives_a_finite_temperature():
    labels = np.repeat([0.0, 1.0], 20)
    temperature = fit_temperature(labels, np.where(labels == 1, 3.0, -3.0))
    assert 0.2 <= temperature <= 5


def test_too_few_cases_are_refused():
    with pytest.raises(ValueError, match="at least 20"):
        calibrate(np.array([0.0, 1.0]), np.array([-1.0, 1.0]), np.zeros(2))


def test_a_network_that_is_wrong_more_often_than_not_is_flattened_and_not_turned_around():
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 2, 200)
    labels = (logits + rng.normal(0, 1, 200) < 0).astype(float)
    calibration = calibrate(labels, logits, np.zeros(200))
    assert calibration.temperature == pytest.approx(5)
    assert min(a for a, _ in calibration.affine) >= 0.2
