"""Pictures of a run and of an evaluation. Every picture carries the disclaimer."""

from pathlib import Path
from typing import Dict, List

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from . import DISCLAIMER  # noqa: E402
from .metrics import net_benefit  # noqa: E402


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
        order = np.argsort(-forecast, kind="stable")
        hits = np.concatenate([[0], np.cumsum(labels[order] == 1)]) / max(1, (labels == 1).sum())
        alarms = np.concatenate([[0], np.cumsum(labels[order] == 0)]) / max(1, (labels == 0).sum())
        roc.plot(alarms, hits, label=name)
        groups = [part for part in np.array_split(np.argsort(forecast, kind="stable"), 10) if len(part)]
        reliability.plot(
            [forecast[part].mean() for part in groups], [labels[part].mean() for part in groups], marker="o", label=name
        )
    for axes in (roc, reliability):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        axes.legend(frameon=False, fontsize=8)
    roc.set(title="ROC", xlabel="1 - specificity", ylabel="sensitivity")
    reliability.set(title="calibration (tenths of the cohort)", xlabel="forecast", ylabel="observed frequency")
    finish(figure, path)


def plot_decision_curve(labels: np.ndarray, forecasts: Dict[str, np.ndarray], path: Path) -> None:
    """Net benefit of acting on named forecasts (probabilities 0..1) at thresholds 0.05 to 0.9, beside acting on all cases
    and on none."""
    figure, axes = plt.subplots(figsize=(6, 4.4))
    thresholds = np.linspace(0.05, 0.9, 86)
    for name, forecast in forecasts.items():
        axes.plot(thresholds, [net_benefit(labels, forecast, threshold) for threshold in thresholds], label=name)
    everyone = [net_benefit(labels, np.ones(len(labels)), threshold) for threshold in thresholds]
    axes.plot(thresholds, everyone, color="0.5", linewidth=0.8, linestyle="--", label="act on all")
    axes.axhline(0, color="0.5", linewidth=0.8, label="act on none")
    prevalence = float((labels == 1).mean())
    axes.set(
        title=f"decision curve (prevalence {prevalence:.2f})",
        xlabel="threshold probability",
        ylabel="net benefit",
        ylim=(-0.05, prevalence * 1.05 + 0.01),
    )
    axes.legend(frameon=False, fontsize=8)
    finish(figure, path)


def plot_panel(rows: List[dict], path: Path) -> None:
    """One row per case: initial, generated, true follow-up (window 80/40) and the attention on the initial CT.

    Each row: title, and 2-D arrays `initial`, `generated`, `truth` in HU, `attention` >= 0 of the same shape.
    """
    figure, grid = plt.subplots(len(rows), 4, figsize=(8, 2.15 * len(rows)), squeeze=False)
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
    finish(figure, path, dpi=90)


def finish(figure: plt.Figure, path: Path, dpi: int = 80) -> None:
    """Adds the disclaimer, writes the PNG and releases the figure."""
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.text(0.5, 0.005, DISCLAIMER, ha="center", fontsize=7, color="0.4")
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
