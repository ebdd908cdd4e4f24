"""The picture of a fine-tuning: how the folds trained, and how their forecasts of unseen patients stand."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from .site_figures import OutOfFold, cross_fitted  # noqa: E402

NAMES = {"fine-tuned": "#0a6cb0", "before": "#8a8a8a"}
GROUPS = 5


def plot_site(found: OutOfFold, looks: list[list[tuple[int, float]]], disclaimer: str, path: Path) -> None:
    """Stopping loss of every fold over its steps; ROC curves and calibration of the out-of-fold forecasts."""
    figure, (losses, roc, reliability) = plt.subplots(1, 3, figsize=(12, 4.2))
    for number, fold in enumerate(looks, 1):
        steps, values = zip(*fold)
        losses.plot(steps, values, marker="o", markersize=3, linewidth=1, label=f"fold {number}")
    losses.xaxis.get_major_locator().set_params(integer=True)
    losses.legend(frameon=False, fontsize=8)
    losses.set(title="loss on the stopping fold", xlabel="steps")
    logits = (found.logits, found.start_logits)
    for (name, color), values in zip(NAMES.items(), logits):
        forecast = cross_fitted(found.labels, values, found.fold)
        order = np.argsort(-forecast, kind="stable")
        hits = np.concatenate([[0], np.cumsum(found.labels[order] == 1)]) / max(1, (found.labels == 1).sum())
        alarms = np.concatenate([[0], np.cumsum(found.labels[order] == 0)]) / max(1, (found.labels == 0).sum())
        roc.plot(alarms, hits, color=color, label=name)
        parts = [part for part in np.array_split(order[::-1], GROUPS) if len(part)]
        means = [(forecast[part].mean(), found.labels[part].mean(), len(part)) for part in parts]
        x, y, n = (np.array(column) for column in zip(*means))
        half = 1.96 * np.sqrt(np.maximum(y * (1 - y), 0.25 / n) / n)
        reliability.errorbar(x, y, yerr=half, color=color, marker="o", markersize=4, linewidth=1, capsize=2, label=name)
    for axes in (roc, reliability):
        axes.plot([0, 1], [0, 1], color="0.8", linewidth=0.8, zorder=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    roc.set(title="ROC, patients not trained on", xlabel="1 - specificity", ylabel="sensitivity")
    reliability.set(title="calibration (fifths)", xlabel="forecast", ylabel="observed frequency")
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.text(0.5, 0.01, disclaimer, ha="center", fontsize=7, color="0.4")
    figure.savefig(path, dpi=90)
    plt.close(figure)
