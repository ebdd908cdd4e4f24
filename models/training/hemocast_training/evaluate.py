"""Measures a bundle on heads it was never trained on: `python3 -m hemocast_training evaluate`.

Runs the bundle's own model.onnx, writes evaluation.json, the pictures under docs/ and the model card. Everything is
reported beside the Bayes ceiling of the simulator and beside simple baselines, won or lost.
"""

import argparse
import datetime
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from . import DISCLAIMER
from .aims import judged_aims
from .baselines import density_regression, highest_density
from .bundle import EVALUATION_FILE, MODEL_FILE, read_metadata, write_json
from .checkpoint import refuse_trained_heads
from .data import GROUPS, Cohort
from .evaluation_figures import (
    NOT_RUN_ABLATIONS,
    NOT_RUN_BASELINES,
    SEED,
    baseline_blocks,
    by_head,
    forecast_figures,
    measured_on,
    network_block,
    not_run,
    other_networks,
    over_heads,
    shifted_block,
)
from .generation_figures import case_errors, summarize_cases
from .metrics import accuracy, auc, bootstrap
from .model_card import write_model_card
from .model_card_bench import was_run, with_pairs
from .network.generator import TISSUE_HU
from .onnx_model import infer, open_session
from .panel import choose_gallery_rows, choose_panel_rows, choose_shifted_case, panel_row
from .plots import plot_decision_curve, plot_discrimination, plot_panel, plot_shifted
from .radiomics import radiomics_forecasts
from .volume_ceiling import volume_ceiling

MAX_HU_RULE = 97
FITTED = {
    "density_regression": "density features + LR",
    "radiomics_regression": "radiomics + LR",
    "radiomics_boosting": "radiomics + boosting",
}
FITTED_ON_TRUTH = ("radiomics_regression_true_probability", "radiomics_boosting_true_probability")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`evaluate`: figures, pictures and model card of a bundle."""
    parser = subparsers.add_parser("evaluate", help="measure a bundle on held-out heads", description=__doc__)
    parser.add_argument("--bundle", required=True, help="bundle folder")
    parser.add_argument("--cohort", help="cohort folder of heads that were never trained on")
    parser.add_argument("--train", help="training cohort, to fit the baselines: density regression, radiomics")
    parser.add_argument("--train-limit", type=int, default=2400, help="training cases for those baselines")
    parser.add_argument(
        "--shifted", action="append", default=[], metavar="NAME=DIR", help="cohort of other physics or case mix (repeatable)"
    )
    parser.add_argument(
        "--ablations", action="append", default=[],
        help="JSON file: name -> figures of an ablation that was run; again for one that trained longer, whose names get its pairs",
    )
    parser.add_argument("--conditional", help="JSON file written by `conditional`: the pictures that were tried")
    parser.add_argument("--rivals", help="JSON file written by `rivals`: networks of the literature")
    parser.add_argument("--steadiness", help="JSON file written by `steadiness`: forecasts of single scans and of their changed copies")
    parser.add_argument("--aims", help="JSON file: key of an aim -> what it would take where it is not met, and what was tried")
    parser.add_argument("--keep", action="store_true", help="measure nothing: take --ablations up into what was measured")
    parser.add_argument("--limit", type=int, default=0, help="use only the first cases of every cohort (for a trial)")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluates and prints the main figures; ValueError where a cohort shares a head with the training."""
    bundle, resamples, date = Path(arguments.bundle), arguments.resamples, datetime.date.today().isoformat()
    metadata = read_metadata(bundle)
    shifted = dict(named_folder(text, "--shifted low-dose=cohorts/low-dose") for text in arguments.shifted)
    ablations = {name: not_run(reason) for name, reason in NOT_RUN_ABLATIONS.items()}
    for file in arguments.ablations:
        for name, block in json.loads(Path(file).read_text()).items():
            ablations[with_pairs(name, block) if was_run(ablations.get(name, not_run(""))) else name] = block
    conditional = json.loads(Path(arguments.conditional).read_text()) if arguments.conditional else not_run("not run")
    steadiness = json.loads(Path(arguments.steadiness).read_text()) if arguments.steadiness else not_run("not run")
    if arguments.steadiness and steadiness["bundle"]["sha256"] != metadata["files"][MODEL_FILE]["sha256"]:
        raise ValueError(f"{arguments.steadiness} was measured with another model.onnx: run `steadiness` again.")
    rivals = json.loads(Path(arguments.rivals).read_text()) if arguments.rivals else {"baselines": {}}
    if arguments.rivals and rivals["bundle"]["sha256"] != metadata["files"][MODEL_FILE]["sha256"]:
        raise ValueError(f"{arguments.rivals} holds them against another model.onnx: run `rivals` again.")
    would_take = json.loads(Path(arguments.aims).read_text()) if arguments.aims else {}
    if arguments.keep:
        if not arguments.ablations:
            raise ValueError("--keep without --ablations would only forget those that were measured: name their file.")
        evaluation = {"steadiness": steadiness, **json.loads((bundle / EVALUATION_FILE).read_text()), "ablations": ablations}
        if arguments.conditional:
            evaluation["conditional"] = conditional
        if arguments.steadiness:
            evaluation["steadiness"] = steadiness
        if evaluation["bundle"]["sha256"] != metadata["files"][MODEL_FILE]["sha256"]:
            raise ValueError(f"{bundle / EVALUATION_FILE} was measured with another model.onnx: evaluate without --keep.")
        judged = (evaluation["inDistribution"], *evaluation["shifted"].values())
        if any("ece" not in block.get("overHeads", {}) for block in judged):
            raise ValueError(f"{bundle / EVALUATION_FILE} lacks figures that aims are judged by: evaluate without --keep.")
        evaluation["inDistribution"]["trainingSeeds"] = training_seeds(metadata)
        evaluation["networks"] = other_networks(metadata["training"])
        never = {name: not_run(reason) for name, reason in NOT_RUN_BASELINES.items() if not was_run(evaluation["baselines"].get(name, not_run("")))}
        evaluation["baselines"].update({**never, **rivals["baselines"]})
        return write_report(bundle, metadata, evaluation, would_take)
    if not arguments.cohort:
        raise ValueError("--cohort is needed: name a cohort folder of heads that were never trained on.")
    if "heads" not in metadata["training"]:
        raise ValueError(
            f"{bundle} was trained on a hospital's pairs: its evaluation is the cross-validation of `finetune` (docs/own-pairs.md)."
        )
    cohort = Cohort(arguments.cohort, limit=arguments.limit).require(20)
    refuse_trained_heads(metadata["training"]["heads"], cohort, "--cohort")
    outcome = predict(bundle, cohort)
    fitted = {}
    if arguments.train:
        train = Cohort(arguments.train, limit=arguments.train_limit).require(50)
        fitted = {"density_regression": density_regression(train, cohort), **radiomics_forecasts(train, cohort)}
        learned = {"trainedOn": measured_on(train, date)}
        del train
    found = classification(cohort, outcome, fitted, resamples)
    baselines = baseline_blocks(cohort, outcome, found["baselines"], fitted, date, resamples)
    for name in fitted:
        baselines[name].update(learned)
    if not fitted:
        baselines.update({name: not_run("no training cohort was given") for name in (*FITTED, *FITTED_ON_TRUTH)})
    baselines.update(rivals["baselines"])
    evaluation = {
        "disclaimer": DISCLAIMER,
        "date": date,
        "bundle": {**{key: metadata[key] for key in ("name", "version")}, **metadata["files"][MODEL_FILE]},
        "cohort": describe_cohort(cohort),
        "bootstrap": {"unit": "case", "resamples": resamples, "level": 0.95, "seed": SEED},
        "inDistribution": {
            **measured_on(cohort, date),
            "trainingSeeds": training_seeds(metadata),
            **network_block(cohort, outcome, found["hemocast"], resamples),
            "overHeads": over_heads(cohort, outcome, fitted, resamples),
        },
        "ceiling": {
            **measured_on(cohort, date),
            **found["ceiling"],
            **volume_ceiling(cohort, outcome["errors"], resamples),
        },
        "baselines": baselines,
        "shifted": {},
        "ablations": ablations,
        "networks": other_networks(metadata["training"]),
        "conditional": conditional,
        "steadiness": steadiness,
        "classification": found,
        "generation": generation(cohort, outcome, resamples),
        "ood_flagged_share": round(float((outcome["ood_score"] > metadata["ood"]["threshold"]).mean()), 4),
        "calibration_validation": metadata["calibration"]["figures"],
    }
    draw(bundle, cohort, outcome, fitted)
    ours, ceiling = found["hemocast"], found["ceiling"]
    print(f"AUC {interval_text(ours['auc'])}, ceiling {ceiling['auc']['value']:.3f}; n = {len(cohort)}. {DISCLAIMER}")
    del cohort, outcome
    drawn = {}
    for name, folder in shifted.items():
        figures, drawn[name] = evaluate_shifted(bundle, metadata, name, folder, arguments.limit, date, resamples)
        evaluation["shifted"][name] = figures
    draw_shifted(bundle, drawn)
    return write_report(bundle, metadata, evaluation, would_take)


def write_report(bundle: Path, metadata: Dict[str, Any], evaluation: Dict[str, Any], would_take: Dict[str, str]) -> int:
    """evaluation.json, with its aims judged, and the card made from it."""
    evaluation["aims"] = judged_aims(evaluation, metadata["training"], would_take)
    write_json(bundle / EVALUATION_FILE, evaluation)
    write_model_card(bundle, metadata, evaluation)
    return 0


def named_folder(text: str, example: str) -> Tuple[str, str]:
    """(name, folder) of NAME=DIR; ValueError for anything else, before anything is measured."""
    name, _, folder = text.partition("=")
    if not (name and Path(folder).is_dir() and folder):
        raise ValueError(f"{text}: write NAME=DIR, a folder, for example {example}.")
    return name, folder


def evaluate_shifted(
    bundle: Path, metadata: Dict[str, Any], name: str, folder: str, limit: int, date: str, resamples: int
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """The figures of one shifted cohort, and what `draw_shifted` draws of it; of its pictures only those of one case are kept."""
    cohort = Cohort(folder, limit=limit).require(20)
    refuse_trained_heads(metadata["training"]["heads"], cohort, "--shifted")
    shown = choose_shifted_case(cohort)
    outcome = predict(bundle, cohort, pictures=[shown])
    drawn = {
        "labels": cohort.values("label"),
        "probability": outcome["probability"],
        "bayes": cohort.values("bayes"),
        "row": panel_row(cohort, outcome, shown, name),
    }
    return shifted_block(cohort, outcome, metadata, date, resamples), drawn


def training_seeds(metadata: Dict[str, Any]) -> List[int]:
    """The seed of every run in the bundle: of each member of an ensemble, and of each run that a member is the mean of."""
    training = metadata["training"]
    members = training.get("members", [training])
    return [run["seed"] for member in members for run in member.get("average_of") or [member]]


def predict(bundle: Path, cohort: Cohort, pictures: Optional[Sequence[int]] = None) -> Dict[str, Any]:
    """Outputs of the bundle for every case: logit, probability, ood_score [n], errors (one record a case); and by index, for
    every case or only for those of `pictures`, follow_up as int16 HU [24, 128, 128], attention as float16 [24, 32, 32]."""
    session = open_session(bundle / MODEL_FILE)
    outcome: Dict[str, Any] = {key: [] for key in ("logit", "probability", "ood_score", "errors")}
    outcome.update(follow_up={}, attention={})
    for index in tqdm(range(len(cohort)), desc="evaluating", unit="case", mininterval=5):
        image = cohort.initial[index].astype(np.float32)
        found = infer(session, image[None])
        for key in ("logit", "probability", "ood_score"):
            outcome[key].append(float(found[key][0]))
        truth = cohort.follow_up[index].astype(np.float32)
        generated = found["follow_up"][0]
        outcome["errors"].append(case_errors(image, generated, truth, cohort.mask(index)))
        if pictures is not None and index not in pictures:
            continue
        outcome["follow_up"][index] = np.clip(np.round(generated), -100, 200).astype(np.int16)
        outcome["attention"][index] = found["attention"][0].astype(np.float16)
    for key in ("logit", "probability", "ood_score"):
        outcome[key] = np.array(outcome[key])
    return outcome


def classification(
    cohort: Cohort, outcome: Dict[str, Any], fitted: Dict[str, np.ndarray], resamples: int
) -> Dict[str, Any]:
    """Every forecast with intervals; differences are paired (the same resamples for both). `fitted`: probabilities of
    the baselines that were fitted on the training cohort."""
    labels, group = cohort.values("label"), cohort.values("group")
    ours, truth = outcome["probability"], cohort.values("bayes")
    brightest = np.array([highest_density(cohort.initial[i], cohort.mask(i)) for i in range(len(cohort))])
    stained = np.flatnonzero(group == GROUPS.index("stain"))
    result: Dict[str, Any] = {
        "hemocast": forecast_figures(labels, ours, resamples),
        "ceiling": forecast_figures(labels, truth, resamples),
        "baselines": {
            "blood_visible_rule": forecast_figures(labels, (group == GROUPS.index("blood")).astype(float), resamples),
            "max_hu_rule": {
                "auc": auc_figure(labels, brightest, resamples),
                "accuracy": bootstrap(
                    lambda i: accuracy(labels[i], brightest[i] > MAX_HU_RULE), len(labels), SEED, resamples
                ),
                "threshold_hu": MAX_HU_RULE,
            },
        },
        "stain_only": {
            "cases": len(stained),
            "auc": auc_figure(labels[stained], ours[stained], resamples),
            "ceiling_auc": auc_figure(labels[stained], truth[stained], resamples),
        },
        "per_head": by_head(cohort, ours, resamples),
    }
    result["regret_auc"] = difference(labels, truth, ours, resamples)
    for name, forecast in fitted.items():
        result["baselines"][name] = forecast_figures(labels, forecast, resamples)
        result[f"auc_over_{name}"] = difference(labels, ours, forecast, resamples)
    return result


def auc_figure(labels: np.ndarray, scores: np.ndarray, resamples: int) -> Dict[str, float]:
    """AUC with interval."""
    return bootstrap(lambda i: auc(labels[i], scores[i]), len(labels), SEED, resamples)


def difference(labels: np.ndarray, first: np.ndarray, second: np.ndarray, resamples: int) -> Dict[str, float]:
    """AUC(first) - AUC(second) with a paired interval."""
    return bootstrap(lambda i: auc(labels[i], first[i]) - auc(labels[i], second[i]), len(labels), SEED, resamples)


def generation(cohort: Cohort, outcome: Dict[str, Any], resamples: int) -> Dict[str, Any]:
    """Errors over all cases, and apart for those that bled, that did not, and that show blood already."""
    labels, groups, errors = cohort.values("label"), cohort.values("group"), outcome["errors"]
    visible = [case for case, group in zip(errors, groups) if group == GROUPS.index("blood")]
    judged = [case for case in errors if np.isfinite(case["hemocast.mae_hot_8mm"])]
    return {
        "target": "noise-free simulated follow-up, HU clipped to {:.0f}..{:.0f}".format(*TISSUE_HU),
        "cases_with_hot_region": len(judged),
        "all": summarize_cases(errors, SEED, resamples),
        "bled": summarize_cases([case for case, y in zip(errors, labels) if y == 1], SEED, resamples),
        "did_not_bleed": summarize_cases([case for case, y in zip(errors, labels) if y == 0], SEED, resamples),
        "blood_visible": summarize_cases(visible, SEED, resamples),
    }


def describe_cohort(cohort: Cohort) -> Dict[str, Any]:
    """Counts, heads, seeds, case mix; and how it was simulated, where the folder's cohort.json says so."""
    group, seeds = cohort.values("group"), cohort.values("seed")
    made = cohort.record()
    return {
        "cases": len(cohort),
        "heads": sorted(int(head) for head in set(cohort.values("head"))),
        "seeds": [int(seeds.min()), int(seeds.max())],
        "prevalence": round(float(cohort.values("label").mean()), 4),
        "groups": {name: int((group == index).sum()) for index, name in enumerate(GROUPS)},
        "simulated_by": {key: made[key] for key in ("version", "created", "split", "seed", "count") if key in made},
    }


def draw(bundle: Path, cohort: Cohort, outcome: Dict[str, Any], fitted: Dict[str, np.ndarray]) -> None:
    """The pictures of docs/: discrimination, decision curve, panel and the gallery of failures."""
    docs = bundle / "docs"
    docs.mkdir(exist_ok=True)
    labels = cohort.values("label")
    forecasts = {"hemocast": outcome["probability"], "ceiling (true probability)": cohort.values("bayes")}
    forecasts.update({title: fitted[name] for name, title in FITTED.items() if name in fitted})
    plot_discrimination(labels, forecasts, docs / "discrimination.png")
    plot_decision_curve(labels, forecasts, docs / "decision-curve.png")
    plot_panel(choose_panel_rows(cohort, outcome), docs / "panel.png")
    gallery = choose_gallery_rows(cohort, outcome)
    if gallery:
        plot_panel(gallery, docs / "failures.png")


def draw_shifted(bundle: Path, drawn: Dict[str, Dict[str, Any]]) -> None:
    """The pictures of the shifted cohorts in docs/: curves, and one case of each. Without such cohorts none of an earlier
    evaluation stays.

    drawn: name -> what `evaluate_shifted` found: `labels`, `probability` and `bayes` [cases], `row` for `plot_panel`.
    """
    curves, panel = bundle / "docs" / "shifted.png", bundle / "docs" / "shifted-panel.png"
    if not drawn:
        curves.unlink(missing_ok=True)
        panel.unlink(missing_ok=True)
        return
    plot_shifted(drawn, curves)
    plot_panel([found["row"] for found in drawn.values()], panel)


def interval_text(figure: Dict[str, float]) -> str:
    """'0.912 (0.880 to 0.940)'."""
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
