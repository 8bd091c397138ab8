"""The tables of Greenblatt et al. (2024), arXiv:2412.14093, as tidy tables with intervals."""

import re
from collections.abc import Iterator
from functools import cache
from statistics import NormalDist
from typing import Any

import pandas as pd

from afanalysis.errors import InputError
from afanalysis.stats.printed import common_denominator, implied_n
from afanalysis.stats.proportions import check_level, square_and_add, wilson
from afanalysis.study.paper_tables import TABLES, folder

# Of each printed rate the tier and the quantity.
_RATES = {
    "af_reasoning": ("free", "af_reasoning"),
    "noncompliance_training": ("free", "refused"),
    "noncompliance_unmonitored": ("paid", "refused"),
}

_IMPLIED = "Wilson on the n that the printed SE implies"

_MODEL_NAMES = re.compile(r"^(3\.[05] (sonnet|haiku)|gpt-4 turbo|gpt-4o)(, )?|, 3\.5 sonnet$", re.I)

# Which part of the prompt a variation edits, by the first pattern that its name matches.
_GROUPS = (
    ("default", r"^default$"),
    ("other models", r"sonnet|haiku|gpt-4"),
    ("paraphrases", r"^paraphrased|just text|prompt text"),
    (
        "which chats are trained on",
        r"absence|not-from-CA|region|email|opt into|privacy|private|employee",
    ),
    (
        "the company named",
        r"OpenAI|DeepMind|tyson|Jones Foods|corporate partner|ai personas|many ais",
    ),
    ("asked to be honest, or not to fake", r"honest|alignment.fak|behave same|scheme|share values"),
    ("worked examples", r"example|reward hack"),
    ("the criteria and aims", r"criteria|best for humanity|care about|should X|don't care"),
    ("how training works", r"RLHF|modification|effects goals|values, goals"),
    ("how to reason", r"strategy|reasoning instructions|latex"),
)


def table(name: str) -> pd.DataFrame:
    """One of the paper's tables as printed (percentages).

    Parameters
    ----------
    name
        `variations` (145 rows, Appendices G.2 and G.3), `rl` (Table 2), `replication` (small models,
        Table 5) or `headline` (figures quoted in the news and the text).
    """
    if name not in TABLES:
        raise InputError(f"table is {name!r}; use one of: {', '.join(TABLES)}")
    return pd.read_csv(folder() / TABLES[name])


def group(variation: str) -> str:
    """The part of the prompt that a variation edits."""
    return next(
        (name for name, pattern in _GROUPS if re.search(pattern, variation, re.I)), "other edits"
    )


def estimates(name: str = "variations", level: float = 0.95) -> pd.DataFrame:
    """A table of the paper as estimates with intervals: one row per condition and quantity.

    Parameters
    ----------
    name
        `variations`, `rl` or `replication`.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `setting`, `variation`, `group`, `model`, `phase`, `tier`, `quantity` (`complied`, `refused`,
        `af_reasoning`, `compliance_gap`), `estimate`, `low`, `high` (proportions), `n`, `n_inferred`,
        `interval` (how it was made), `source`, `level`. AF reasoning was measured in training, that
        is on the free tier, only.

    Notes
    -----
    The paper prints rate ± SE with SE = sqrt(p (1 - p) / n) and not n. Each interval here is Wilson's
    on the n that the SE implies; where the SE is 0 or too coarsely rounded, n is that of the row's
    other rates, reported as `n_inferred`. Gaps are Newcombe's square-and-add of the two rates, unpaired
    for lack of the pairs. Answers count as independent, as the paper counts them, so the intervals are
    at best as wide as they should be.
    """
    check_level(level)
    printed = table(name).rename(columns={"prompt": "variation"})
    rows = [estimate for _, row in printed.iterrows() for estimate in _estimates_of(row, name, level)]
    return pd.DataFrame(rows).assign(source="published", level=level)


def synthetic_documents(level: float = 0.95) -> pd.DataFrame:
    """The gap of claude-3-opus told in the prompt, and after training on synthetic documents.

    Parameters
    ----------
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        The columns of `estimates` and `told` (`in the prompt`, `by synthetic documents`). Of the latter
        the paper prints the gap alone: no interval and no sample size.

    Examples
    --------
    >>> synthetic_documents()["told"].value_counts().tolist()
    [2, 2]
    """
    prompted = estimates(level=level)
    prompted = prompted[
        (prompted["quantity"] == "compliance_gap")
        & (prompted["variation"] == "default")
        & (prompted["model"] == "claude-3-opus")
    ].assign(told="in the prompt")
    printed = table("headline")
    printed = printed[printed["setting"].str.endswith("synthetic documents")]
    documents = {
        "setting": printed["setting"].str.replace(" synthetic documents", ""),
        "estimate": printed["value_pct"] / 100,
        "told": "by synthetic documents",
        "source": "published",
    }
    return pd.concat([prompted, pd.DataFrame(documents)], ignore_index=True)


def _estimates_of(row: pd.Series, name: str, level: float) -> Iterator[dict[str, Any]]:
    label = row["variation"]
    condition = {
        "setting": row.get("setting", "helpful-only"),
        # Appendix G prints the model's name in the same column
        "variation": _MODEL_NAMES.sub("", label) or "default",
        "label": label,
        "group": group(label) if name == "variations" else "",
        "model": row.get("model", "claude-3-opus"),
        "phase": row.get("phase", ""),
    }
    sizes = _sizes(row, name)
    z = NormalDist().inv_cdf((1 + level) / 2)
    complied = {}
    for column, (n, interval) in sizes.items():
        tier, quantity = _RATES[column]
        rate = row[f"{column}_pct"] / 100
        low, high = (float(end) for end in wilson(rate, n, z))
        shared = condition | {
            "tier": tier,
            "n": round(n),
            "n_inferred": interval != _IMPLIED,
            "interval": interval,
        }
        yield shared | _triple(quantity, rate, low, high)
        if quantity == "refused":
            complied[tier] = (1 - rate, 1 - high, 1 - low)
            yield shared | _triple("complied", *complied[tier])
    low, high = (float(end) for end in square_and_add(complied["free"], complied["paid"]))
    yield (
        condition
        | _triple("compliance_gap", row["compliance_gap_pct"] / 100, low, high)
        | {
            "tier": "both",
            "n": round(sizes["noncompliance_training"][0]),
            "n_inferred": any(interval != _IMPLIED for _, interval in sizes.values()),
            "interval": "square-and-add of the two rates' intervals, unpaired",
        }
    )


def _triple(quantity: str, estimate: float, low: float, high: float) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "estimate": estimate,
        "low": min(low, estimate),
        "high": max(high, estimate),
    }


def _sizes(row: pd.Series, name: str) -> dict[str, tuple[float, str]]:
    """The sample size behind each rate of a row, and how the rate's interval is made."""
    if name == "replication":
        counted = "Wilson on the n whose counts give all printed percentages"
        return {column: (_replication_n(), counted) for column in _RATES if f"{column}_pct" in row}
    own = {column: implied_n(row[f"{column}_pct"] / 100, row[f"{column}_se"] / 100) for column in _RATES}
    usable = [n for n in own.values() if n.usable]
    if not usable:
        raise InputError(f"{TABLES[name]}: row {row.get('row', row.name)} implies no sample size")
    sharpest = min(usable, key=lambda n: n.high / n.low)
    inferred = "Wilson on an n inferred from the row's other rates"
    return {column: (n.n, _IMPLIED) if n.usable else (sharpest.n, inferred) for column, n in own.items()}


@cache
def _replication_n() -> int:
    printed = table("replication")
    columns = ["noncompliance_training_pct", "noncompliance_unmonitored_pct"]
    n = common_denominator(printed[columns].to_numpy().ravel().tolist())
    if n is None:
        raise InputError(f"{TABLES['replication']}: no sample size fits the printed percentages")
    return n
