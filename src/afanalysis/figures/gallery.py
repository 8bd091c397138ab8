"""Every figure of a study or of the paper: what it needs, how it is drawn, how it came about."""

import textwrap
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from afanalysis import figures
from afanalysis.analysis import judge_errors, published
from afanalysis.analysis.conditions import TIERS, gap_name, main_variation
from afanalysis.analysis.differences import contrast, pooled_gap, prompt_pairs
from afanalysis.analysis.established import findings
from afanalysis.analysis.paper import compare
from afanalysis.analysis.quantities import as_estimates
from afanalysis.analysis.rate_tables import compliance_gap, gap_by_method, rates, score_thresholds
from afanalysis.analysis.scratchpads import noncompliance_by_reasoning, reasoning_by_tier, stages
from afanalysis.analysis.study_size import assumed_from, power_by_prompts
from afanalysis.errors import InputError
from afanalysis.figures import style
from afanalysis.study import paper_tables
from afanalysis.study.design import Study
from afanalysis.study.files import read_json, read_yaml
from afanalysis.study.folders import LABELS, MANIFEST, PAPER, Folders
from afanalysis.study.hashing import file_hash
from afanalysis.study.labels import read_labels
from afanalysis.study.loading import load
from afanalysis.table.schema import SCHEMA
from afanalysis.table.source import columns, distinct, opened
from afanalysis.text.wording import SETTINGS, USUAL, in_reading_order


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
        if name not in self.names:
            raise InputError(f"there is no figure {name!r}; use one of: {', '.join(self.names)}")
        own = partial(_variations, setting=name.removeprefix("variations_"))
        try:
            figure = _FIGURES.get(name, own)(self)
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
        redraw = f"afanalysis figure {name} --study {self.study} --level {self.level:g}"
        made = {"study": self.study, "inputs": self._inputs, "parameters": {"level": self.level}}
        return made | {"redraw": redraw}

    @cached_property
    def _inputs(self) -> dict[str, str]:
        """The files that all figures are made from, with their hashes."""
        if self.paper:
            files = {f"data/raw/published/{path.name}": path for path in paper_tables.paths()}
        else:
            paths = [path for path in (self.folders.table, self.folders.raw / LABELS) if path.exists()]
            files = {path.relative_to(self.folders.project).as_posix(): path for path in paths}
        return {name: f"sha256:{file_hash(path)}" for name, path in files.items()}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the figures: those that every study has, and one per setting of its own."""
        settings = [] if self.paper else distinct(self.rollouts, "setting")
        own = [f"variations_{name}" for name in settings if name not in SETTINGS]
        return *NAMES, *own

    @cached_property
    def design(self) -> Study | None:
        """The study as its manifest holds it, if it has one."""
        path = self.folders.raw / MANIFEST
        study = read_json(path).get("study")
        return Study.checked(study, path) if study else None

    @property
    def tiers(self) -> tuple[str, str]:
        """The training and the unmonitored tier whose difference is the gap."""
        return self.design.gap_tiers if self.design else TIERS

    @property
    def how(self) -> dict[str, Any]:
        """What functions that make gaps are told: the level, and the tiers unless they are usual."""
        return {"level": self.level, "tiers": None if self.tiers == TIERS else self.tiers}

    @property
    def roles(self) -> dict[str, str]:
        """The roles of the study's tiers, as far as they are known."""
        return self.design.tier_roles if self.design else {}

    @cached_property
    def lacking(self) -> dict[str, Any]:
        """The usual values of the columns that the tidy table lacks."""
        known = columns(self.folders.table)
        return {name: usual for name, usual in USUAL.items() if name not in known}

    @cached_property
    def rollouts(self) -> Path | pd.DataFrame:
        """The tidy table; with the usual values of the columns that it lacks.

        Raises
        ------
        InputError
            The paper has none.
        """
        if self.paper:
            raise InputError("the paper's tables hold rates, and no answers, labels or scores")
        table = self.folders.table
        return load(table).assign(**self.lacking) if self.lacking else table

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """All estimates of the study, or of the paper's variations."""
        if self.paper:
            return published.estimates(level=self.level)
        return as_estimates(self.rollouts, **self.how)

    @cached_property
    def default(self) -> pd.DataFrame:
        """The estimates of every model's main variation; of the paper, of claude-3-opus."""
        return style.main_rows(self.estimates)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """What the study, or the paper, shows; see `afanalysis.established`."""
        is_ended = "ended" in read_json(self.folders.raw / MANIFEST)
        doubts = ["it was looked at while it ran, which the intervals ignore"] * is_ended
        return findings(self.estimates if self.paper else self.rollouts, **self.how, doubts=doubts)

    @cached_property
    def corrected(self) -> pd.DataFrame:
        """Raw and corrected rates and gaps.

        Raises
        ------
        InputError
            Nobody has labelled any rollout.
        """
        if not judge_errors.has_labels(self.rollouts):
            raise InputError("nobody has labelled any of this study's rollouts")
        return judge_errors.corrected(self.rollouts, **self.how)

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
        ours = self.estimates
        if self.design:
            places = zip(ours["setting"], ours["variation"], strict=True)
            ours = ours[[self.design.like_paper(*place) for place in places]]
        _require_rows(ours, "no prompt of this study is the paper's")
        return _of_each_model(ours, partial(compare, level=self.level))

    @cached_property
    def default_rollouts(self) -> pd.DataFrame:
        """The rollouts of every model's main variation, without their texts."""
        with opened(self.rollouts) as source:
            rows = source.connection.execute(
                "SELECT columns(lambda name: name IN ('setting', 'tier', 'prompt_id', 'valid', 'model', "
                "'variation', 'complied', 'refused', 'af_full', 'af_partial', 'source')) FROM rollouts"
            ).df()
        return rows.merge(self.default[["setting", "variation", "model"]].drop_duplicates())


def _together(names: Iterable[str], make: Callable[[str], pd.DataFrame], column: str) -> pd.DataFrame:
    """The tables made of some names, which a column holds; a remark names who has none, and why."""
    parts, reasons = [], {}
    for name in names:
        try:
            parts.append(make(name).assign(**{column: name}))
        except InputError as reason:
            reasons[name] = reason
    if not parts:
        raise next(iter(reasons.values()))
    table = pd.concat(parts, ignore_index=True)
    table.attrs["remark"] = " ".join(f"Not shown: {name} ({reasons[name]})." for name in reasons)
    return table


def _of_each_model(rows: pd.DataFrame, make: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """The tables that are made of each model's rows, and which variation these are of, if of one.

    Raises
    ------
    InputError
        No model has one.
    """

    def table(model: str) -> pd.DataFrame:
        part = rows[rows["model"] == model]
        made = make(part)
        return made if "variation" in made else made.assign(variation=part["variation"].iloc[0])

    return _together(sorted(rows["model"].unique(), key=str), table, "model")


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
    table = stages(gallery.rollouts, level=gallery.level, tier=gallery.tiers[0])
    _require_rows(table, "no judge has said by criteria what the scratchpads hold")
    lacking = sorted({*distinct(gallery.rollouts, "model")} - {*table["model"]})
    table.attrs["remark"] = f"Without it: {', '.join(lacking)}." if lacking else ""
    return figures.scratchpad_stages(table)


def _pairs(gallery: Gallery) -> figures.TracedFigure:
    pairs = _of_each_model(gallery.default_rollouts, partial(prompt_pairs, **gallery.how))
    _require_rows(pairs, "no prompt was answered in both tiers")
    return figures.paired_prompts(pairs, gallery.default)


def _forest(gallery: Gallery) -> figures.TracedFigure:
    """Of several models the default prompt, of one model all its variations."""
    gaps = gallery.estimates.query("quantity == 'compliance_gap'")
    several = gaps["model"].nunique() > 1
    if several:
        gaps = gaps[gaps["variation"] == main_variation(gaps["variation"])]
    data = gaps if gallery.paper else gallery.default_rollouts if several else gallery.rollouts
    summary = pooled_gap(data, **gallery.how).query("conditions > 1")
    _require_rows(summary, "the study has one model and one variation only")
    return figures.gap_forest(gaps, summary)


def _bounds(gallery: Gallery) -> figures.TracedFigure:
    gaps = compliance_gap(gallery.rollouts, **gallery.how).dropna(subset=["lowest"])
    if not gaps[[f"missing_{tier}" for tier in gallery.tiers]].to_numpy().any():
        raise InputError("no answer of this study is missing")
    return figures.gap_bounds(gaps)


def _agreement(gallery: Gallery) -> figures.TracedFigure:
    source = gallery.corrected["source"].iloc[0]  # reports where labels are missing
    with opened(gallery.rollouts) as rollouts:
        prompts = rollouts.connection.execute("SELECT rollout, prompt_id FROM rollouts").df()
    pairs = judge_errors.label_agreement(read_labels(gallery.folders.raw), prompts, level=gallery.level)
    return figures.agreement(pairs, judge_errors.judge_error(gallery.rollouts, **gallery.how), source)


def _power(gallery: Gallery) -> figures.TracedFigure:
    training, unmonitored = gallery.tiers
    of_tier = gallery.default.query("quantity == 'complied' and tier == @unmonitored")
    known = in_reading_order(of_tier.dropna(subset="estimate"), "setting").iloc[0]
    assumed: dict[str, Any] = {"paid": float(known["estimate"]), "icc": 0.3}
    origin = "rate: the paper's; correlation: a guess"
    if not gallery.paper:
        place = known[["model", "setting"]].to_frame().T
        assumed, origin = assumed_from(gallery.default_rollouts.merge(place), gallery.tiers)
        origin += f", {known['source']} study {gallery.study}: {known['model']}, {known['setting']}"
        origin += f"{'; correlation: a guess' * (assumed['icc'] == 0.3)}; for others: power_by_prompts"
    gaps = [gap for gap in (0.02, 0.05, 0.10) if assumed["paid"] + gap <= 1]
    if not gaps:
        words = f"the {unmonitored} tier complies, or may comply, almost always; the {training} tier"
        raise InputError(f"{words} cannot comply more often")
    table = power_by_prompts(**assumed, gaps=gaps, level=gallery.level)
    return figures.power_curves(table.assign(source=known["source"]), origin, unmonitored)


def _thresholds(gallery: Gallery) -> figures.TracedFigure:
    table = score_thresholds(gallery.rollouts, **gallery.how)
    _require_rows(table, "no verdict of this study is graded")
    return figures.score_thresholds(style.main_rows(table), gallery.tiers)


def _contrasts(gallery: Gallery) -> figures.TracedFigure:
    """Models and variations by their gaps, more than two tiers by their rates."""
    least = {"model": 2, "variation": 2, "tier": 3}
    several = [name for name in least if len(distinct(gallery.rollouts, name)) >= least[name]]
    if not several:
        raise InputError("the study has one model and one variation only")

    def differences(name: str) -> pd.DataFrame:
        of_tiers = {"level": gallery.level, "reference": gallery.tiers[1]}
        return contrast(gallery.rollouts, name, **(of_tiers if name == "tier" else gallery.how))

    return figures.contrasts(_together(several, differences, "between"))


def _questions(gallery: Gallery) -> figures.TracedFigure:
    with opened(gallery.rollouts) as source:
        names = [name for name, kind in source.kinds.items() if kind == "BOOLEAN" and name not in SCHEMA]
    if not names:
        raise InputError("the study has no questions of its own")
    table = pd.concat([rates(gallery.rollouts, name, level=gallery.level) for name in names])
    table["source"] = ", ".join(distinct(gallery.rollouts, "source"))
    return figures.questions(table.assign(level=gallery.level), gallery.tiers, gallery.roles)


def _with_and_without_scratchpad(gallery: Gallery) -> pd.DataFrame:
    """The main variation and the one without a scratchpad, named as in the paper's Table 5."""
    names = {main_variation(gallery.estimates["variation"]): "default", "no-scratchpad": "no CoT"}
    known = gallery.estimates["variation"].map(names)
    if known.nunique() < 2:
        raise InputError("the study has no variation without a scratchpad beside its main one")
    rows = gallery.estimates.assign(variation=known).dropna(subset=["variation"])
    rows = rows[rows["quantity"].isin(["refused", "compliance_gap"])]
    return rows.assign(model=rows["model"] + ", " + rows["setting"])


# The rows of a study for figures of paper_figures.yaml.
_OF_STUDY: dict[str, Callable[[Gallery], pd.DataFrame]] = {
    "given_af_reasoning": lambda gallery: _of_each_model(
        gallery.default_rollouts, partial(noncompliance_by_reasoning, **gallery.how)
    ),
    "reasoning_by_tier": lambda gallery: _of_each_model(
        gallery.default_rollouts, partial(reasoning_by_tier, level=gallery.level)
    ),
    "chain_of_thought": _with_and_without_scratchpad,
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
    elif name in _OF_STUDY:
        rows = _OF_STUDY[name](gallery)
        rows["training"] = rows["model"]
    else:
        raise InputError("only the paper has these numbers")
    words = rows.assign(setting=rows["setting"].map(SETTINGS)).to_dict("records")
    made = {key: [about[key].format(**row) for row in words] for key in ("heading", "panel", "series")}
    made["name"] = [textwrap.fill(about["name"].format(**row), 44) for row in words]
    looks = _looks(about["looks"], gallery, dict.fromkeys(made["series"]))
    order = [*dict.fromkeys(made["heading"]), *looks]
    rows = rows.assign(**made).sort_values(["heading", "series"], key=lambda key: key.map(order.index))
    drawn = {key: about[key] for key in ("panels", "unit") if key in about}
    return figures.dots(rows, about["title"], note=note, looks=looks, **drawn)


Looks = dict[str, dict[str, Any]]


def _looks(declared: Looks, gallery: Gallery, series: Iterable[str]) -> Looks:
    """The declared looks with a study's own tiers in them, and looks for its further tiers."""
    own = dict(zip(("free", "paid", "both"), (*gallery.tiers, gap_name(gallery.tiers)), strict=True))
    looks = {
        name.format(**own): look | {key: look[key].format(**own) for key in look if key == "label"}
        for name, look in declared.items()
    }
    further = [name for name in series if name not in looks]
    of_tiers = style.tier_looks((name.split()[0] for name in further), gallery.tiers, gallery.roles)
    for name in further:
        tier, _, variation = name.partition(" ")
        color, words = of_tiers[tier]
        is_hollow = variation == "no CoT"
        looks[name] = {"color": color, "label": words + ", no CoT" * is_hollow, "hollow": is_hollow}
    return looks


# How each figure is drawn. Raises `InputError` where the study lacks what it shows.
_FIGURES: dict[str, Callable[[Gallery], figures.TracedFigure]] = {
    "behaviour_by_tier": lambda gallery: figures.compliance_by_tier(gallery.estimates, gallery.roles),
    "scratchpad_stages": _stages,
    "paired_prompts": _pairs,
    **{f"variations_{setting}": partial(_variations, setting=setting) for setting in SETTINGS},
    "reasoning_against_gap": _against_gap,
    "models": lambda gallery: figures.models(gallery.estimates),
    "gap_forest": _forest,
    "contrasts": _contrasts,
    "questions": _questions,
    "gap_bounds": _bounds,
    "beside_paper": lambda gallery: figures.beside_paper(gallery.beside),
    "raw_and_corrected": lambda gallery: figures.raw_and_corrected(gallery.corrected),
    "judge_sensitivity": lambda gallery: figures.judge_sensitivity(
        _of_each_model(gallery.default, partial(judge_errors.assumed_judge_error, tiers=gallery.tiers))
    ),
    "score_threshold": _thresholds,
    "agreement": _agreement,
    "interval_methods": lambda gallery: figures.interval_methods(
        gap_by_method(gallery.default_rollouts, **gallery.how)
    ),
    "power_curves": _power,
    **{name: partial(_declared, name=name) for name in _DECLARED},
}

NAMES = tuple(_FIGURES)
