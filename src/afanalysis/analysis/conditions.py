"""The conditions of a table: which columns make them, and the rows of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from afanalysis.errors import InputError
from afanalysis.table.source import columns, distinct, opened

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

GAP_CONDITIONS = ("model", "setting", "variation")


def known_columns(data: Any, by: Sequence[str] | None, usual: Sequence[str]) -> list[str]:
    """The condition columns that are named, else those of the usual ones that the table has."""
    if by is not None:
        return list(by)
    known = columns(data)
    return [name for name in usual if name in known]


def paired_counts(counted: pd.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Per-prompt counts of both tiers for each condition, from `table.counting.counts` of one outcome.

    Returns
    -------
    list of (condition, counts)
        counts has shape (prompts, 4): n_free, s_free, n_paid, s_paid; 0 where a prompt lacks a tier.
    """
    unknown = set(counted["tier"].unique()) - {"free", "paid"}
    if unknown:
        raise InputError(
            f"column 'tier' holds {', '.join(map(repr, sorted(map(str, unknown))))}; use 'free' "
            "(implied training) or 'paid' (implied unmonitored)"
        )
    keys = [*by, "prompt_id"]
    wide = counted.set_index([*keys, "tier"])[["n", "s"]].unstack("tier", fill_value=0)
    wide = wide.reindex(columns=[(x, t) for t in ("free", "paid") for x in "ns"], fill_value=0)
    numbers = wide.to_numpy(dtype=float)
    return [(condition, numbers[places]) for condition, places in groups(wide.reset_index(), by)]


def main_variation(names: Iterable[str]) -> str:
    """Which prompt variation stands for a study: `default`, or the first by name where there is none.

    Examples
    --------
    >>> main_variation(["short", "default"]), main_variation(["short", "long"])
    ('default', 'long')
    """
    return min(names, key=lambda name: (name != "default", name))


def main_model(names: Iterable[str]) -> str:
    """Which model stands for a study: the paper's, claude-3-opus, or the first by name.

    Examples
    --------
    >>> main_model(["claude-3-haiku", "claude-3-opus"]), main_model(["b", "a"])
    ('claude-3-opus', 'a')
    """
    return min(names, key=lambda name: (name != "claude-3-opus", name))


def of_one_condition(
    table: pd.DataFrame, variation: str | None = None, model: str | None = None
) -> pd.DataFrame:
    """The rows of one variation and model; by default the main ones."""
    rows = table[table["variation"] == (variation or main_variation(table["variation"]))]
    return rows[rows["model"] == (model or main_model(rows["model"]))]


def sources(data: Any) -> str:
    """Where rollouts come from: `simulated`, `live`, `imported`, several of these, or `unknown`."""
    with opened(data) as rollouts:
        return ", ".join(distinct(rollouts, "source")) if "source" in rollouts.kinds else "unknown"


def groups(counted: pd.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Each condition with the places of its rows, sorted by name."""
    import numpy as np

    if not by:
        return [({}, np.arange(len(counted)))]
    grouped = counted.groupby(list(by), sort=True, dropna=False).indices
    conditions = [
        (dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True)), places)
        for key, places in grouped.items()
    ]
    return sorted(conditions, key=lambda pair: tuple(map(str, pair[0].values())))


def stacked(numbers: np.ndarray, groups: list[tuple[dict[str, Any], np.ndarray]]) -> np.ndarray:
    """The rows of each group side by side, shape (columns, groups, longest); 0 where one is shorter."""
    import numpy as np

    longest = max(len(places) for _, places in groups)
    stack = np.zeros((numbers.shape[1], len(groups), longest))
    for index, (_, places) in enumerate(groups):
        stack[:, index, : len(places)] = numbers[places].T
    return stack


def named(condition: dict[str, Any]) -> str:
    """A condition in words, for an error."""
    return ", ".join(f"{name} {value}" for name, value in condition.items()) or "the rollouts"
