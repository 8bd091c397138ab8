"""Every figure of a study or of the paper: what it needs, how it is drawn, how it came about."""

import textwrap
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from afanalysis import figures
from afanalysis.analysis import published
from afanalysis.analysis.by_reasoning import noncompliance_by_reasoning, reasoning_by_tier
from afanalysis.analysis.conditions import main_variation, of_one_condition
from afanalysis.analysis.judge_assumptions import assumed_judge_error
from afanalysis.analysis.judge_errors import corrected, has_labels, judge_error
from afanalysis.analysis.pairs import prompt_pairs
from afanalysis.analysis.paper import compare
from afanalysis.analysis.quantities import as_estimates
from afanalysis.analysis.random_effects import pooled_gap
from afanalysis.analysis.rate_tables import compliance_gap, gap_by_method, rates
from afanalysis.analysis.scores import score_thresholds
from afanalysis.analysis.scratchpads import stages
from afanalysis.analysis.study_size import power_by_prompts
from afanalysis.analysis.verdict_agreement import label_agreement
from afanalysis.errors import InputError
from afanalysis.study import paper_tables
from afanalysis.study.files import read_json, read_yaml
from afanalysis.study.folders import LABELS, PAPER, Folders
from afanalysis.study.hashing import file_hash
from afanalysis.study.labels import read_labels
from afanalysis.table.source import opened
from afanalysis.text.wording import SETTINGS, in_reading_order


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
        if not self.paper and not self.folders.table.exists():
            raise InputError(f"{self.folders.table}: is missing; run the study first (afanalysis run)")

    def draw(self, name: str) -> figures.TracedFigure | str:
        """Draw a figure and write it with its rows and provenance; or say why it cannot be drawn.

        Raises
        ------
        InputError
            There is no figure of that name.
        """
        if name not in _FIGURES:
            raise InputError(f"there is no figure {name!r}; use one of: {', '.join(NAMES)}")
        try:
            figure = _FIGURES[name](self)
        except InputError as reason:
            return f"not drawn: {reason}"
        figures.save(figure, self.folders.figures, name, self.made(name))
        return figure

    def is_current(self, name: str) -> bool:
        """Whether a figure is on disk as it would be drawn now, from the same inputs."""
        about = read_json(self.folders.figures / f"{name}.json")
        return self.made(name).items() <= about.items()

    def made(self, name: str) -> dict[str, Any]:
        """How a figure is made: inputs with their hashes, parameters, the call that redraws it."""
        return {
            "study": self.study,
            "inputs": self._inputs,
            "parameters": {"level": self.level},
            "redraw": f"afanalysis figure {name} --study {self.study} --level {self.level:g}",
        }

    @cached_property
    def _inputs(self) -> dict[str, str]:
        """The files that all figures are made from, with their hashes."""
        if self.paper:
            files = {f"data/raw/published/{path.name}": path for path in paper_tables.paths()}
        else:
            paths = [path for path in (self.rollouts, self.folders.raw / LABELS) if path.exists()]
            files = {path.relative_to(self.folders.project).as_posix(): path for path in paths}
        return {name: f"sha256:{file_hash(path)}" for name, path in files.items()}

    @property
    def rollouts(self) -> Path:
        """The tidy table.

        Raises
        ------
        InputError
            The paper has none.
        """
        if self.paper:
            raise InputError("the paper's tables hold rates, and no answers, labels or scores")
        return self.folders.table

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """All estimates of the study, or of the paper's variations."""
        if self.paper:
            return published.estimates(level=self.level)
        return as_estimates(self.rollouts, level=self.level)

    @cached_property
    def default(self) -> pd.DataFrame:
        """The estimates of the main variation and model."""
        return of_one_condition(self.estimates)

    @cached_property
    def corrected(self) -> pd.DataFrame:
        """Raw and corrected rates and gaps.

        Raises
        ------
        InputError
            Nobody has labelled any rollout.
        """
        if not has_labels(self.rollouts):
            raise InputError("nobody has labelled any of this study's rollouts")
        return corrected(self.rollouts, level=self.level)

    @cached_property
    def beside(self) -> pd.DataFrame:
        """The study beside the paper.

        Raises
        ------
        InputError
            They share no condition, or it is the paper itself.
        """
        if self.paper:
            raise InputError("the paper's tables hold no other paper to stand beside")
        return compare(self.estimates, self.default["model"].iloc[0], level=self.level)

    @cached_property
    def default_rollouts(self) -> pd.DataFrame:
        """The rollouts of the main variation and model, without their texts."""
        condition = self.default.iloc[0][["variation", "model"]].tolist()
        with opened(self.rollouts) as source:
            return source.connection.execute(
                "SELECT columns(lambda name: name IN ('setting', 'tier', 'prompt_id', 'valid', "
                "'complied', 'refused', 'af_full', 'af_partial', 'source')) FROM rollouts "
                "WHERE variation = ? AND model = ?",
                condition,
            ).df()


def _require_rows(table: pd.DataFrame, problem: str) -> None:
    if table.empty:
        raise InputError(problem)


def _variations(gallery: Gallery, setting: str) -> figures.TracedFigure:
    shown = gallery.estimates[gallery.estimates["setting"] == setting]
    _require_rows(shown, f"the study has no {setting} setting")
    return figures.variations(shown, setting)


def _against_gap(gallery: Gallery) -> figures.TracedFigure:
    reasoning = gallery.estimates["quantity"] == "af_reasoning"
    _require_rows(gallery.estimates[reasoning], "nobody has judged the scratchpads of this study")
    return figures.reasoning_against_gap(gallery.estimates)


def _stages(gallery: Gallery) -> figures.TracedFigure:
    table = stages(gallery.rollouts, level=gallery.level)
    _require_rows(table, "no judge has said by criteria what the scratchpads hold")
    return figures.scratchpad_stages(table[table["model"] == gallery.default["model"].iloc[0]])


def _pairs(gallery: Gallery) -> figures.TracedFigure:
    pairs = prompt_pairs(gallery.rollouts, level=gallery.level)
    _require_rows(pairs, "no prompt was answered in both tiers")
    return figures.paired_prompts(pairs, gallery.default)


def _forest(gallery: Gallery) -> figures.TracedFigure:
    """Of several models the default prompt, of one model all its variations."""
    gaps = gallery.estimates[gallery.estimates["quantity"] == "compliance_gap"]
    if gaps["model"].nunique() > 1:
        gaps = gaps[gaps["variation"] == main_variation(gaps["variation"])]
    data = gaps if gallery.paper else gallery.rollouts
    summary = pooled_gap(data, level=gallery.level).query("conditions > 1")
    _require_rows(summary, "the study has one model and one variation only")
    return figures.gap_forest(gaps, summary)


def _bounds(gallery: Gallery) -> figures.TracedFigure:
    gaps = compliance_gap(gallery.rollouts, level=gallery.level).dropna(subset=["lowest"])
    if not gaps[["missing_free", "missing_paid"]].to_numpy().any():
        raise InputError("no answer of this study is missing")
    return figures.gap_bounds(gaps)


def _agreement(gallery: Gallery) -> figures.TracedFigure:
    source = gallery.corrected["source"].iloc[0]  # reports where labels are missing
    with opened(gallery.rollouts) as rollouts:
        prompts = rollouts.connection.execute("SELECT rollout, prompt_id FROM rollouts").df()
    pairs = label_agreement(read_labels(gallery.folders.raw), prompts, level=gallery.level)
    return figures.agreement(pairs, judge_error(gallery.rollouts, level=gallery.level), source)


def _power(gallery: Gallery) -> figures.TracedFigure:
    by_setting = gallery.default.query("quantity == 'complied' and tier == 'paid'")
    paid = in_reading_order(by_setting, "setting").iloc[0]
    rate = float(paid["estimate"])
    gaps = [gap for gap in (0.02, 0.05, 0.10) if rate + gap <= 1]
    if not gaps:
        raise InputError("the paid tier complies almost always; the free tier cannot comply more often")
    icc, origin = 0.3, "rate: the paper's; correlation: a guess"
    if not gallery.paper:
        by_tier = rates(gallery.default_rollouts, by=["setting", "tier"])
        icc = float(by_tier.loc[by_tier["tier"] == "free", "icc"].mean())
        origin = f"as in the {paid['source']} study {gallery.study}"
    table = power_by_prompts(rate, icc, gaps=gaps, level=gallery.level)
    return figures.power_curves(table.assign(source=paid["source"]), origin)


def _thresholds(gallery: Gallery) -> figures.TracedFigure:
    table = score_thresholds(gallery.rollouts, level=gallery.level)
    _require_rows(table, "no verdict of this study is graded")
    return figures.score_thresholds(of_one_condition(table))


def _with_and_without_scratchpad(gallery: Gallery) -> pd.DataFrame:
    """The main variation and the one without a scratchpad, named as in the paper's Table 5."""
    names = {main_variation(gallery.estimates["variation"]): "default", "no-scratchpad": "no CoT"}
    known = gallery.estimates["variation"].map(names)
    if known.nunique() < 2:
        raise InputError("the study has no variation without a scratchpad beside its main one")
    rows = gallery.estimates.assign(variation=known).dropna(subset=["variation"])
    rows = rows[rows["quantity"].isin(["refused", "compliance_gap"])]
    return rows.assign(model=rows["model"] + ", " + rows["setting"])


_BY_REASONING = {
    "given_af_reasoning": noncompliance_by_reasoning,
    "reasoning_by_tier": reasoning_by_tier,
}

_DECLARED = read_yaml(Path(__file__).with_name("paper_figures.yaml"), "the paper's figures")


def _declared(gallery: Gallery, name: str) -> figures.TracedFigure:
    """A figure of paper_figures.yaml."""
    about, note = _DECLARED[name], _DECLARED[name].get("note", "")
    if gallery.paper:
        parts = [
            published.estimates(table, gallery.level).assign(table=table).query(where)
            for table, where in about["sources"].items()
        ]
        if not parts:
            raise InputError("of the paper it exists as a plot only")
        rows = pd.concat(parts, ignore_index=True)
        names, every = about.get("names", {}), rows.to_dict("records")
        rows["name"] = [names.get(f"{r['table']} {r['row']}", r.get("variation")) for r in every]
        note = f"{about.get('paper_note', '')} {note}".strip()
    elif name in _BY_REASONING:
        rows = _BY_REASONING[name](gallery.default_rollouts, level=gallery.level)
        rows["training"] = gallery.default["model"].iloc[0]
    elif name == "chain_of_thought":
        rows = _with_and_without_scratchpad(gallery)
    else:
        raise InputError("only the paper has these numbers")
    words = rows.assign(setting=rows["setting"].map(SETTINGS)).to_dict("records")
    made = {key: [about[key].format(**row) for row in words] for key in ("heading", "panel", "series")}
    made["name"] = [textwrap.fill(about["name"].format(**row), 44) for row in words]
    order = [*dict.fromkeys(made["heading"]), *about["looks"]]
    rows = rows.assign(**made).sort_values(["heading", "series"], key=lambda key: key.map(order.index))
    drawn = {key: about[key] for key in ("panels", "looks", "unit") if key in about}
    return figures.dots(rows, about["title"], note=note, **drawn)


# How each figure is drawn. Raises `InputError` where the study lacks what it shows.
_FIGURES: dict[str, Callable[[Gallery], figures.TracedFigure]] = {
    "behaviour_by_tier": lambda gallery: figures.compliance_by_tier(gallery.estimates),
    "scratchpad_stages": _stages,
    "paired_prompts": _pairs,
    **{f"variations_{setting}": partial(_variations, setting=setting) for setting in SETTINGS},
    "reasoning_against_gap": _against_gap,
    "models": lambda gallery: figures.models(gallery.estimates),
    "gap_forest": _forest,
    "gap_bounds": _bounds,
    "beside_paper": lambda gallery: figures.beside_paper(gallery.beside),
    "raw_and_corrected": lambda gallery: figures.raw_and_corrected(gallery.corrected),
    "judge_sensitivity": lambda gallery: figures.judge_sensitivity(
        assumed_judge_error(gallery.estimates)
    ),
    "score_threshold": _thresholds,
    "agreement": _agreement,
    "interval_methods": lambda gallery: figures.interval_methods(
        gap_by_method(gallery.default_rollouts, ["setting"], level=gallery.level)
    ),
    "power_curves": _power,
    **{name: partial(_declared, name=name) for name in _DECLARED},
}

NAMES = tuple(_FIGURES)
