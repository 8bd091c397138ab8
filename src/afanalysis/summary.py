"""Tables of rates, gaps and comparisons: where rollouts meet statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from afanalysis import rollouts as tidy
from afanalysis.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_GAP_BY = ("model", "setting", "variation")


def _by(data: Any, by: Sequence[str] | None, usual: Sequence[str]) -> list[str]:
    if by is not None:
        return list(by)
    known = tidy.columns(data)
    return [name for name in usual if name in known]


def rates(
    data: Any,
    outcome: str = "complied",
    by: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    method: str = "wilson",
    seed: int = 0,
) -> pd.DataFrame:
    """The rate of an outcome by condition, with intervals that respect the clustering in prompts.

    Parameters
    ----------
    data
        Rollouts: a DataFrame with `prompt_id`, the outcome and the `by` columns, or a path (Parquet,
        CSV, JSONL, a folder, a list of these).
    outcome
        `complied`, `refused`, `af_reasoning`, … : a column of true/false or of numbers in 0-1.
    by
        Condition columns; by default those of model, setting, variation and tier that there are.
    level, method, seed
        As in `afanalysis.stats.rates.rate`.

    Returns
    -------
    DataFrame
        `by`, `outcome`, `n_prompts`, `n`, `rate`, `low`, `high`, `se` (proportions), `deff`, `icc`,
        `n_effective`, `n_missing`, `n_invalid`, `method`, `warning` (in words, where too few prompts or
        events leave the coverage of the interval unsure; else empty).

    Raises
    ------
    InputError
        A column is missing, there are no rows, or a condition has no known outcome.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"prompt_id": list("aabbcc"), "complied": [1, 1, 0, 0, 0, 1]})
    >>> rates(table, by=[])[["n_prompts", "n", "rate"]].values.tolist()
    [[3.0, 6.0, 0.5]]
    """
    import pandas as pd

    from afanalysis.stats import rates as statistics

    by = _by(data, by, tidy.CONDITIONS)
    counted = tidy.counts(data, outcome, by)
    rows = []
    for condition, part in _groups(counted, by):
        known = part[part["n"] > 0]
        if known.empty:
            raise InputError(f"{_named(condition)}: no rollout has a known {outcome!r}")
        found = asdict(
            statistics.rate(
                known["n"].to_numpy(), known["s"].to_numpy(), level=level, method=method, seed=seed
            )
        )
        lost = {name: int(part[name].sum()) for name in ("n_missing", "n_invalid")}
        rows.append(condition | {"outcome": outcome} | found | lost)
    table = pd.DataFrame(rows)
    order = [*by, "outcome", "n_prompts", "n", "rate", "low", "high", "se", "deff", "icc"]
    order += ["n_effective", "n_missing", "n_invalid", "method", "warning"]
    return table[order]


def compliance_gap(
    data: Any,
    by: Sequence[str] | None = None,
    *,
    outcome: str = "complied",
    level: float = 0.95,
    method: str = "mover",
    seed: int = 0,
) -> pd.DataFrame:
    """The compliance gap, rate(free) - rate(paid), paired by prompt.

    Parameters
    ----------
    data, outcome, level, method, seed
        As in `rates`; `method` as in `afanalysis.stats.gaps.gap`. `data` needs a column `tier` with
        the values `free` and `paid`.
    by
        Condition columns; by default those of model, setting and variation that there are.

    Returns
    -------
    DataFrame
        `by`, `free`, `paid`, `gap`, `low`, `high`, `se` (proportions), `p_value` (sign-flip test,
        two-sided), `p_holm` (adjusted over the rows), `n_prompts`, `n_paired`, `n_unpaired`, `n`
        (samples of the tier that has fewer), `correlation` (of the two rates
        over prompts), `method`, `warning`.

    Raises
    ------
    InputError
        A column is missing, a tier is unknown, or a condition lacks one tier.
    """
    import pandas as pd

    from afanalysis.stats import gaps
    from afanalysis.stats.tests import adjust

    by = _by(data, by, _GAP_BY)
    rows = []
    for condition, part in paired_counts(data, outcome, by):
        try:
            found = asdict(gaps.gap(*part.T, level=level, method=method, seed=seed))
        except ValueError as error:
            raise InputError(f"{_named(condition)}: {error}") from error
        rows.append(condition | found | {"n": int(min(part[:, 0].sum(), part[:, 2].sum()))})
    table = pd.DataFrame(rows)
    table["p_holm"] = adjust(table["p_value"])
    order = [*by, "free", "paid", "gap", "low", "high", "se", "p_value", "p_holm", "n_prompts"]
    order += ["n_paired", "n_unpaired", "n", "correlation", "method", "warning"]
    return table[order]


def paired_counts(data: Any, outcome: str, by: Sequence[str]) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Per-prompt counts of both tiers for each condition.

    Returns
    -------
    list of (condition, counts)
        counts has shape (prompts, 4): n_free, s_free, n_paid, s_paid; 0 where a prompt lacks a tier.
    """
    counted = tidy.counts(data, outcome, [*by, "tier"])
    unknown = set(counted["tier"].unique()) - {"free", "paid"}
    if unknown:
        raise InputError(
            f"column 'tier' holds {', '.join(map(repr, sorted(map(str, unknown))))}; use 'free' "
            "(implied training) or 'paid' (implied unmonitored)"
        )
    found = []
    for condition, part in _groups(counted, by):
        wide = part.pivot(index="prompt_id", columns="tier", values=["n", "s"]).fillna(0)
        wide = wide.reindex(columns=[(x, t) for t in ("free", "paid") for x in "ns"], fill_value=0)
        found.append((condition, wide.to_numpy(dtype=float)))
    return found


def estimates(data: Any, *, level: float = 0.95) -> pd.DataFrame:
    """Everything the figures draw, in the form that `published.estimates` gives: one row a quantity.

    Parameters
    ----------
    data
        Rollouts, as in `rates`, with `complied` and `af_reasoning`.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `setting`, `variation`, `label`, `group`, `model`, `phase`, `tier`, `quantity`, `estimate`,
        `low`, `high` (proportions), `n`, `n_prompts`, `interval`, `source`, `warning`.
    """
    import pandas as pd

    source = sources(data)
    parts = []
    for quantity in ("complied", "refused", "af_reasoning"):
        table = rates(data, "complied" if quantity == "refused" else quantity, level=level)
        if quantity == "refused":
            table["rate"], table["low"], table["high"] = (
                1 - table["rate"],
                1 - table["high"],
                1 - table["low"],
            )
        table = table.rename(columns={"rate": "estimate"})
        table["quantity"] = quantity
        table["interval"] = "Wilson on the effective sample size"
        parts.append(table)
    gaps = compliance_gap(data, level=level).rename(columns={"gap": "estimate"})
    gaps = gaps.assign(
        quantity="compliance_gap", tier="both", interval="square-and-add, paired by prompt"
    )
    table = pd.concat([*parts, gaps], ignore_index=True)
    for name, usual in (("variation", "default"), ("setting", "helpful-only"), ("model", "model")):
        if name not in table:
            table[name] = usual
    table["label"], table["group"], table["phase"], table["source"] = (
        table["variation"],
        "",
        "",
        source,
    )
    order = ["setting", "variation", "label", "group", "model", "phase", "tier", "quantity"]
    order += ["estimate", "low", "high", "n", "n_prompts", "interval", "source", "warning"]
    return table[order]


def sources(data: Any) -> str:
    """Where rollouts come from: `simulated`, `live`, `imported`, several of these, or `unknown`."""
    if "source" not in tidy.columns(data):
        return "unknown"
    return tidy.values(data, "source")


def headline(level: float = 0.95) -> pd.DataFrame:
    """The paper's headline numbers for the default prompt, with intervals and how each was made."""
    from afanalysis import published

    found = published.estimates("variations", level)
    found = found[(found["model"] == "claude-3-opus") & (found["label"] == "default")]
    wanted = [
        ("refused", "paid"),
        ("refused", "free"),
        ("complied", "free"),
        ("af_reasoning", "free"),
        ("compliance_gap", "both"),
    ]
    rank = {pair: at for at, pair in enumerate(wanted)}
    pairs = list(zip(found["quantity"], found["tier"], strict=True))
    found = found[[pair in rank for pair in pairs]].assign(
        rank=[rank[pair] for pair in pairs if pair in rank]
    )
    settings = ["helpful-only", "animal-welfare"]
    found["setting_rank"] = found["setting"].map(settings.index)
    found = found.sort_values(["setting_rank", "rank"], ignore_index=True)
    columns = ["setting", "quantity", "tier", "estimate", "low", "high", "n", "interval"]
    return found[columns]


def _groups(counted: pd.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    if not by:
        return [({}, counted)]
    grouped = counted.groupby(list(by), sort=True, dropna=False)
    return [(dict(zip(by, key, strict=True)), part) for key, part in grouped]


def _named(condition: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in condition.items()) or "the rollouts"
