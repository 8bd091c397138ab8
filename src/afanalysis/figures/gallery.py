"""Every figure of a study or of the paper: what it needs, how it is drawn, how it came about."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
from afanalysis import figures
from afanalysis.analysis import published
from afanalysis.analysis.conditions import main_variation
from afanalysis.analysis.judge_errors import corrected, has_labels, judge_error
from afanalysis.analysis.paper import compare
from afanalysis.analysis.quantities import estimates
from afanalysis.analysis.rate_tables import compliance_gap, rates
from afanalysis.analysis.scores import score_thresholds
from afanalysis.analysis.scratchpads import stages
from afanalysis.analysis.verdict_agreement import label_agreement
from afanalysis.errors import InputError
from afanalysis.stats.gap_intervals import METHODS
from afanalysis.study import hashing, paper_tables
from afanalysis.study.folders import LABELS, PAPER, Folders
from afanalysis.study.labels import read_labels
from afanalysis.table.source import distinct, opened


@cache
def file_hash(path: Path, changed: int) -> str:
    """The SHA-256 of a file as it was at a time of change."""
    return hashing.file_hash(path)


class NotDrawn(Exception):
    """A figure whose data this study does not have; the message says which."""


class Gallery:
    """The figures of one study, or of the paper.

    Parameters
    ----------
    study
        A study's name; `paper` for the published tables.
    project
        The folder that holds `data/` and `figures/`.
    level
        Confidence level of the intervals, in (0, 1).

    Examples
    --------
    >>> "behaviour_by_tier" in NAMES
    True
    """

    def __init__(self, study: str, project: str | Path = "..", *, level: float = 0.95) -> None:
        self.study, self.level = study, level
        self.paper = study == PAPER
        self.folders = Folders(project, study)
        self.rollouts = self.folders.table
        if not self.paper and not self.rollouts.exists():
            raise InputError(f"{self.rollouts}: is missing; run the study first (afanalysis run)")

    def draw(self, name: str) -> figures.TracedFigure | str:
        """Draw a figure and write it with its rows and provenance; or say why it cannot be drawn.

        Raises
        ------
        InputError
            There is no figure of that name.
        """
        if name not in _DRAWN_BY:
            raise InputError(f"there is no figure {name!r}; use one of: {', '.join(NAMES)}")
        try:
            figure = _DRAWN_BY[name](self)
        except NotDrawn as reason:
            return f"not drawn: {reason}"
        figures.save(figure, self.folders.figures, name, self.made(name))
        return figure

    def is_current(self, name: str) -> bool:
        """Whether a figure is on disk as it would be drawn now, from the same inputs."""
        path = self.folders.figures / f"{name}.json"
        if not path.exists():
            return False
        said = json.loads(path.read_text(encoding="utf-8"))
        return self.made(name).items() <= said.items()

    def made(self, name: str) -> dict[str, Any]:
        """How a figure is made: inputs with their hashes, parameters, the call that redraws it."""
        if self.paper:
            inputs = [paper_tables.folder() / file for file in paper_tables.TABLES.values()]
            shown = {path: f"data/raw/published/{path.name}" for path in inputs}
        else:
            inputs = [self.rollouts]
            if (self.folders.raw / LABELS).exists():
                inputs.append(self.folders.raw / LABELS)
            shown = {path: path.relative_to(self.folders.project).as_posix() for path in inputs}
        return {
            "study": self.study,
            "inputs": {
                shown[path]: f"sha256:{file_hash(path, path.stat().st_mtime_ns)}" for path in inputs
            },
            "parameters": {"level": self.level},
            "redraw": f"afanalysis figure {name} --study {self.study} --level {self.level:g}",
        }

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """All estimates of the study, or of the paper's variations."""
        if self.paper:
            return published.estimates(level=self.level)
        return estimates(self.rollouts, level=self.level)

    @cached_property
    def corrected(self) -> pd.DataFrame:
        """Raw and corrected rates and gaps."""
        self.needs_rollouts("hand labels")
        if not has_labels(self.rollouts):
            raise NotDrawn("nobody has labelled any of this study's rollouts")
        return corrected(self.rollouts, level=self.level)

    def one_condition(self, *columns: str) -> pd.DataFrame:
        """The rollouts of the main variation and the first model, without their texts."""
        with opened(self.rollouts) as source:
            names = ", ".join(["setting", "tier", "prompt_id", "valid", *columns])
            return source.connection.execute(
                f"SELECT {names} FROM rollouts WHERE variation = ? "
                "AND model = (SELECT min(model) FROM rollouts)",
                [main_variation(distinct(source, "variation"))],
            ).df()

    def needs_rollouts(self, what: str) -> None:
        """Raise `NotDrawn` for the paper, whose rollouts are not published in this form."""
        if self.paper:
            raise NotDrawn(f"the paper's tables hold no {what}")

    def needs_paper(self, what: str) -> None:
        """Raise `NotDrawn` for a study."""
        if not self.paper:
            raise NotDrawn(f"only the paper has {what}")


def _variations(setting: str) -> Callable[[Gallery], figures.TracedFigure]:
    def draw(gallery: Gallery) -> figures.TracedFigure:
        if setting not in set(gallery.estimates["setting"]):
            raise NotDrawn(f"the study has no {setting} setting")
        return figures.variations(gallery.estimates, setting)

    return draw


def _against_gap(gallery: Gallery) -> figures.TracedFigure:
    if "af_reasoning" not in set(gallery.estimates["quantity"]):
        raise NotDrawn("nobody has judged the scratchpads of this study")
    return figures.reasoning_against_gap(gallery.estimates)


def _models(gallery: Gallery) -> figures.TracedFigure:

    replication = published.estimates("replication", gallery.level) if gallery.paper else None
    return figures.models(gallery.estimates, replication)


def _training(gallery: Gallery) -> figures.TracedFigure:

    gallery.needs_paper("a model before and after reinforcement learning")
    return figures.before_and_after_training(published.estimates("rl", gallery.level))


def _documents(gallery: Gallery) -> figures.TracedFigure:

    gallery.needs_paper("a model trained on synthetic documents")
    return figures.synthetic_documents(gallery.estimates, published.table("headline"))


def _stages(gallery: Gallery) -> figures.TracedFigure:

    gallery.needs_rollouts("scratchpads")
    found = stages(gallery.rollouts, level=gallery.level)
    if found.empty:
        raise NotDrawn("no judge has said by criteria what the scratchpads hold")
    return figures.scratchpad_stages(found[found["model"] == found["model"].min()])


def _paired(gallery: Gallery) -> figures.TracedFigure:
    gallery.needs_rollouts("answers prompt by prompt")
    return figures.paired_prompts(gallery.rollouts, level=gallery.level)


def _forest(gallery: Gallery) -> figures.TracedFigure:
    if gallery.estimates.groupby("setting")[["model", "variation"]].nunique().to_numpy().max() < 2:
        raise NotDrawn("the study has one model and one variation only")
    return figures.gap_forest(gallery.estimates, level=gallery.level)


def _methods(gallery: Gallery) -> figures.TracedFigure:
    import pandas as pd

    gallery.needs_rollouts("answers prompt by prompt")
    default = gallery.one_condition("complied")
    parts = [
        compliance_gap(default, ["setting"], method=method, level=gallery.level) for method in METHODS
    ]
    source = gallery.estimates["source"].iloc[0]
    return figures.interval_methods(pd.concat(parts).assign(source=source, level=gallery.level))


def _judge_sensitivity(gallery: Gallery) -> figures.TracedFigure:
    return figures.judge_sensitivity(gallery.estimates)


def _corrected(gallery: Gallery) -> figures.TracedFigure:
    return figures.raw_and_corrected(gallery.corrected)


def _agreement(gallery: Gallery) -> figures.TracedFigure:

    source = gallery.corrected["source"].iloc[0]  # says where labels are missing
    pairs = label_agreement(read_labels(gallery.folders.raw), level=gallery.level)
    errors = judge_error(gallery.rollouts, level=gallery.level)
    return figures.agreement(pairs, errors, source)


def _power(gallery: Gallery) -> figures.TracedFigure:

    estimates = gallery.estimates
    default = estimates[
        (estimates["variation"] == main_variation(estimates["variation"]))
        & (estimates["quantity"] == "complied")
        & (estimates["tier"] == "paid")
    ].sort_values("setting", ascending=False)
    paid = float(default["estimate"].iloc[0])
    if gallery.paper:
        return figures.power_curves(paid, 0.3, "rate: the paper's; ICC: a guess", level=gallery.level)
    by_tier = rates(gallery.one_condition("complied"), by=["setting", "tier"])
    source = estimates["source"].iloc[0]
    icc = float(by_tier.loc[by_tier["tier"] == "free", "icc"].mean())
    return figures.power_curves(
        paid, icc, f"as in the {source} study {gallery.study}", level=gallery.level
    )


def _thresholds(gallery: Gallery) -> figures.TracedFigure:

    gallery.needs_rollouts("graded scores")
    found = score_thresholds(gallery.rollouts, level=gallery.level)
    if found.empty:
        raise NotDrawn("no verdict of this study is graded")
    main = found["variation"] == main_variation(found["variation"])
    return figures.score_thresholds(found[main & (found["model"] == found["model"].min())])


def _beside(gallery: Gallery) -> figures.TracedFigure:

    gallery.needs_rollouts("other paper to stand beside")
    model = str(gallery.estimates["model"].min())
    try:
        both = compare(gallery.estimates, model, level=gallery.level)
    except InputError as reason:
        raise NotDrawn(str(reason)) from reason
    return figures.beside_paper(both)


_DRAWN_BY: dict[str, Callable[[Gallery], figures.TracedFigure]] = {
    "behaviour_by_tier": lambda gallery: figures.compliance_by_tier(gallery.estimates),
    "scratchpad_stages": _stages,
    "paired_prompts": _paired,
    "variations_helpful-only": _variations("helpful-only"),
    "variations_animal-welfare": _variations("animal-welfare"),
    "reasoning_against_gap": _against_gap,
    "models": _models,
    "gap_forest": _forest,
    "before_and_after_rl": _training,
    "synthetic_documents": _documents,
    "beside_paper": _beside,
    "raw_and_corrected": _corrected,
    "judge_sensitivity": _judge_sensitivity,
    "score_threshold": _thresholds,
    "agreement": _agreement,
    "interval_methods": _methods,
    "power_curves": _power,
}

NAMES = tuple(_DRAWN_BY)
