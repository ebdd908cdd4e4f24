"""Fine-tuning on a hospital's pairs: folds by patient, honest refusals, and a bundle that says what it was trained on."""

import gzip
import json
import shutil

import numpy as np
import pytest
import torch

from hemocast_training.__main__ import main
from hemocast_training.bundle import read_metadata
from hemocast_training.checkpoint import WEIGHTS_FILE, load_network, load_weights
from hemocast_training.golden import START_INPUT
from hemocast_training.network import NetworkConfig, TinyNetwork
from hemocast_training.onnx_model import infer, open_session
from hemocast_training.refusal import Refused
from hemocast_training.site_export import ood_threshold, phantom
from hemocast_training.site_figures import OutOfFold, cross_fitted, patient_bootstrap, site_evaluation
from hemocast_training.site_folds import folds_by_patient, refuse_too_few

from runtime import need_onnxruntime
from synthetic import write_toy_site_cohort

SMALL = NetworkConfig(widths=(8, 12, 16), decoder_widths=(8, 12, 16), token_dim=24, heads=2, blocks=1)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A run folder of a small untrained network: where the fine-tuning starts."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("start")
    network = TinyNetwork(SMALL)
    state = {"network_config": SMALL.to_json(), "average": network.state_dict(), "heads": [1, 2], "history": []}
    torch.save(state, folder / "checkpoint.pt")
    return folder


@pytest.fixture(scope="module")
def tuned(start, tmp_path_factory):
    """A run of `finetune` on 30 toy patients, two of whom were scanned twice."""
    root = tmp_path_factory.mktemp("site")
    folder = write_toy_site_cohort(root / "cohort", 30, seed=4)
    with np.load(folder / "shard-0000.npz") as shard:
        arrays = dict(shard)
    arrays["head"][:2] = arrays["head"][2:4]
    arrays["head"][:] = np.unique(arrays["head"], return_inverse=True)[1] + 1
    more = write_toy_site_cohort(root / "more", 2, seed=5)
    with np.load(more / "shard-0000.npz") as shard:
        arrays = {key: np.concatenate([arrays[key], shard[key]]) for key in arrays}
    arrays["head"][-2:] = [29, 30]
    np.savez(folder / "shard-0000.npz", **arrays)
    options = ["--folds", "5", "--minutes", "0.05", "--seed", "3"]
    assert main(["finetune", "--cohort", str(folder), "--from", str(start), "--out", str(root / "run"), *options]) == 0
    return root


def test_every_pair_is_forecast_by_a_network_that_has_not_seen_its_patient(tuned):
    _, state = load_network(tuned / "run")
    found = state["site"]["out_of_fold"]
    assert len(found["logits"]) == 32 and np.isfinite(found["logits"]).all() and np.isfinite(found["error"]).any()
    assert set(found["fold"].tolist()) == {0, 1, 2, 3, 4}
    for patient in np.unique(found["patients"]):
        assert len(set(found["fold"][found["patients"] == patient].tolist())) == 1
    evaluation = json.loads((tuned / "run" / "evaluation.json").read_text())
    assert evaluation["cohort"] == {
        "kind": "a hospital's own pairs, cross-validated", "pairs": 32, "patients": 30,
        "bled": int(found["labels"].sum()), "folds": 5,
    }
    for part in ("finetuned", "before_finetuning"):
        for figure in evaluation[part].values():
            assert figure["low"] <= figure["value"] <= figure["high"]
    assert (tuned / "run" / "curves.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def bundle(tuned):
    """The bundle of that run."""
    need_onnxruntime()
    out = tuned / "st-example"
    arguments = ["--out", str(out), "--version", "1.0.0", "--name", "st-example"]
    assert main(["export", "--run", str(tuned / "run"), *arguments]) == 0
    return out


def test_a_fine_tuned_run_becomes_a_complete_bundle_that_says_what_it_was_trained_on(bundle):
    metadata = read_metadata(bundle)
    said = "Research use only, trained on simulated data and 32 pairs of 30 patients, not a medical device."
    assert metadata["disclaimer"] == said
    assert metadata["training_data"].startswith("The site's own pairs: 32 scan pairs of 30 patients")
    assert 0 < metadata["calibration"]["prevalence"] < 1 and len(metadata["calibration"]["interval"]["affine"]) == 100
    assert "patients (30)" in metadata["calibration"]["interval"]["method"]
    card = (bundle / "docs" / "README.md").read_text()
    assert metadata["disclaimer"] in card and "measured on nobody" in card
    for name in ("LICENSE", "docs/curves.png", "evaluation.json", "golden/" + START_INPUT, WEIGHTS_FILE):
        assert (bundle / name).stat().st_size > 1000
    outputs = infer(open_session(bundle / "models" / "model.onnx"), phantom()[None])
    golden = json.loads((bundle / "golden" / "golden.json").read_text())["start_check"]
    assert outputs["logit"][0] == pytest.approx(golden["logit"], abs=1e-3)
    assert outputs["probability"][0] == pytest.approx(
        1 / (1 + np.exp(-outputs["logit"][0] / metadata["calibration"]["temperature"] - metadata["calibration"]["bias"])), abs=1e-5
    )
    # The next hospital can start from it: its weights are those of the graph.
    with torch.no_grad():
        again = load_weights(bundle)(torch.from_numpy(phantom()[None]))
    assert float(again.logit) == pytest.approx(float(outputs["logit"][0]), abs=0.02)


def test_the_bundle_holds_no_image_of_a_patient(bundle):
    stored = np.frombuffer(gzip.decompress((bundle / "golden" / START_INPUT).read_bytes()), "<i2")
    assert (stored == phantom().ravel()).all()


def test_copies_of_one_scan_have_no_limit_of_what_is_unlike_them():
    features, fold = np.random.default_rng(1).normal(size=(30, 4)), np.arange(30) % 5
    assert ood_threshold(features, fold) > 0
    with pytest.raises(ValueError, match="copies of one scan"):
        ood_threshold(np.repeat(features[:1], 30, 0), fold)


def test_a_sites_bundle_does_not_take_the_name_of_the_shipped_one(tuned, tmp_path, capsys):
    run = ["export", "--run", str(tuned / "run"), "--out", str(tmp_path), "--version", "1.0.0"]
    assert main(run) == 1 and main([*run, "--name", "hemocast-tiny"]) == 1
    assert "name of its own" in capsys.readouterr().err


def test_a_sites_bundle_is_not_measured_on_simulated_pairs(bundle, tmp_path, capsys):
    before = (bundle / "evaluation.json").read_bytes()
    assert main(["evaluate", "--bundle", str(bundle), "--cohort", str(tmp_path)]) == 1
    assert "trained on a hospital's pairs" in capsys.readouterr().err
    assert (bundle / "evaluation.json").read_bytes() == before


def test_weights_that_were_swapped_are_not_trained_further(tuned, bundle, tmp_path, capsys):
    swapped = tmp_path / "swapped"
    shutil.copytree(bundle, swapped)
    (swapped / WEIGHTS_FILE).write_bytes(b"swapped")
    arguments = ["--cohort", str(tuned / "cohort"), "--out", str(tmp_path / "run"), "--minutes", "1"]
    assert main(["finetune", "--from", str(swapped), *arguments]) == 1
    assert "is not the file that metadata.json describes" in capsys.readouterr().err


def test_a_run_is_not_overwritten_and_simulated_pairs_are_not_a_hospitals(tuned, start, tmp_path, capsys):
    from synthetic import write_toy_cohort

    common = ["finetune", "--from", str(start), "--minutes", "1"]
    assert main([*common, "--cohort", str(tuned / "cohort"), "--out", str(tuned / "run")]) == 1
    simulated = write_toy_cohort(tmp_path / "simulated", 1, seed=1)
    assert main([*common, "--cohort", str(simulated), "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert "holds a run already" in error and "is simulated" in error


class TestFolds:
    """Who may be learned from together, and what is too little."""

    labels = np.array([0, 1] * 30)
    patients = np.repeat(np.arange(30), 2)

    def test_a_patient_is_never_in_two_parts_and_everybody_is_held_out_once(self):
        labels = (self.patients % 3 == 0).astype(int)
        seen = []
        for fold in folds_by_patient(labels, self.patients, 5, seed=1):
            parts = [set(self.patients[part].tolist()) for part in fold]
            assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
            assert len(fold.train) + len(fold.stop) + len(fold.held_out) == 60
            assert 0 < labels[fold.held_out].mean() < 1
            seen += fold.held_out.tolist()
        assert sorted(seen) == list(range(60))

    @pytest.mark.parametrize(
        "labels, patients, folds, code",
        [
            ([1] * 40, range(40), 5, "one-outcome-only"),
            ([0, 1] * 14, range(28), 5, "too-few-patients"),
            ([0, 1] * 30, [i // 2 % 15 for i in range(60)], 5, "too-few-patients"),
            ([1] * 9 + [0] * 40, range(49), 5, "too-few-of-one-outcome"),
            ([0, 1] * 30, range(60), 2, "too-few-folds"),
        ],
    )
    def test_too_little_is_refused_by_name(self, labels, patients, folds, code):
        with pytest.raises(Refused) as refused:
            refuse_too_few(np.array(labels), np.array(list(patients)), folds)
        assert refused.value.code == code


class TestFigures:
    """What the cross-validation reports."""

    rng = np.random.default_rng(6)

    def cohort(self, count=200, scale=1.0):
        logits = self.rng.normal(0, 2, count)
        labels = (self.rng.random(count) < 1 / (1 + np.exp(-logits))).astype(float)
        nothing = np.full(count, np.nan)
        return OutOfFold(labels, np.arange(count), np.arange(count) % 5, logits * scale, 0 * logits, nothing, nothing)

    def test_overconfident_logits_are_cooled_by_the_other_folds_only(self):
        found = self.cohort(scale=4.0)
        cooled = cross_fitted(found.labels, found.logits, found.fold)
        changed = found.labels.copy()
        changed[found.fold == 2] = 1 - changed[found.fold == 2]
        again = cross_fitted(changed, found.logits, found.fold)
        assert (cooled[found.fold == 2] == again[found.fold == 2]).all()
        assert not (cooled[found.fold == 1] == again[found.fold == 1]).all()
        figures = site_evaluation(found, resamples=50)["finetuned"]
        assert figures["calibration_slope"]["value"] == pytest.approx(1, abs=0.25)

    def test_a_network_that_knows_more_than_its_start_is_said_to_have_gained(self):
        figures = site_evaluation(self.cohort(), resamples=50)
        assert figures["gain"]["auc"]["low"] > 0.1 and figures["gain"]["brier"]["high"] < 0
        assert figures["generation"]["mae_hot_8mm_over_no_change"] is None

    def test_pairs_of_one_patient_count_as_one_when_intervals_are_drawn(self):
        values = self.rng.normal(0, 1, 30)
        alone = patient_bootstrap(lambda i: values[i].mean(), np.arange(30), 300)
        tenfold = np.repeat(values, 10)
        repeated = patient_bootstrap(lambda i: tenfold[i].mean(), np.repeat(np.arange(30), 10), 300)
        assert repeated["high"] - repeated["low"] == pytest.approx(alone["high"] - alone["low"], rel=0.3)
