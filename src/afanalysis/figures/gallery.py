"""Every figure of a study or of the paper: what it needs, how it is drawn, how it came about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afanalysis import figures
from afanalysis.analysis import published
from afanalysis.analysis.conditions import main_variation, of_one_condition
from afanalysis.analysis.judge_assumptions import assumed_judge_error
from afanalysis.analysis.judge_errors import corrected, has_labels, judge_error
from afanalysis.analysis.pairs import prompt_pairs
from afanalysis.analysis.paper import compare
from afanalysis.analysis.quantities import estimates
from afanalysis.analysis.random_effects import pooled_gap
from afanalysis.analysis.rate_tables import gap_by_method, rates
from afanalysis.analysis.scores import score_thresholds
from afanalysis.analysis.scratchpads import stages
from afanalysis.analysis.study_size import power_by_prompts
from afanalysis.analysis.verdict_agreement import label_agreement
from afanalysis.errors import InputError
from afanalysis.study import hashing, paper_tables
from afanalysis.study.folders import LABELS, PAPER, Folders
from afanalysis.study.labels import read_labels
from afanalysis.table.source import opened
from afanalysis.text.wording import in_reading_order

if TYPE_CHECKING:
    import pandas as pd


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

    Raises
    ------
    InputError
        The study has not been run.

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
        if name not in _FIGURES:
            raise InputError(f"there is no figure {name!r}; use one of: {', '.join(NAMES)}")
        plan = _FIGURES[name]
        if self.paper and plan.paper_lacks:
            return f"not drawn: the paper's tables hold no {plan.paper_lacks}"
        if not self.paper and plan.study_lacks:
            return f"not drawn: only the paper has {plan.study_lacks}"
        try:
            tables = plan.tables(self)
        except NotDrawn as reason:
            return f"not drawn: {reason}"
        figure: figures.TracedFigure = getattr(figures, plan.function)(*tables)
        figures.save(figure, self.folders.figures, name, self.made(name))
        return figure

    def is_current(self, name: str) -> bool:
        """Whether a figure is on disk as it would be drawn now, from the same inputs."""
        path = self.folders.figures / f"{name}.json"
        if not path.exists():
            return False
        about = json.loads(path.read_text(encoding="utf-8"))
        return self.made(name).items() <= about.items()

    def made(self, name: str) -> dict[str, Any]:
        """How a figure is made: inputs with their hashes, parameters, the call that redraws it."""
        if self.paper:
            inputs = [paper_tables.folder() / file for file in paper_tables.TABLES.values()]
            shown = {path: f"data/raw/published/{path.name}" for path in inputs}
        else:
            labels = self.folders.raw / LABELS
            inputs = [self.rollouts, labels] if labels.exists() else [self.rollouts]
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
    def default(self) -> pd.DataFrame:
        """The estimates of the main variation and model."""
        return of_one_condition(self.estimates)

    @cached_property
    def corrected(self) -> pd.DataFrame:
        """Raw and corrected rates and gaps.

        Raises
        ------
        NotDrawn
            Nobody has labelled any rollout.
        """
        if not has_labels(self.rollouts):
            raise NotDrawn("nobody has labelled any of this study's rollouts")
        return corrected(self.rollouts, level=self.level)

    @cached_property
    def beside(self) -> pd.DataFrame:
        """The study beside the paper.

        Raises
        ------
        NotDrawn
            They share no condition.
        """
        try:
            return compare(self.estimates, self.default["model"].iloc[0], level=self.level)
        except InputError as reason:
            raise NotDrawn(str(reason)) from reason

    @cached_property
    def default_rollouts(self) -> pd.DataFrame:
        """The rollouts of the main variation and model, without their texts."""
        condition = self.default.iloc[0][["variation", "model"]].tolist()
        with opened(self.rollouts) as source:
            return source.connection.execute(
                "SELECT setting, tier, prompt_id, valid, complied, source FROM rollouts "
                "WHERE variation = ? AND model = ?",
                condition,
            ).df()


def _variations(setting: str) -> Callable[[Gallery], tuple[Any, ...]]:
    def tables(gallery: Gallery) -> tuple[Any, ...]:
        if setting not in set(gallery.estimates["setting"]):
            raise NotDrawn(f"the study has no {setting} setting")
        return gallery.estimates, setting

    return tables


def _against_gap(gallery: Gallery) -> tuple[Any, ...]:
    if "af_reasoning" not in set(gallery.estimates["quantity"]):
        raise NotDrawn("nobody has judged the scratchpads of this study")
    return (gallery.estimates,)


def _models(gallery: Gallery) -> tuple[Any, ...]:
    replication = published.estimates("replication", gallery.level) if gallery.paper else None
    return gallery.estimates, replication


def _stages(gallery: Gallery) -> tuple[Any, ...]:
    table = stages(gallery.rollouts, level=gallery.level)
    if table.empty:
        raise NotDrawn("no judge has said by criteria what the scratchpads hold")
    return (table[table["model"] == gallery.default["model"].iloc[0]],)


def _pairs(gallery: Gallery) -> tuple[Any, ...]:
    return prompt_pairs(gallery.rollouts, level=gallery.level), gallery.default


def _forest(gallery: Gallery) -> tuple[Any, ...]:
    """Of several models the default prompt, of one model all its variations."""
    gaps = gallery.estimates[gallery.estimates["quantity"] == "compliance_gap"]
    if gaps["model"].nunique() > 1:
        gaps = gaps[gaps["variation"] == main_variation(gaps["variation"])]
    data = gaps if gallery.paper else gallery.rollouts
    summary = pooled_gap(data, level=gallery.level)
    if summary.empty:
        raise NotDrawn("the study has one model and one variation only")
    return gaps, summary


def _agreement(gallery: Gallery) -> tuple[Any, ...]:
    source = gallery.corrected["source"].iloc[0]  # reports where labels are missing
    pairs = label_agreement(read_labels(gallery.folders.raw), level=gallery.level)
    return pairs, judge_error(gallery.rollouts, level=gallery.level), source


def _power(gallery: Gallery) -> tuple[Any, ...]:
    free_and_paid = gallery.default[gallery.default["quantity"] == "complied"]
    paid = in_reading_order(free_and_paid[free_and_paid["tier"] == "paid"], "setting").iloc[0]
    icc, origin = 0.3, "rate: the paper's; correlation: a guess"
    if not gallery.paper:
        by_tier = rates(gallery.default_rollouts, by=["setting", "tier"])
        icc = float(by_tier.loc[by_tier["tier"] == "free", "icc"].mean())
        origin = f"as in the {paid['source']} study {gallery.study}"
    table = power_by_prompts(float(paid["estimate"]), icc, level=gallery.level)
    return table.assign(source=paid["source"]), origin


def _thresholds(gallery: Gallery) -> tuple[Any, ...]:
    table = score_thresholds(gallery.rollouts, level=gallery.level)
    if table.empty:
        raise NotDrawn("no verdict of this study is graded")
    return (of_one_condition(table),)


@dataclass(frozen=True)
class _Figure:
    """How a figure is drawn: by which function, from which tables, and who lacks these.

    Attributes
    ----------
    function
        Of `afanalysis.figures`; by its name, because listing the figures must not load matplotlib.
    tables
        Its arguments. Raises `NotDrawn` where the study does not have them.
    paper_lacks, study_lacks
        What the paper's tables, or all studies, do not hold.
    """

    function: str
    tables: Callable[[Gallery], tuple[Any, ...]]
    paper_lacks: str = ""
    study_lacks: str = ""


_FIGURES = {
    "behaviour_by_tier": _Figure("compliance_by_tier", lambda gallery: (gallery.estimates,)),
    "scratchpad_stages": _Figure("scratchpad_stages", _stages, "scratchpads"),
    "paired_prompts": _Figure("paired_prompts", _pairs, "answers prompt by prompt"),
    "variations_helpful-only": _Figure("variations", _variations("helpful-only")),
    "variations_animal-welfare": _Figure("variations", _variations("animal-welfare")),
    "reasoning_against_gap": _Figure("reasoning_against_gap", _against_gap),
    "models": _Figure("models", _models),
    "gap_forest": _Figure("gap_forest", _forest),
    "before_and_after_rl": _Figure(
        "before_and_after_training",
        lambda gallery: (published.estimates("rl", gallery.level),),
        study_lacks="a model before and after reinforcement learning",
    ),
    "synthetic_documents": _Figure(
        "synthetic_documents",
        lambda gallery: (published.synthetic_documents(gallery.level),),
        study_lacks="a model trained on synthetic documents",
    ),
    "beside_paper": _Figure(
        "beside_paper", lambda gallery: (gallery.beside,), "other paper to stand beside"
    ),
    "raw_and_corrected": _Figure(
        "raw_and_corrected", lambda gallery: (gallery.corrected,), "hand labels"
    ),
    "judge_sensitivity": _Figure(
        "judge_sensitivity", lambda gallery: (assumed_judge_error(gallery.estimates),)
    ),
    "score_threshold": _Figure("score_thresholds", _thresholds, "graded scores"),
    "agreement": _Figure("agreement", _agreement, "hand labels"),
    "interval_methods": _Figure(
        "interval_methods",
        lambda gallery: (gap_by_method(gallery.default_rollouts, ["setting"], level=gallery.level),),
        "answers prompt by prompt",
    ),
    "power_curves": _Figure("power_curves", _power),
}

NAMES = tuple(_FIGURES)
