"""What all figures share: sizes, colours, panels, rows, the note on the data, and how they are saved."""

import html
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from fontTools import subset
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Patch
from matplotlib.text import Text
from PIL import Image

from afanalysis.analysis.conditions import main_variation, of_one_condition
from afanalysis.study.files import write_csv, write_json, written_whole
from afanalysis.text.untrusted import escape_invisible
from afanalysis.text.wording import SETTINGS, SIZES, TIERS, USUAL, in_order, percent, scratchpad_note

MM = 1 / 25.4

DOUBLE_COLUMN = 180 * MM

# One colour per meaning in every figure; told apart in grey and by the colour-blind (after Okabe & Ito).
INK = "#222222"

FAINT = "#767676"

COMPLIANT = "#56B4E9"

FAKING = "#D55E00"

NONCOMPLIANT = "#D9D9D9"

UNSPLIT = "#A9CFE8"

FREE = "#0072B2"

PAID = "#E69F00"

GAP = "#009E73"

BLOCKED = "#CC79A7"

SIMULATED = "#B00020"

# Of tiers that are not in the gap.
OTHER_TIERS = ("#332288", "#882255", "#999933")

# The looks of what is made of estimates, for `dots`.
# In grey, series differ by their marker.
MARKERS = {FREE: "s", PAID: "D", FAKING: "^", GAP: "o"}

MEASURES = {"af_reasoning": {"color": "FAKING"}, "compliance_gap": {"color": "GAP"}}

AF_LABEL = "AF reasoning in training (%)"

# Dates and names of programs would make the bytes of two runs differ.
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "png": {"Software": None},
}


# A PDF names each glyph and its place, so the fonts in it need no rules for joining and placing letters;
# reading those takes most of the time of writing one.
subset.Options._drop_tables_default += ["GDEF", "GPOS", "GSUB", "MATH"]


# The figures' style, for as long as a block or a decorated function lasts.
styled = partial(
    mpl.rc_context,
    mpl.rc_params_from_file(Path(__file__).with_name("figures.mplstyle"), use_default_template=False),
)


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
    _png: bytes = b""

    @styled()
    def written(self, kind: str) -> bytes:
        """The figure as `svg`, `pdf` or `png`; the same bytes whenever the rows are the same."""
        self._show_hidden_characters()
        if engine := self.get_layout_engine():
            engine.execute(self)
            self.set_layout_engine(None)
        # a PNG is a tenth larger than at matplotlib's level 6, and packed in a third of the time
        packing = {"pil_kwargs": {"compress_level": 1}} if kind == "png" else {}
        content = io.BytesIO()
        self.savefig(content, format=kind, metadata=_METADATA[kind], **packing)
        if kind == "png":
            self._png = content.getvalue()
        return content.getvalue()

    def _show_hidden_characters(self) -> None:
        for text in self.findobj(Text):
            text.set_text(escape_invisible(text.get_text()))
        for axis in (axis for axes in self.axes if axes.axison for axis in (axes.xaxis, axes.yaxis)):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            shown = list(map(escape_invisible, labels))
            if shown != labels:  # else its ticks stay as they are
                axis.set_ticks(axis.get_ticklocs(), shown)

    def _repr_png_(self) -> bytes:
        """The PNG that was written, at half its resolution, so that notebooks stay small."""
        shown = io.BytesIO()
        with Image.open(io.BytesIO(self._png or self.written("png"))) as picture:
            picture.reduce(2).save(shown, format="png")
        return shown.getvalue()

    def _ipython_display_(self) -> None:
        """In notebooks: the figure, and below it what it shows."""
        from IPython.display import display

        display({"image/png": self._repr_png_(), "text/plain": self.heading}, raw=True)
        display({"text/html": f"<p>{html.escape(self.alt)}</p>", "text/plain": self.alt}, raw=True)


def new_figure(width: float, height: float) -> TracedFigure:
    """An empty figure of a size in inches."""
    figure = TracedFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def main_rows(estimates: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model's main variation in each setting; of published numbers, claude-3-opus."""
    if set(estimates["source"]) == {"published"}:
        return of_one_condition(estimates)
    main = estimates.groupby(["model", "setting"])["variation"].transform(main_variation)
    return estimates[estimates["variation"] == main]


def completed(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The table with the usual values of those of these columns that it lacks."""
    return table.assign(**{name: USUAL[name] for name in names if name not in table})


def gap_tiers(table: pd.DataFrame) -> tuple[str, str]:
    """The training and the unmonitored tier whose difference the gaps of a table are.

    Parameters
    ----------
    table
        Estimates, whose gaps name their tiers; or gaps, with the columns `missing_…` of both tiers.
    """
    if "quantity" in table:
        gaps = table.loc[table["quantity"] == "compliance_gap", "tier"]
        training, _, unmonitored = TIERS[gaps.iloc[0]].partition(" − ")
        return training, unmonitored
    names = [name.removeprefix("missing_") for name in table if name.startswith("missing_")]
    training, unmonitored = names or ("free", "paid")
    return training, unmonitored


def gap_label(tiers: tuple[str, str]) -> str:
    """The label of an axis of gaps."""
    return f"compliance gap, {' − '.join(tiers)} (points)"


def measures(estimates: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """The estimates of AF reasoning in training and of the gap, and the labels of those there are."""
    tiers = gap_tiers(estimates)
    in_training = (estimates["quantity"] == "af_reasoning") & (estimates["tier"] == tiers[0])
    rows = estimates[in_training | (estimates["quantity"] == "compliance_gap")]
    labels = {"af_reasoning": AF_LABEL, "compliance_gap": gap_label(tiers)}
    return rows, {name: label for name, label in labels.items() if name in set(rows["quantity"])}


def tier_looks(
    names: Iterable[str], tiers: tuple[str, str], roles: Mapping[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """The colour of each tier and its words with its role: the gap's first, others, the gap's second."""
    roles = {**(roles or {}), tiers[0]: "training", tiers[1]: "unmonitored"}
    others = [name for name in in_order(names) if name not in tiers]
    colors = {tiers[0]: FREE, **dict(zip(others, cycle(OTHER_TIERS))), tiers[1]: PAID}
    words = {name: f"{TIERS[name]}\n({role})" for name, role in roles.items()}
    return {name: (color, words.get(name, TIERS[name])) for name, color in colors.items()}


class Panel(NamedTuple):
    """A panel per setting and model: its words, its rows, and its axes from the top down."""

    name: str
    rows: pd.DataFrame
    axes: list[Axes]


def setting_panels(
    rows: pd.DataFrame, height: float, label: str = "", down: int = 1, **sharing: Any
) -> tuple[TracedFigure, list[Panel]]:
    """A figure with a column of panels per setting, and panels per model one below the other.

    Parameters
    ----------
    rows
        Has the column `setting`; several values of `model` make panels of their own.
    height
        In inches, with one model.
    label
        Of the vertical axes, at the first panel of each row.
    down
        The number of panels of a setting and model; the uppermost bears their names.
    sharing
        As `Figure.subplots` takes it; the vertical axis is shared unless it says otherwise.

    Returns
    -------
    figure, panels
        The panels that have rows.
    """
    rows = rows.assign(setting=rows.get("setting", ""))
    settings = in_order(rows["setting"])
    models = sorted(rows["model"].unique(), key=str) if "model" in rows else [""]
    height += (height - 0.8) * (len(models) - 1)
    figure = new_figure(DOUBLE_COLUMN * (0.4 + 0.3 * len(settings)), height)
    count = down * len(models)
    axes = figure.subplots(count, len(settings), squeeze=False, **({"sharey": True} | sharing))
    panels = []
    for row, model in enumerate(models):
        of_model = rows[rows["model"] == model] if len(models) > 1 else rows
        for setting, column in zip(settings, axes[row * down : (row + 1) * down].T, strict=True):
            part = of_model[of_model["setting"] == setting]
            name = SETTINGS[setting] + (f", {model}" if len(models) > 1 else "")
            column[0].set_title(name if len(models) > 1 or not name else f"{name} setting")
            if part.empty:
                column[0].text(0.5, 0.5, "no numbers", transform=column[0].transAxes, ha="center")
            else:
                column[-1].tick_params(labelbottom=True)
                panels.append(Panel(name, part, list(column)))
    for first in axes[:, 0]:
        first.set_ylabel(label)
    return figure, panels


class Row(NamedTuple):
    """A named row of a figure: its place from the top, in lines of text."""

    place: float
    label: str
    is_heading: bool = False


def place_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, list[Row]]:
    """Give each distinct `heading` and `name` a row of its own, from the top down.

    Parameters
    ----------
    table
        In the order of the rows; without a heading where that is empty.

    Returns
    -------
    table, rows
        The table with the column `place`, and the names of rows and headings.
    """
    rows: list[Row] = []
    places: dict[tuple[str, str], float] = {}
    headings, line = [""], 0.0
    for heading, name in dict.fromkeys(zip(table["heading"], table["name"], strict=True)):
        if heading not in headings:
            headings.append(heading)
            line += 0.4 if rows else 0.0
            rows.append(Row(line, heading, is_heading=True))
            line += 1
        extra = 0.85 * str(name).count("\n")
        places[heading, name] = line + extra / 2
        rows.append(Row(places[heading, name], str(name)))
        line += 1 + extra
    pairs = zip(table["heading"], table["name"], strict=True)
    return table.assign(place=[places[pair] for pair in pairs]), rows


def spread(table: pd.DataFrame, *keys: str) -> pd.Series:
    """Where the points of one row stand beside its middle: 0 for a single one."""
    points_of_row = table.groupby(list(keys))[keys[0]]
    several = points_of_row.transform("size") - 1
    return 0.34 * (points_of_row.cumcount() - several / 2) / several.clip(lower=1)


def row_panels(
    rows: Sequence[Row], count: int = 1, *, line: float = 0.165, width: float = 1.0, **grid: Any
) -> tuple[TracedFigure, list[Axes]]:
    """A figure with panels beside each other that share named rows.

    Parameters
    ----------
    rows
        What `place_rows` gives.
    count
        The number of panels.
    line
        Inches per row.
    width
        Share of the double column.
    grid
        As `Figure.subplots` takes it.
    """
    figure = new_figure(width * DOUBLE_COLUMN, 1.1 + line * (rows[-1].place + 1))
    panels = list(figure.subplots(1, count, sharey=True, squeeze=False, **grid)[0])
    name_rows(panels, rows)
    return figure, panels


def name_rows(panels: Sequence[Axes], rows: Sequence[Row]) -> None:
    """Name the rows that panels share, from the top down, at the first column; headings in bold."""
    for axes in panels:
        if axes is not panels[0] and not axes.get_subplotspec().is_first_col():
            axes.yaxis.set_visible(False)
            continue
        axes.set_yticks([row.place for row in rows], [row.label for row in rows], linespacing=1.0)
        for text, row in zip(axes.get_yticklabels(), rows, strict=True):
            text.set_fontweight("bold" if row.is_heading else "normal")
        axes.set_ylim(rows[-1].place + 0.6, -0.6)


def row_axes(axes: Axes, label: str) -> None:
    """An axes whose rows are conditions: a grid for the values, a line at 0, no vertical axis."""
    axes.grid(axis="x")
    axes.axvline(0, color=FAINT, lw=0.6, zorder=0.9)
    axes.tick_params(axis="y", length=0, left=False)
    axes.yaxis.set_label_coords(0, 0.5)  # there is no label that would have to keep clear of the rows
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)


def points(
    axes: Axes,
    places: Any,
    rows: pd.DataFrame,
    *,
    along: str = "x",
    ends: Sequence[str] = ("estimate", "low", "high"),
    unit: Any = 100,
    **look: Any,
) -> None:
    """Draw estimates with their intervals, proportions in percent unless another unit is given.

    Parameters
    ----------
    places
        One per row, on the axis across that of the estimates.
    rows
        Proportions.
    along
        `x` or `y`: the axis of the estimates.
    ends
        The columns of the estimate and of both ends of its interval.
    unit
        By what they are multiplied.
    """
    estimate, low, high = (unit * rows[name].to_numpy(float) for name in ends)
    reach = [np.maximum(estimate - low, 0), np.maximum(high - estimate, 0)]
    x, y = (estimate, places) if along == "x" else (places, estimate)
    marker = MARKERS.get(look.get("color", INK), "o")
    bars = {"marker": marker, "ls": "", "ms": 3, "lw": 0.9, "color": INK, f"{along}err": reach}
    axes.errorbar(x, y, **(bars | look))


def fill(color: str, label: str = "") -> dict[str, Any]:
    """How a bar of a colour looks: AF reasoning is hatched, what was blocked dotted."""
    hatch = {FAKING: "////", BLOCKED: "...."}.get(color)
    hatched = {"hatch": hatch} if hatch else {}
    return {"facecolor": color, "edgecolor": "white", "linewidth": 0.6, "label": label, **hatched}


def legend_of_fills(figure: Figure, labels: dict[str, str]) -> None:
    """A legend of bars at the right: labels by colour."""
    handles = [Patch(**fill(color, label)) for color, label in labels.items()]
    figure.legend(handles=handles, loc="outside right center", handleheight=1.2)


def legend_of(figure: Figure, axes: Axes, where: str, **look: Any) -> Legend:
    """The legend of one axes beside or above all of them: `right center`, …"""
    return figure.legend(*axes.get_legend_handles_labels(), loc=f"outside {where}", **look)


# What a gap's sample size counts.
OF_GAP = "rollouts per gap, in the tier with fewer"


def sample_size_note(n: pd.Series, of: str = "rollouts per rate") -> str:
    """'n = 84 to 383 rollouts per rate.' or, where all are alike, 'n = 192 rollouts per rate.'"""
    sizes = dict.fromkeys(f"{end:.0f}" for end in (n.min(), n.max()))
    return f"n = {' to '.join(sizes)} {of}."


def size_origin_note(rows: pd.DataFrame) -> str:
    """How the sample sizes of printed rows are known, as a sentence."""
    if "n_is" not in rows:
        return ""
    # of two numbers of a row n may be known in two ways; "largest" comes before "printed"
    kinds = rows.dropna(subset="n_is").sort_values("n_is").drop_duplicates("row")["n_is"].value_counts()
    words = "; ".join(f"{kinds[kind]} {phrase}" for kind, phrase in SIZES.items() if kind in kinds)
    return f"n of the rows: {words}." if words else ""


def left_out_note(rows: pd.DataFrame) -> str:
    """The largest share of answers that do not count in a rate, as a sentence."""
    names = [name for name in rows if name == "left_out" or name.startswith("missing_")]
    shares = rows[names].to_numpy(float)
    most = np.nanmax(shares) if np.isfinite(shares).any() else 0.0
    return f"Up to {percent(most)} % of the answers of a rate are left out." if most else ""


def finish(
    figure: TracedFigure, heading: str, rows: pd.DataFrame, alt: str, note: str, *, bars: bool = True
) -> TracedFigure:
    """Put title and note on a figure, and attach what it drew.

    Parameters
    ----------
    heading
        The title.
    rows
        What was drawn, with `source`, and with `level` if not 0.95.
    alt
        What the figure shows, in sentences.
    note
        What else a reader must know, under the figure: behind the source of the data and before the
        meaning of AF.
    bars
        Whether intervals are drawn, which the note then explains.
    """
    figure.suptitle(heading, x=0.01, ha="left", fontsize=9, fontweight="bold")
    sources = ", ".join(sorted(set(rows["source"])))
    simulated = "simulated" in sources
    source = {
        "published": "Published numbers of Greenblatt et al. 2024 (arXiv:2412.14093).",
        "simulated": "SIMULATED: made-up answers of the local stand-in; no real model was asked.",
    }.get(sources, f"Source: {sources}.")
    levels = rows["level"].dropna().unique() if "level" in rows else [0.95]
    percents = " or ".join(f"{100 * level:g} %" for level in levels)
    meaning = f"Bars: {percents} intervals. " if bars else ""
    read = scratchpad_note(rows.get("scratchpad_from", ()))
    texts = " ".join(text.get_text() for text in figure.findobj(Text))
    shown = [note, *(_the_only(rows, name, texts) for name in ("model", "variation"))]
    said = [alt, *(_the_only(rows, name, alt) for name in ("model", "variation"))]
    alt = " ".join(filter(None, ["Simulated." * simulated, *said]))
    alt = alt.replace("AF reasoning", "AF (alignment-faking) reasoning", 1)
    figure.rows, figure.alt, figure.heading = rows.reset_index(drop=True), alt, heading
    remark = rows.attrs.get("remark", "")
    note = " ".join(filter(None, [*shown, remark, size_origin_note(rows), left_out_note(rows), read]))
    spelled = " AF: alignment faking." if "AF" in note + texts else ""
    note = f"{source} {meaning}{note}{spelled}".strip()
    letters = int(figure.get_figwidth() / MM * (0.78 if simulated else 0.92))
    wrap = partial(textwrap.wrap, note, break_on_hyphens=False)
    fewest = len(wrap(letters))  # lines of one length, so that no word stands alone
    narrowest = next(
        width for width in range(len(note) // fewest, letters + 1) if len(wrap(width)) == fewest
    )
    color, weight = (SIMULATED, "bold") if simulated else (FAINT, "normal")
    look = {"x": 0.01, "ha": "left", "fontsize": 6, "color": color, "fontweight": weight}
    figure.supxlabel("\n".join(wrap(narrowest)), **look)
    return figure


def _the_only(rows: pd.DataFrame, column: str, texts: str) -> str:
    """The one model or prompt variation that is shown, as a sentence, unless the texts name it."""
    names = rows[column].dropna().unique() if column in rows else []
    if len(names) != 1 or str(names[0]) in texts:
        return ""
    return f"{column.capitalize()}: {names[0]}."


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

    Returns
    -------
    list of Path
        The files written: NAME.svg, NAME.pdf, NAME.png, NAME.csv and NAME.json.

    Examples
    --------
    >>> import tempfile
    >>> import afanalysis as af
    >>> figure = af.figures.compliance_by_tier(af.published.estimates())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(*(path.name for path in save(figure, folder, "tiers")))
    tiers.svg tiers.pdf tiers.png tiers.csv tiers.json
    """
    about = {"name": name, "heading": figure.heading, "alt": figure.alt, **(made or {})}
    about["versions"] = {library: version(library) for library in ("afanalysis", "matplotlib", "numpy")}
    paths = [Path(folder, f"{name}.{kind}") for kind in (*_METADATA, "csv", "json")]
    for path, kind in zip(paths, _METADATA, strict=False):
        with written_whole(path) as temporary:
            temporary.write_bytes(figure.written(kind))
    write_csv(paths[-2], figure.rows, float_format="%.6g")
    write_json(paths[-1], about)
    return paths
