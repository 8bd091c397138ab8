"""What all figures share: sizes, colours, the note on where data come from, and how they are saved."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
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
    # names of models and variations are text, whatever dollars they hold
    "text.parse_math": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """The figures' style, for as long as the block lasts."""
    import matplotlib as mpl

    with mpl.rc_context(_SETTINGS):
        yield


class TracedFigure(Figure):
    """A matplotlib figure that carries what it drew and shows itself in notebooks.

    No pyplot state and no GUI knows of it.

    Attributes
    ----------
    rows
        The rows it drew.
    heading
        Its title.
    alt
        What it shows, in sentences made from the rows: its text alternative.
    """

    rows: pd.DataFrame
    heading: str = ""
    alt: str = ""

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
    level = table["level"].iloc[0] if "level" in table else 0.95
    note = f"{said} Bars: {100 * level:g} % intervals. {extra}".rstrip()
    _note(figure, note, simulated="simulated" in sources)


def note_plan(figure: Figure, note: str) -> None:
    """Say under a figure without data what it assumes."""
    _note(figure, note, simulated=False)


def _note(figure: Figure, note: str, *, simulated: bool) -> None:
    width = int(figure.get_figwidth() * 25.4 * (0.72 if simulated else 0.86))
    figure.supxlabel(
        textwrap.fill(note, width),
        fontsize=6,
        color=SIMULATED if simulated else FAINT,
        fontweight="bold" if simulated else "normal",
        x=0.01,
        ha="left",
    )


def model_of(table: pd.DataFrame, model: str | None = None) -> str:
    """The model that is named, else claude-3-opus where it is there, else the first by name."""
    known = sorted(table["model"].unique())
    return model or ("claude-3-opus" if "claude-3-opus" in known else known[0])


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
    bars: dict[str, Any] = {
        "marker": "o",
        "ls": "",
        "ms": 3,
        "lw": 0.9,
        "color": INK,
        f"{along}err": reach,
    }
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


def sample_size_note(n: pd.Series) -> str:
    """'n = 84 to 383 rollouts a rate.' or, where all are alike, 'n = 192 rollouts a rate.'"""
    least, most = n.min(), n.max()
    size = f"{least:.0f}" if least == most else f"{least:.0f} to {most:.0f}"
    return f"n = {size} rollouts a rate."


def title(figure: TracedFigure, text: str) -> None:
    """The figure's title, flush left."""
    figure.heading = text
    figure.suptitle(text, x=0.01, ha="left", fontsize=9, fontweight="bold")


def save(
    figure: TracedFigure, folder: str | Path, name: str, made: dict[str, Any] | None = None
) -> list[Path]:
    """Write a figure as SVG, PDF and PNG, beside each other with the rows behind it and how it was made.

    The bytes are the same whenever the rows are: dates, ids and fonts are pinned.

    Parameters
    ----------
    figure, folder, name
        What to write, and where.
    made
        How it was made, for NAME.json: inputs with their hashes, parameters, the call that redraws it.
        The figure's heading, its text alternative and the libraries' versions are added.
    """
    import json

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
    rows, said = folder / f"{name}.csv", folder / f"{name}.json"
    figure.rows.to_csv(rows, index=False, float_format="%.6g")
    about = {"name": name, "heading": figure.heading, "alt": figure.alt, **(made or {})}
    about["versions"] = {library: version(library) for library in ("afanalysis", "matplotlib", "numpy")}
    said.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*written, rows, said]


def remember(figure: TracedFigure, rows: pd.DataFrame, alt: str) -> TracedFigure:
    """Attach the rows that a figure drew, and what it shows in words."""
    figure.rows, figure.alt = rows.reset_index(drop=True), alt
    return figure
