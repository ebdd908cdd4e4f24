"""Pictures of a run and of an evaluation. Every picture carries the disclaimer."""

import textwrap
from pathlib import Path
from typing import Any, Dict, List

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from . import DISCLAIMER  # noqa: E402
from .metrics import auc, net_benefit  # noqa: E402

DIAGONAL = {"color": "0.7", "linewidth": 0.8}
THRESHOLDS = np.linspace(0.05, 0.9, 86)
"""Probabilities at which the decision curves are read."""

SHIFTED_LINES = {
    "probability": {"label": "hemocast", "color": "C0", "linewidth": 1.2, "zorder": 3},
    "bayes": {"label": "true probability", "color": "C1", "linewidth": 1.2},
}


def plot_curves(history: List[dict], path: Path) -> None:
    """Losses, GradNorm weights and validation AUC over the pairs seen."""
    figure, (losses, weights, quality) = plt.subplots(1, 3, figsize=(12, 3.4))
    seen = [record["pairs_seen"] for record in history]
    for name in ("generation", "classification", "auxiliary"):
        losses.plot(seen, [record[name] for record in history], label=name)
    for index, name in enumerate(("generation", "classification")):
        weights.plot(seen, [record["gradnorm"][index] for record in history], label=name)
    quality.plot(seen, [record["validation_auc"] for record in history], marker="o", markersize=3)
    for axes, title in ((losses, "loss"), (weights, "GradNorm weight"), (quality, "validation AUC")):
        axes.set(title=title, xlabel="pairs seen")
    losses.legend(frameon=False)
    weights.legend(frameon=False)
    finish(figure, path)


def plot_discrimination(labels: np.ndarray, forecasts: Dict[str, np.ndarray], path: Path) -> None:
    """ROC curves and reliability of named forecasts (probabilities 0..1)."""
    figure, (roc, reliability) = plt.subplots(1, 2, figsize=(9, 4.4))
    for name, forecast in forecasts.items():
        draw_roc(roc, labels, forecast, label=name)
        draw_reliability(reliability, labels, forecast, marker="o", label=name)
    for axes in (roc, reliability):
        axes.plot([0, 1], [0, 1], **DIAGONAL)
        axes.legend(frameon=False, fontsize=8)
    roc.set(title="ROC", xlabel="1 - specificity", ylabel="sensitivity")
    reliability.set(title="calibration (tenths of the cohort)", xlabel="forecast", ylabel="observed frequency")
    finish(figure, path)


def plot_decision_curve(labels: np.ndarray, forecasts: Dict[str, np.ndarray], path: Path) -> None:
    """Net benefit of acting on named forecasts (probabilities 0..1) at thresholds 0.05 to 0.9, beside acting on all cases
    and on none."""
    figure, axes = plt.subplots(figsize=(6, 4.4))
    for name, forecast in forecasts.items():
        draw_net_benefit(axes, labels, forecast, label=name)
    draw_acting_blindly(axes, labels)
    prevalence = float((labels == 1).mean())
    axes.set(
        title=f"decision curve (prevalence {prevalence:.2f})",
        xlabel="threshold probability",
        ylabel="net benefit",
        ylim=(-0.05, prevalence * 1.05 + 0.01),
    )
    axes.legend(frameon=False, fontsize=8)
    finish(figure, path)


def plot_shifted(cohorts: Dict[str, Dict[str, Any]], path: Path) -> None:
    """Small multiples, a column for each shifted cohort: ROC, calibration and decision curve of hemocast and of the true
    probability, on axes that all columns share.

    cohorts: name -> `labels` 0/1, `probability` and `bayes` (the true one) 0..1, all [cases].
    """
    side = min(2.0, 10 / len(cohorts))  # inches of a column, its labels included
    size = (max(5.6, 0.6 + side * len(cohorts)), 3 * side + 1.5)
    figure, grid = plt.subplots(3, len(cohorts), figsize=size, sharex="row", sharey="row", squeeze=False)
    for column, (name, cohort) in zip(grid.T, cohorts.items()):
        draw_shifted_cohort(column, cohort)
        column[0].set_title(f"{textwrap.fill(name, 18)}\nn = {len(cohort['labels'])}", fontsize=9)
    for axes, label in zip(grid[:, 0], ("ROC\nsensitivity", "calibration\nobserved frequency", "decision curve\nnet benefit")):
        axes.set_ylabel(label, fontsize=9)
    for row, label in zip(grid, ("1 - specificity", "forecast", "threshold")):
        for axes in row:
            axes.set_xlabel(label, fontsize=8, labelpad=1)
            axes.set_box_aspect(1)
            axes.tick_params(labelsize=8, length=2, pad=2)
    for axes in grid[:2].flat:
        axes.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    highest = max(cohort["labels"].mean() for cohort in cohorts.values())
    grid[2, 0].set(xticks=[0.1, 0.5, 0.9], ylim=(-0.05, highest * 1.05 + 0.01))
    figure.legend(*grid[2, 0].get_legend_handles_labels(), loc="upper center", ncol=4, frameon=False, fontsize=9)
    finish(figure, path, top=0.95)


def draw_shifted_cohort(column: np.ndarray, cohort: Dict[str, Any]) -> None:
    """One column of `plot_shifted` from top to bottom; the AUC of both forecasts stands in the ROC, in their colours."""
    roc, reliability, decision = column
    labels = cohort["labels"]
    for (key, line), height in zip(SHIFTED_LINES.items(), (0.22, 0.05)):
        forecast = cohort[key]
        draw_roc(roc, labels, forecast, **line)
        text = f"AUC {auc(labels, forecast):.2f}"
        roc.text(0.95, height, text, color=line["color"], fontsize=8, ha="right", transform=roc.transAxes)
        draw_reliability(reliability, labels, forecast, marker="o", markersize=2, **line)
        draw_net_benefit(decision, labels, forecast, **line)
    for axes in (roc, reliability):
        axes.plot([0, 1], [0, 1], **DIAGONAL)
    draw_acting_blindly(decision, labels)


def draw_roc(axes: plt.Axes, labels: np.ndarray, forecast: np.ndarray, **line: Any) -> None:
    """Sensitivity over 1 - specificity of one forecast (probabilities 0..1 [cases])."""
    order = np.argsort(-forecast, kind="stable")
    hits = np.concatenate([[0], np.cumsum(labels[order] == 1)]) / max(1, (labels == 1).sum())
    alarms = np.concatenate([[0], np.cumsum(labels[order] == 0)]) / max(1, (labels == 0).sum())
    axes.plot(alarms, hits, **line)


def draw_reliability(axes: plt.Axes, labels: np.ndarray, forecast: np.ndarray, **line: Any) -> None:
    """Observed frequency over the mean forecast, in tenths of the cohort."""
    groups = [part for part in np.array_split(np.argsort(forecast, kind="stable"), 10) if len(part)]
    axes.plot([forecast[part].mean() for part in groups], [labels[part].mean() for part in groups], **line)


def draw_net_benefit(axes: plt.Axes, labels: np.ndarray, forecast: np.ndarray, **line: Any) -> None:
    """Net benefit of one forecast over THRESHOLDS."""
    axes.plot(THRESHOLDS, [net_benefit(labels, forecast, threshold) for threshold in THRESHOLDS], **line)


def draw_acting_blindly(axes: plt.Axes, labels: np.ndarray) -> None:
    """Net benefit of acting on all cases (dashed) and on none."""
    draw_net_benefit(axes, labels, np.ones(len(labels)), color="0.5", linewidth=0.8, linestyle="--", label="act on all")
    axes.axhline(0, color="0.5", linewidth=0.8, label="act on none")


def plot_panel(rows: List[dict], path: Path) -> None:
    """One row per case: initial, generated, true follow-up (window 80/40) and the attention on the initial CT.

    Each row: title, and 2-D arrays `initial`, `generated`, `truth` in HU, `attention` >= 0 of the same shape.
    """
    figure, grid = plt.subplots(len(rows), 4, figsize=(8, 2.15 * len(rows) + 0.3), squeeze=False)
    for axes, row in zip(grid, rows):
        for column, name in zip(axes, ("initial", "generated", "truth")):
            column.imshow(row[name], cmap="gray", vmin=0, vmax=80)
            column.set_title({"initial": row["title"], "generated": "GENERATED", "truth": "true"}[name], fontsize=7)
        axes[3].imshow(row["initial"], cmap="gray", vmin=0, vmax=80)
        highest = max(float(row["attention"].max()), 1e-9)
        axes[3].imshow(row["attention"] / highest, cmap="magma", alpha=0.55 * (row["attention"] / highest) ** 0.5)
        axes[3].set_title("attention (relative)", fontsize=7)
        for column in axes:
            column.axis("off")
    figure.tight_layout()  # once before `finish`: room for titles is measured from cells as wide as their square pictures
    finish(figure, path, dpi=90)


def finish(figure: plt.Figure, path: Path, dpi: int = 80, top: float = 1.0) -> None:
    """Adds the disclaimer, writes the PNG and releases the figure; the axes end at `top`, a share of its height."""
    figure.tight_layout(rect=(0, 0.03, 1, top))
    figure.text(0.5, 0.005, DISCLAIMER, ha="center", fontsize=7, color="0.4")
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
