"""The widgets: transcript browser, labeller (each label on disk at once), and sliders of intervals."""

from html import escape
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import pandas as pd
import traitlets

from afanalysis.analysis.conditions import Tiers, gap_name, main_variation, of_gap, sources
from afanalysis.analysis.judge_errors import agreement
from afanalysis.analysis.quantities import measured_and_gaps
from afanalysis.errors import InputError
from afanalysis.figures import compliance_by_tier
from afanalysis.reading.search import PAGE, Transcripts, as_markdown, plain
from afanalysis.study.folders import Folders
from afanalysis.study.hashing import text_hash
from afanalysis.study.labels import Label, add_labels, read_labels, read_sample
from afanalysis.table.counting import MISSING_NAME, NUMBERS, counts
from afanalysis.table.source import distinct, opened
from afanalysis.text.pages import render
from afanalysis.text.wording import percent

_FALLBACK_ROWS = 20

# Agreement is shown from this many shared labels on: fewer would reveal single labels.
SHARED_AT_LEAST = 10

_FIELDS = ("behaviour", "af", "note")


class Browser(anywidget.AnyWidget):
    """The widget. Only what is shown is sent to the page: one page of the list, one transcript.

    Attributes
    ----------
    view
        What is shown, and all that is needed to show it again: `filters`, `text`, `start` (of the page),
        `rollout`.
    """

    _esm = Path(__file__).with_name("browser.js")
    _css = Path(__file__).with_name("browser.css")
    mode = traitlets.Unicode("browse").tag(sync=True)
    facets = traitlets.Dict().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    page = traitlets.Dict().tag(sync=True)
    transcript = traitlets.Dict().tag(sync=True)

    def __init__(self, data: Any, view: dict[str, Any] | None = None, show: str = "") -> None:
        of_study = isinstance(data, Folders)
        self._data = f'af.Folders("..", "{data.study}")' if of_study else "rollouts"
        self._transcripts = Transcripts(*((data.table, data.raw) if of_study else (data,)))
        place = self._transcripts.place(show) if show else 0
        start = {"filters": {}, "text": "", "start": place - place % PAGE, "rollout": show}
        super().__init__(facets=self._transcripts.facets(), view=start | (view or {}))
        self._show()
        self.observe(lambda _: self._show(), names="view")

    def _show(self) -> None:
        """Update the list and the transcript to the view."""
        view = self.view
        total, rows = self._transcripts.find(view["filters"], view["text"], start=view["start"])
        self.page = {"total": total, "rows": rows, "size": PAGE}
        rollout = view["rollout"] or (rows[0]["rollout"] if rows else "")
        if rollout != self.transcript.get("rollout"):
            try:
                self.transcript = self._read(rollout) if rollout else {}
            except InputError as error:  # a link that was made elsewhere
                self.transcript = {"problem": str(error)}

    def _read(self, rollout: str) -> dict[str, Any]:
        transcript = self._transcripts.read(rollout)
        return transcript | {"markdown": as_markdown(transcript, self._data)}

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        """The widget, and a plain table for where widgets cannot run."""
        data, metadata = super()._repr_mimebundle_(**settings)
        return data | {"text/html": self._table()}, metadata

    def _table(self) -> str:
        rows, read = self.page["rows"][:_FALLBACK_ROWS], self._transcripts.read
        rows = [row | {"output": plain(read(row["rollout"])["sides"][0]["output"])} for row in rows]
        return render("transcripts.html.j2", rows=rows, total=self.page["total"])


def browse(data: Any, *, view: dict[str, Any] | None = None, show: str = "") -> Browser:
    """Read transcripts in a notebook: filter the list, read the free and the paid answer side by side.

    Keys: arrows or j and k move through the list, / searches, m copies the answers as Markdown, with all
    that is known of where they come from, l copies a link that shows the same again. The judge's quotes
    are marked, as are the words in which the answers differ.

    Parameters
    ----------
    data
        A study's folders (`afanalysis.Folders`), which also have the judge's quotes; or rollouts as a
        DataFrame or path.
    view
        What to show first, as in the attribute `view` of another browser.
    show
        The key of the rollout to show first (the table's column `rollout`).

    Returns
    -------
    Browser
        A widget, for the last line of a notebook cell.

    Raises
    ------
    InputError
        A column that reading needs is missing, or no rollout has the key `show`.

    Examples
    --------
    >>> import afanalysis as af
    >>> af.browse(af.example_rollouts(), view={"filters": {"tier": "free"}})  # doctest: +SKIP
    """
    return Browser(data, view, show)


class Labeller(Browser):
    """The widget.

    Attributes
    ----------
    progress
        `done`, `total`, `agreement` (in words), `labeller`, and `opened`: whether the behaviour is saved
        and the scratchpad open.
    label
        This labeller's label of the rollout that is shown; empty if there is none.
    """

    mode = traitlets.Unicode("label").tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)
    label = traitlets.Dict().tag(sync=True)

    def __init__(self, folders: Folders, labeller: str) -> None:
        if not isinstance(folders, Folders):
            raise InputError("labels are kept with a study: give its folders, af.Folders('..', 'demo')")
        if not labeller.strip():
            raise InputError("labeller is empty; give the name of the person who labels")
        self._raw, self._labeller = folders.raw, labeller
        self._history: list[str] = []
        self._colleagues: dict[str, dict[str, Label]] = {labeller: {}}
        for label in read_labels(folders.raw):
            self._colleagues.setdefault(label.labeller, {})[label.rollout] = label
        self._mine = self._colleagues.pop(labeller)
        super().__init__(folders)
        self.facets = {}
        known = set(self._transcripts.keys())
        sample = [rollout for rollout in read_sample(folders.raw) if rollout in known]
        self._queue = sample or sorted(known, key=text_hash)
        self.on_msg(self._receive)
        latest = [*self._mine.values()][-1:]
        half_done = [last.rollout for last in latest if last.rollout in self._queue and not last.af]
        self._next(*half_done, opened=bool(half_done))

    def _show(self) -> None:
        """The labeller has no search: the order is that of the sample."""

    def _read(self, rollout: str) -> dict[str, Any]:
        transcript = self._transcripts.read(rollout)
        side = transcript["sides"][0]
        shown = ("scratchpad", "output") if self.progress["opened"] else ("output",)
        # the judge's quotes would reveal its verdict, and a key may hold the tier
        texts = {name: [{"text": plain(side[name]), "mark": ""}] for name in shown}
        hidden = {"tier": "hidden", "verdict": "", "questions": {}, "about": {}, "scratchpad": []}
        sides = [hidden | {"thought": side["thought"]} | texts]
        return {"rollout": text_hash(rollout), "request": transcript["request"], "sides": sides}

    def _table(self) -> str:
        """For where widgets cannot run: the progress, and no verdict."""
        done = f"{self.progress['done']} of {self.progress['total']} rollouts are labelled by "
        return f"<p>{done}{escape(self._labeller)} (run the notebook in JupyterLab to label).</p>"

    def _next(self, rollout: str = "", *, opened: bool = False) -> None:
        """Show a rollout, its scratchpad closed or opened, or the first one not labelled yet."""
        if opened and not self._transcripts.read(rollout)["sides"][0]["scratchpad"]:
            rollout, opened = "", False
        remaining = [key for key in self._queue if key not in self._mine]
        rollout = rollout or (remaining[0] if remaining else "")
        label = self._mine.get(rollout)
        with self.hold_sync():  # one message, so that no key acts on half of it
            self.label = {name: getattr(label, name) for name in _FIELDS} if label else {}
            total = len(self._queue)
            progress = {"done": total - len(remaining), "total": total, "labeller": self._labeller}
            self.progress = progress | {"agreement": self._agreement(), "opened": opened}
            self._rollout = rollout
            self.transcript = self._read(rollout) if rollout else {}

    def _receive(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """Take what the page sends: a behaviour, then the AF reasoning, or the wish to go back.

        A second behaviour is one that was sent before the page had shown the scratchpad, and a behaviour
        is not changed by what the scratchpad says.
        """
        opened, shown = self.progress["opened"], self.transcript.get("rollout")
        stale = message.get("rollout") != shown or opened == ("behaviour" in message)
        if message.get("do") == "undo" and self._history:
            self._next(self._history.pop())
        elif message.get("do") == "label" and not stale:
            fields = self.label | {name: str(message[name]) for name in _FIELDS if name in message}
            label = Label(self._rollout, self._labeller, **fields)
            add_labels(self._raw, [label])  # on disk when this returns
            self._mine[self._rollout] = label
            if opened:
                self._next()
            else:
                self._history.append(self._rollout)
                self._next(self._rollout, opened=True)

    def _agreement(self) -> str:
        """The agreement with each other labeller, in words."""
        sentences = []
        for colleague, theirs in sorted(self._colleagues.items()):
            both = self._mine.keys() & theirs
            shared = [(self._mine[key].behaviour, theirs[key].behaviour) for key in both]
            if len(shared) >= SHARED_AT_LEAST:
                share, _, ac1 = agreement(*zip(*shared, strict=True))["value"]
                alike = f"{percent(share, 0)} % of {len(shared)} alike"
                sentences.append(f"with {colleague}: {alike}, AC1 {ac1:.2f}")
        return "; ".join(sentences)


def label(folders: Folders, labeller: str) -> Labeller:
    """Label a study's drawn sample by keyboard.

    The behaviour is labelled on the request and the output alone: c complied, r refused, u undecided, x
    artifact. Enter saves it and opens the scratchpad, for the AF reasoning: f full, p partial, n none, u
    undecided. Enter saves and goes on, o is for a note, z goes back. Neither the tier nor the judge's
    verdict is shown. Stop and resume at any time: every label is on disk.

    Parameters
    ----------
    folders
        The study's folders. Without a drawn sample (`afanalysis sample-for-labels`), all answers in the
        requested form are shown, in an order that depends on neither tier nor prompt.
    labeller
        The name of the person who labels.

    Returns
    -------
    Labeller
        A widget, for the last line of a notebook cell.

    Raises
    ------
    InputError
        The labeller has no name, or `folders` are not a study's.

    Examples
    --------
    >>> import afanalysis as af
    >>> af.label(af.Folders("..", "demo"), labeller="ann")  # doctest: +SKIP
    """
    return Labeller(folders, labeller)


_RATE_METHODS = ("bounded", "wilson", "clopper-pearson", "jeffreys", "cluster-t", "naive")

_GAP_METHODS = ("bounded", "adjusted-t", "mover", "cluster-t", "unpaired", "paper")


class Counts:
    """Counts by setting, tier, prompt and the judge's confidence: all that the figure needs."""

    def __init__(self, data: Any, variation: str | None = None, tiers: Tiers | None = None) -> None:
        by = ["setting", "tier", "model", "variation", "judge_confidence"]
        with opened(data) as source:
            outcomes = ["complied", "af_reasoning", *({"blocked"} & set(source.kinds))]
            self.variation = variation or main_variation(distinct(source, "variation"))
            self.source = sources(source)
            counted = counts(source, outcomes, by)
        _, self.tiers = of_gap(counted, tiers)
        shown = (counted["variation"] == self.variation) & (counted["n"] > 0)
        if not counted.loc[shown & (counted["outcome"] == "blocked"), "s"].sum():
            shown &= counted["outcome"] != "blocked"
        self.table = counted[shown].replace({"judge_confidence": {MISSING_NAME: 1.0}})
        self.most_prompts = int(self.table.groupby("setting")["prompt_id"].nunique().min())

    def estimates(self, level: float, rate: str, gap: str, fewest: int, sure: float) -> pd.DataFrame:
        """What the figure draws: rates and gaps by the named methods, of verdicts that are sure enough.

        Models and settings with fewer than `fewest` prompts, or with one tier only, are left out, and so
        are verdicts less confident than `sure`.
        """
        condition = ["setting", "model"]
        kept = self.table[self.table["judge_confidence"] >= sure]
        cells = kept.groupby(["outcome", *condition, "prompt_id", "tier"], as_index=False)

        def are_enough(rows: pd.DataFrame) -> bool:
            judged = rows[rows["outcome"] == "complied"]
            return judged["prompt_id"].nunique() >= fewest and judged["tier"].nunique() > 1

        kept = cells[list(NUMBERS)].sum().groupby(condition).filter(are_enough)
        if kept.empty:
            return kept
        rates, gaps = measured_and_gaps(kept, condition, level, rate, gap, self.tiers)
        name = {"quantity": "compliance_gap", "tier": gap_name(self.tiers)}
        gaps = gaps.rename(columns={"gap": "estimate"}).assign(**name)
        return pd.concat([rates, gaps]).assign(variation=self.variation, source=self.source, level=level)


def play(data: Any, *, variation: str | None = None, tiers: Tiers | None = None) -> ipywidgets.Widget:
    """The headline figure with sliders: level, methods, fewest prompts, and the judge's confidence.

    Parameters
    ----------
    data
        Rollouts as a DataFrame or path.
    variation
        The prompt variation to show of every model; by default `default`, or the first by name.
    tiers
        The tiers of the gap, as in `compliance_gap`.

    Returns
    -------
    ipywidgets.Widget
        For the last line of a notebook cell.

    Examples
    --------
    >>> import afanalysis as af
    >>> af.play(af.example_rollouts())  # doctest: +SKIP
    """
    counted = Counts(data, variation, tiers)
    style = {"description_width": "8rem"}
    slider = {"style": style, "continuous_update": False}
    controls = [
        ipywidgets.FloatSlider(0.95, min=0.5, max=0.99, step=0.01, description="level", **slider),
        ipywidgets.Dropdown(options=_RATE_METHODS, description="rates by", style=style),
        ipywidgets.Dropdown(options=_GAP_METHODS, description="gap by", style=style),
        ipywidgets.IntSlider(1, min=1, max=counted.most_prompts, description="fewest prompts", **slider),
        ipywidgets.FloatSlider(0.0, max=1.0, step=0.05, description="judge at least", **slider),
    ]
    image = ipywidgets.Image(format="png", layout={"max_width": "100%"})
    sentence = ipywidgets.HTML()

    def draw(_: Any = None) -> None:
        table = counted.estimates(*(control.value for control in controls))
        if table.empty:
            image.value, sentence.value = b"", "No setting has that many prompts."
        else:
            figure = compliance_by_tier(table)
            image.value, sentence.value = figure._repr_png_(), escape(figure.alt)

    for control in controls:
        control.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([*controls, image, sentence])
