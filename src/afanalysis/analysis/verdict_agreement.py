"""How far verdicts and labels agree beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from afanalysis.stats.interrater import agreement as of_table
from afanalysis.stats.interrater import confusion
from afanalysis.study.labels import Label

if TYPE_CHECKING:
    import pandas as pd


def label_agreement(labels: Sequence[Label], *, level: float = 0.95) -> pd.DataFrame:
    """How far labellers agree, pair by pair, on the behaviour and on AF reasoning.

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
    from itertools import combinations

    import pandas as pd

    cast: dict[str, dict[str, Label]] = {}
    for label in labels:
        cast.setdefault(label.labeller, {})[label.rollout] = label
    parts = []
    for first, second in combinations(sorted(cast), 2):
        shared = sorted(cast[first].keys() & cast[second].keys())
        for about in ("behaviour", "af"):
            pairs = [(getattr(cast[first][r], about), getattr(cast[second][r], about)) for r in shared]
            pairs = [pair for pair in pairs if all(pair)]
            if len(pairs) >= 2:
                table = agreement(*zip(*pairs, strict=True), level=level)
                parts.append(table.assign(first=first, second=second, about=about))
    columns = ["first", "second", "about", "measure", "value", "low", "high", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def agreement(first: Any, second: Any, *, level: float = 0.95) -> pd.DataFrame:
    """How far two sets of verdicts agree, beyond chance; pairs with a missing verdict are left out.

    Parameters
    ----------
    first, second
        Verdicts on the same things in the same order: lists, arrays or columns.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        One row each for raw agreement, Cohen's kappa and Gwet's AC1: `measure`, `value`, `low`, `high`,
        `n`.

    Examples
    --------
    >>> agreement([True, True, False, None], [True, False, False, True])["value"].round(2).tolist()
    [0.67, 0.4, 0.33]
    """
    import pandas as pd

    pairs = pd.DataFrame({"a": pd.Series(first).array, "b": pd.Series(second).array}).dropna()
    table, _ = confusion(pairs["a"].to_numpy(object), pairs["b"].to_numpy(object))
    result = of_table(table, level=level)
    rows = [
        ("agreement", result.agreed, result.agreed_low, result.agreed_high),
        ("Cohen's kappa", result.kappa, result.kappa_low, result.kappa_high),
        ("Gwet's AC1", result.ac1, result.ac1_low, result.ac1_high),
    ]
    return pd.DataFrame(rows, columns=["measure", "value", "low", "high"]).assign(n=result.n)
