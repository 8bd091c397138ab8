"""How far verdicts and labels agree beyond chance."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.stats.interrater import agreement as of_tables
from afanalysis.stats.interrater import confusion
from afanalysis.study.labels import Label


def label_agreement(
    labels: Sequence[Label], rollouts: pd.DataFrame | None = None, *, level: float = 0.95
) -> pd.DataFrame:
    """How far labellers agree, pair by pair, on the behaviour and on AF reasoning.

    Parameters
    ----------
    labels
        As `afanalysis.read_labels` gives them.
    rollouts
        A table with `rollout` and `prompt_id`: labels of answers to one prompt resemble each other,
        which widens the intervals. Without it each rollout counts as a prompt of its own.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `first`, `second`, `about`, and the columns of `afanalysis.agreement`; a pair that shares fewer
        than two labels is left out.

    Examples
    --------
    >>> from afanalysis.study.labels import Label
    >>> labels = [Label(f"r{i}", labeller, "complied") for i in range(3) for labeller in ("ann", "ben")]
    >>> label_agreement(labels)["value"].tolist()
    [1.0, 1.0, 1.0]
    """
    prompts = {}
    if rollouts is not None:
        prompts = dict(zip(rollouts["rollout"], rollouts["prompt_id"], strict=True))
    cast = pd.DataFrame(list(map(vars, labels)), columns=["rollout", "labeller", "behaviour", "af"])
    cast = cast.drop_duplicates(["rollout", "labeller"], keep="last")
    parts = []
    for first, second in combinations(sorted(set(cast["labeller"])), 2):
        for about in ("behaviour", "af"):
            known = cast[cast[about] != ""]
            pairs = known.pivot(index="rollout", columns="labeller", values=about)
            pairs = pairs.reindex(columns=[first, second]).dropna()
            if len(pairs) >= 2:
                of_prompts = [prompts.get(rollout, rollout) for rollout in pairs.index]
                table = agreement(pairs[first], pairs[second], of_prompts, level=level)
                parts.append(table.assign(first=first, second=second, about=about))
    columns = ["first", "second", "about", "measure", "value", "low", "high", "n", "n_prompts"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def agreement(first: Any, second: Any, prompts: Any = None, *, level: float = 0.95) -> pd.DataFrame:
    """How far two sets of verdicts agree, beyond chance; pairs with a missing verdict are left out.

    Parameters
    ----------
    first, second
        Verdicts on the same things in the same order: lists, arrays or columns.
    prompts
        The prompt of each: verdicts on answers to one prompt resemble each other, which widens the
        intervals. By default each has its own.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        One row each for raw agreement, Cohen's kappa and Gwet's AC1: `measure`, `value`, `low`, `high`,
        `n`, `n_prompts`.

    Examples
    --------
    >>> agreement([True, True, False, None], [True, False, False, True])["value"].round(2).tolist()
    [0.67, 0.4, 0.33]
    """
    pairs = pd.DataFrame({"a": pd.Series(first).array, "b": pd.Series(second).array})
    pairs["prompt"] = np.arange(len(pairs)) if prompts is None else pd.Series(prompts).array
    pairs = pairs.dropna()
    tables, _ = confusion(*(pairs[name].to_numpy(object) for name in ("a", "b", "prompt")))
    rows = [(measure, *numbers) for measure, numbers in of_tables(tables, level=level).items()]
    return pd.DataFrame(rows, columns=["measure", "value", "low", "high"]).assign(
        n=len(pairs), n_prompts=len(tables)
    )
