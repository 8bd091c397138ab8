"""Collecting until the gap is known well enough, and saying so."""

import math
from pathlib import Path

import pandas as pd

from afanalysis.analysis.conditions import GAP_CONDITIONS
from afanalysis.analysis.study_size import monitor
from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.rollouts import collect
from afanalysis.errors import InputError
from afanalysis.judging.model import judge
from afanalysis.pipeline.notebooks import Ending
from afanalysis.study.design import Study
from afanalysis.study.files import read_json, write_json
from afanalysis.study.folders import MANIFEST
from afanalysis.study.ledger import Budget
from afanalysis.study.tidying import tidy
from afanalysis.text.wording import interval, percent

# A study is looked at after each of so many parts of its prompts.
LOOKS = 20


async def collect_until(
    study: Study,
    endpoint: Endpoint,
    folder: Path,
    options: CallOptions | None = None,
    *,
    width: float | None = None,
    decided: bool = False,
    budget: Budget | None = None,
    level: float = 0.95,
) -> Ending:
    """Collect and judge a study's prompts in random order until its gaps are known well enough.

    After every twentieth of the prompts the gap's confidence sequence is looked at
    (`afanalysis.monitor`), which holds at all looks together. The study ends when the aim is reached in
    every condition, when its prompts are used up, or when calls fail. The same call goes on, and asks
    nothing again.

    Parameters
    ----------
    study
        Has `order: prompts`.
    endpoint, folder, options, budget
        As in `collect` and `judge`.
    width
        The aim: no gap's sequence is wider (a difference of proportions).
    decided
        The aim: every gap's sequence leaves 0 out.
    level
        The chance that a sequence holds the gap at all looks together, in (0, 1).

    Returns
    -------
    Ending
        `prompts`, `sentences` (the manifest keeps them as `ended`) and `complete`.

    Raises
    ------
    InputError
        The study asks in another order, there is no aim, or what `collect` and `judge` raise.

    Examples
    --------
    In a notebook, or in an `async def`:

    >>> async with af.connect(study) as endpoint:  # doctest: +SKIP
    ...     await af.collect_until(study, endpoint, folders.raw, decided=True)
    """
    if study.order != "prompts":
        problem = f"order is {study.order!r}; looking while it runs needs order: prompts"
        raise InputError(f"study {study.name}: {problem}")
    if width is None and not decided:
        raise InputError("nothing to stop at: give a width, or decided=True")
    most = max(len(study.requests(setting)) for setting in study.settings)
    step = math.ceil(most / LOOKS)

    def reached() -> bool:
        narrow = width is None or (looks["high"] - looks["low"] <= width).all()
        return len(looks) > 0 and bool(narrow) and bool(looks["decided"].all() or not decided)

    looks, left = _last_looks(study, folder, level), ""
    for first in range(step, most + step, step):
        if left or reached():
            break
        summary = await collect(study, endpoint, folder, options, budget=budget, first=first)
        if summary.complete:
            summary = await judge(study.judge, endpoint, folder, options, budget=budget)
        looks, left = _last_looks(study, folder, level), summary.left
    end = f"Not finished ({left})" if left else f"The aim was {'' if reached() else 'not '}reached"
    asked = int(tidy(folder, unjudged=True).groupby("setting")["prompt_id"].nunique().max())
    aims = [f"no wider than {percent(width)} points"] if width is not None else []
    aims += ["without 0"] if decided else []
    sentences = [f"{end} with {asked} of {most} prompts per setting; the aim: {' and '.join(aims)}."]
    for row in looks.to_dict("records"):
        place = ", ".join(str(row[name]) for name in GAP_CONDITIONS)
        ends = interval(row["low"], row["high"])
        sentences.append(f"{place}: gap {percent(row['gap'])} points {ends}, which holds at every look.")
    ending = Ending(asked, " ".join(sentences), not left)
    write_json(folder / MANIFEST, read_json(folder / MANIFEST) | {"ended": ending.sentences})
    return ending


def _last_looks(study: Study, folder: Path, level: float) -> pd.DataFrame:
    """The last look at each condition; without rows if no prompt has verdicts in both tiers."""
    try:
        looks = monitor(tidy(folder), level=level, tiers=study.gap_tiers)
    except InputError:
        return pd.DataFrame(columns=["low", "high", "decided"])
    return looks.groupby(list(GAP_CONDITIONS), as_index=False).tail(1)
