"""Collecting until the gap is known well enough, and saying so."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from afanalysis.analysis.conditions import GAP_CONDITIONS
from afanalysis.analysis.looks import monitor
from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.rollouts import collect
from afanalysis.errors import InputError
from afanalysis.judging.model import judge
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
) -> str:
    """Collect and judge a study's prompts in random order until its gaps are known well enough.

    After every twentieth of the prompts the gap's confidence sequence is looked at
    (`afanalysis.monitor`), which holds at all looks together. The study ends when the aim is reached in
    every condition, when its prompts are used up, or when a run stops early. The same call goes on, and
    asks nothing again.

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
    str
        How it ended, in sentences; the manifest keeps them as `ended`.

    Raises
    ------
    InputError
        The study asks in another order, there is no aim, or what `collect` and `judge` raise.

    Examples
    --------
    In a notebook, or in an `async def`:

    >>> async with af.connect(study) as endpoint:  # doctest: +SKIP
    ...     print(await af.collect_until(study, endpoint, folders.raw, decided=True))
    """
    if study.order != "prompts":
        raise InputError(
            f"study {study.name}: order is {study.order!r}; looking while it runs needs order: prompts"
        )
    if width is None and not decided:
        raise InputError("nothing to stop at: give a width, or decided=True")
    most = max(len(study.requests(setting)) for setting in study.settings)
    step = math.ceil(most / LOOKS)
    latest = pd.DataFrame()
    for first in range(step, most + step, step):
        summary = await collect(study, endpoint, folder, options, budget=budget, first=first)
        if not summary.stopped:
            summary = await judge(study.judge, endpoint, folder, options, budget=budget)
        latest = _latest(folder, level)
        if summary.stopped:
            end = f"Not finished: {summary.stopped}"
            break
        narrow = width is None or (latest["high"] - latest["low"] <= width).all()
        if len(latest) and narrow and (latest["decided"].all() or not decided):
            end = "The aim was reached"
            break
    else:
        end = "The aim was not reached"
    done = latest["prompts"].max() if len(latest) else 0
    aims = [f"no wider than {percent(width)} points"] if width is not None else []
    aims += ["without 0"] if decided else []
    sentences = [f"{end} after {done} of {most} prompts per setting; the aim: {' and '.join(aims)}."]
    for row in latest.to_dict("records"):
        place = ", ".join(str(row[name]) for name in GAP_CONDITIONS if name in row)
        ends = interval(row["low"], row["high"])
        sentences.append(f"{place}: gap {percent(row['gap'])} points {ends}, which holds at every look.")
    text = " ".join(sentences)
    write_json(folder / MANIFEST, read_json(folder / MANIFEST) | {"ended": text})
    return text


def _latest(folder: Path, level: float) -> pd.DataFrame:
    """The last look at each condition; without rows if no prompt is complete yet."""
    try:
        looks = monitor(tidy(folder), level=level)
    except InputError:  # no verdict yet, or none in both tiers
        return pd.DataFrame(columns=["prompts", "low", "high", "decided"])
    return looks.groupby(list(GAP_CONDITIONS), as_index=False).tail(1)
