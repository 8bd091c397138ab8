"""What all figures share: sizes, colours, the note on where data come from, and how they are saved."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MM = 1 / 25.4
SINGLE_COLUMN, DOUBLE_COLUMN = 88 * MM, 180 * MM

# One colour a meaning in every figure; told apart in grey and by the colour-blind (after Okabe & Ito).
INK = "#222222"
FAINT = "#767676"
COMPLIANT = "#56B4E9"
FAKING = "#D55E00"
NONCOMPLIANT = "#D9D9D9"
UNSPLIT = "#A9CFE8"
FREE = "#0072B2"
PAID = "#E69F00"
GAP = "#009E73"
SIMULATED = "#B00020"
HATCH = "////"

SETTINGS = {"helpful-only": "Helpful-only", "animal-welfare": "Animal welfare"}
TIERS = {"free": "free tier\n(training)", "paid": "paid tier\n(unmonitored)"}
QUANTITIES = {
    "af_reasoning": "AF reasoning",
    "compliance_gap": "compliance gap",
    "complied": "compliance",
    "refused": "non-compliance",
}

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "hatch.linewidth": 0.6,
    "hatch.color": "white",
    # a white ground of its own reads on dark notebooks as on light ones
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "afanalysis",
}


@contextmanager
def styled() -> Iterator[None]:
    """The figures' style, for as long as the block lasts."""
    import matplotlib as mpl

    with mpl.rc_context(_SETTINGS):
        yield


class TracedFigure(Figure):
    """A matplotlib figure that carries the rows it drew as `rows` and shows itself in notebooks.

    No pyplot state and no GUI knows of it.
    """

    rows: pd.DataFrame

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        with styled():
            self.savefig(picture, format="png", dpi=150, metadata={"Software": None})
        return picture.getvalue()


def new_figure(width: float, height: float) -> TracedFigure:
    """An empty figure of a size in inches."""
    figure = TracedFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def note_source(figure: Figure, table: pd.DataFrame, extra: str = "") -> None:
    """Say under the figure where its data come from and what its intervals are."""
    sources = ", ".join(sorted(set(table["source"])))
    said = {
        "published": "Published numbers of Greenblatt et al. 2024 (arXiv:2412.14093).",
        "simulated": "SIMULATED: made-up answers of the local stand-in; no real model was asked.",
    }.get(sources, f"Source: {sources}.")
    note = " ".join(x for x in (said, "Bars: 95 % intervals.", extra) if x)
    simulated = "simulated" in sources
    width = int(figure.get_figwidth() * 25.4 * (0.72 if simulated else 0.86))
    figure.supxlabel(
        textwrap.fill(note, width),
        fontsize=6,
        color=SIMULATED if simulated else FAINT,
        fontweight="bold" if simulated else "normal",
        x=0.01,
        ha="left",
    )


def points(axes: Axes, x: Any, y: Any, *, along: str, rows: pd.DataFrame, **look: Any) -> None:
    """Draw estimates with their intervals, in percent.

    Parameters
    ----------
    x, y
        Places; the one on the axis that `along` names is not used.
    along
        `x` or `y`: the axis of the estimates.
    rows
        `estimate`, `low` and `high` (proportions), one row a point.
    """
    estimate, low, high = (100 * rows[name].to_numpy(float) for name in ("estimate", "low", "high"))
    reach = [np.maximum(estimate - low, 0), np.maximum(high - estimate, 0)]
    places = {"x": x, "y": y} | {along: estimate}
    bars: dict[str, Any] = {"fmt": "o", "ms": 3, "lw": 0.9, "color": INK, f"{along}err": reach}
    axes.errorbar(places["x"], places["y"], **(bars | look))


def settings_of(table: pd.DataFrame) -> list[str]:
    """The settings that a table holds, in the order in which figures show them."""
    return [name for name in SETTINGS if name in set(table["setting"])]


def row_axes(axes: Axes) -> None:
    """An axes whose rows are conditions: no vertical axis line, a grid for the values."""
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def name_rows(axes: Axes, rows: Sequence[tuple[str, bool]]) -> None:
    """Name rows from the top down; those with True are headings, in bold."""
    row_axes(axes)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    for text, (_, heading) in zip(axes.get_yticklabels(), rows, strict=True):
        text.set_fontweight("bold" if heading else "normal")
    axes.set_ylim(len(rows) - 0.5, -0.6)


def size_range(n: pd.Series) -> str:
    """'n = 84 to 383 rollouts a rate.' or, where all are alike, 'n = 192 rollouts a rate.'"""
    least, most = n.min(), n.max()
    size = f"{least:.0f}" if least == most else f"{least:.0f} to {most:.0f}"
    return f"n = {size} rollouts a rate."


def title(figure: Figure, text: str) -> None:
    """The figure's title, flush left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=9, fontweight="bold")


def save(figure: TracedFigure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as SVG, PDF and PNG, and the rows behind it as CSV, beside each other.

    The bytes are the same whenever the rows are: dates, ids and fonts are pinned.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with styled():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not once a format
        for kind, metadata in (
            ("svg", {"Date": None, "Creator": None}),
            ("pdf", {"CreationDate": None, "Producer": None, "Creator": None}),
            ("png", {"Software": None}),
        ):
            path = folder / f"{name}.{kind}"
            figure.savefig(path, format=kind, metadata=metadata)
            written.append(path)
    path = folder / f"{name}.csv"
    figure.rows.to_csv(path, index=False, float_format="%.6g")
    return [*written, path]


def remember(figure: TracedFigure, rows: pd.DataFrame) -> TracedFigure:
    """Attach the rows that a figure drew."""
    figure.rows = rows.reset_index(drop=True)
    return figure
