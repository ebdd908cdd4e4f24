"""A scan on its brain's own scale: what a scanner adds to all HU changes nothing but the HU of the generated follow-up."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hemocast_training.data import Cohort
from hemocast_training.network import NetworkConfig, build_network, preset
from hemocast_training.network.own_scale import brain_level
from hemocast_training.train import Trainer

from synthetic import write_toy_cohort

RECORD = {"pairs_seen": 0, "generation": 1.0, "classification": 1.0, "auxiliary": 1.0, "gradnorm": [1.0, 1.0], "validation_auc": 0.5}
SMALL_BASE = NetworkConfig(name="base", widths=(8, 16, 32), token_dim=32, heads=1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def head(level: float = 34.0) -> torch.Tensor:
    """A brain in a skull in air, [1, 24, 128, 128] HU, with ventricles and a bleeding of 60 HU above the brain."""
    rows, columns = np.mgrid[:128, :128] - 63.5
    distance = np.hypot(rows, columns)
    brain = level + np.random.default_rng(0).normal(0, 4, (24, 128, 128))
    brain = np.where(np.hypot(rows, columns - 8) < 8, brain - 26, brain)
    brain = np.where(np.hypot(rows - 20, columns + 20) < 12, brain + 60, brain)
    image = np.where(distance < 52, brain, np.where(distance < 57, 900.0, -1024.0))
    return torch.from_numpy(image).float()[None]


@pytest.mark.parametrize("level", [28.0, 34.0, 41.5])
def test_the_level_of_a_brain_is_its_own_whatever_bleeds_in_it_and_however_wide_its_ventricles(level):
    assert float(brain_level(head(level))) == pytest.approx(level, abs=0.5)


def test_where_there_is_no_brain_there_is_a_finite_level():
    assert torch.isfinite(brain_level(torch.full((1, 24, 128, 128), -1024.0))).all()


@pytest.mark.parametrize("config", [preset("tiny"), SMALL_BASE])
def test_what_a_scanner_adds_changes_no_forecast_and_stays_in_the_picture(config):
    network = build_network(replace(config, reference_hu=32.0)).eval()
    torch.nn.init.normal_(network.generator.gates.weight, std=0.05)
    image = head()
    higher = torch.where(image > -1000, image + 6, image)
    with torch.no_grad():
        one, other = network(image), network(higher)
        far, farther = network(image + 40), network(image + 60)
    assert torch.allclose(one.logit, other.logit, atol=1e-3)
    inside = (image > 0) & (image < 80)
    assert torch.allclose(one.generated[inside] + 6, other.generated[inside], atol=0.05)
    assert float((other.pooled - one.pooled)[0, -1]) == pytest.approx(6, abs=0.05)
    assert not torch.allclose(far.logit, farther.logit, atol=1e-3)  # beyond FARTHEST_HU no scanner is taken for the reason


def test_without_a_reference_scans_are_read_as_they_are():
    network = build_network(preset("tiny")).eval()
    with torch.no_grad():
        assert network(head()).pooled.shape == (1, 96)


def test_a_run_reads_scans_as_its_start_does_and_so_does_its_continuation(tmp_path):
    train = Cohort(write_toy_cohort(tmp_path / "train", 4, 1))
    own = replace(preset("tiny"), reference_hu=31.5)
    first = Trainer(train, train, tmp_path / "first", own, {"batch": 2})
    first.history.append(RECORD)
    first.save()
    second = Trainer(train, train, tmp_path / "second", preset("tiny"), {"batch": 2, "start": str(tmp_path / "first")})
    second.history.append(RECORD)
    second.save()
    again = Trainer(train, train, tmp_path / "second", preset("tiny"), {"batch": 2, "start": str(tmp_path / "first")})
    for run in (second, again):
        assert run.network_config.reference_hu == run.model.config.reference_hu == run.average.model.config.reference_hu == 31.5
