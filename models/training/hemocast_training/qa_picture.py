"""One picture of a registered pair: would a reader say that these two heads lie on each other?

Rows: three slices of the model grid, then a sagittal and a coronal cut, where nodding shows. Columns: the initial CT;
the follow-up before the registration (calvaria's centres laid together) and after it, both under the outline of the
initial skull; and a checkerboard of both scans after it, in which edges must run on from field to field.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from .head_grid import GRID_SPACING_MM  # noqa: E402
from .registration import skull_and_inside  # noqa: E402

SLICES = (5, 10, 15)
WINDOW_HU = (-10.0, 90.0)
FIELD_MM = 24.0
OUTLINE = "#ffb000"
TITLES = ("initial", "follow-up before", "follow-up registered", "checkerboard of both")
NOTE = (
    "Outline: the initial skull. Checkerboard: fields of the initial and of the registered follow-up CT in turn. "
    "The patient's left is on the right. Research use only."
)


def draw_qa(path: Path, title: str, figures: str, left_out: str, image: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    """Write the PNG. image, before, after: HU [24, 128, 128]; figures: one line; left_out: the code of the refusal, or "".
    """
    middle = image.shape[1] // 2
    skull = skull_and_inside(image)
    cuts = [(lambda v, k=k: v[k], 1.0) for k in SLICES]
    upright = GRID_SPACING_MM[0] / GRID_SPACING_MM[1]
    cuts += [(lambda v: v[::-1, :, middle], upright), (lambda v: v[::-1, middle], upright)]
    heights = [cut(image).shape[0] * aspect for cut, aspect in cuts]
    figure, grid = plt.subplots(
        len(cuts), 4, figsize=(8.4, 8.4 * sum(heights) / (4 * 128) + 0.9), facecolor="black",
        gridspec_kw={"height_ratios": heights, "wspace": 0.02, "hspace": 0.02},
    )
    for row, (axes, (cut, aspect)) in enumerate(zip(grid, cuts)):
        shown = [cut(volume) for volume in (image, before, after)]
        shown.append(checkerboard(shown[0], shown[2], aspect))
        for column, (axis, picture) in enumerate(zip(axes, shown)):
            axis.imshow(picture, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], aspect=aspect, interpolation="bilinear")
            if column in (1, 2):
                axis.contour(cut(skull).astype(float), [0.5], colors=OUTLINE, linewidths=0.8)
            axis.axis("off")
            if row == 0:
                axis.set_title(TITLES[column], fontsize=9, color="white", pad=3)
    inches = figure.get_figheight()
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.34 / inches, top=1 - 0.72 / inches)
    figure.text(0.01, 1 - 0.2 / inches, title, fontsize=10, color="white", weight="bold", parse_math=False)
    figure.text(0.01, 1 - 0.42 / inches, figures, fontsize=8, color="0.85")
    if left_out:
        figure.text(0.99, 1 - 0.2 / inches, "LEFT OUT: " + left_out, fontsize=10, color=OUTLINE, weight="bold", ha="right")
    figure.text(0.01, 0.1 / inches, NOTE, fontsize=7, color="0.6")
    figure.savefig(path, dpi=100, facecolor="black")
    plt.close(figure)


def checkerboard(first: np.ndarray, second: np.ndarray, aspect: float) -> np.ndarray:
    """Square fields of 24 mm of two pictures in turn; `aspect`: row spacing over column spacing."""
    column_mm = GRID_SPACING_MM[2]
    rows = (np.arange(first.shape[0]) * column_mm * aspect // FIELD_MM).astype(int)
    columns = (np.arange(first.shape[1]) * column_mm // FIELD_MM).astype(int)
    return np.where((rows[:, None] + columns[None]) % 2 == 0, first, second)
