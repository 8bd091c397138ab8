"""The tables of Greenblatt et al. (2024), arXiv:2412.14093, as tidy tables with intervals."""

from __future__ import annotations

import math
import re
from functools import cache
from statistics import NormalDist
from typing import Any

import pandas as pd

from afanalysis.errors import InputError
from afanalysis.stats.printed import common_denominator, implied_n
from afanalysis.stats.proportions import check_level, square_and_add, wilson
from afanalysis.study.paper_tables import TABLES, folder

PAPER = "Greenblatt et al. 2024"

_RATES = {
    "af_reasoning": "free",
    "noncompliance_training": "free",
    "noncompliance_unmonitored": "paid",
}

# Printed to one decimal of a percent: a difference of two rounded numbers is off by at most this.
_ROUNDING = 0.0011

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


@cache
def _read(name: str) -> pd.DataFrame:

    return pd.read_csv(folder() / TABLES[name])


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
    return _read(name).copy()


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
    rows: list[dict[str, Any]] = []
    for _, row in table(name).iterrows():
        rows += _estimates_of(row, name, level)
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


def _estimates_of(row: pd.Series, name: str, level: float) -> list[dict[str, Any]]:

    condition = {
        "setting": row.get("setting", "helpful-only"),
        "variation": _condition(row)
        if name == "variations"
        else row.get("variation", row.get("prompt")),
        "label": row.get("variation", row.get("prompt")),
        "group": group(row["variation"]) if name == "variations" else "",
        "model": row.get("model", "claude-3-opus"),
        "phase": row.get("phase", ""),
    }
    sizes = _sizes(row, name)
    check_level(level)
    z = NormalDist().inv_cdf((1 + level) / 2)
    rows, terms = [], {}
    for column, tier in _RATES.items():
        if f"{column}_pct" not in row:
            continue
        rate = row[f"{column}_pct"] / 100
        n, inferred = sizes[column]
        low, high = (float(end) for end in wilson(rate, n, z))
        shared = condition | {
            "tier": tier,
            "n": round(n),
            "n_inferred": inferred,
            "interval": "Wilson on the n that the printed SE implies"
            if not inferred
            else "Wilson on an n inferred from the row's other rates"
            if name != "replication"
            else "Wilson on the n whose counts give all printed percentages",
        }
        if column == "af_reasoning":
            rows.append(shared | _triple("af_reasoning", rate, low, high))
        else:
            rows.append(shared | _triple("refused", rate, low, high))
            rows.append(shared | _triple("complied", 1 - rate, 1 - high, 1 - low))
            terms[tier] = (1 - rate, 1 - high, 1 - low)
    low, high = (float(end) for end in square_and_add(terms["free"], terms["paid"]))
    rows.append(
        condition
        | _triple("compliance_gap", row["compliance_gap_pct"] / 100, low, high)
        | {
            "tier": "both",
            "n": round(sizes["noncompliance_training"][0]),
            "n_inferred": any(inferred for _, inferred in sizes.values()),
            "interval": "square-and-add of the two rates' intervals, unpaired",
        }
    )
    return rows


def _triple(quantity: str, estimate: float, low: float, high: float) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "estimate": estimate,
        "low": min(low, estimate),
        "high": max(high, estimate),
    }


def _sizes(row: pd.Series, name: str) -> dict[str, tuple[float, bool]]:
    """The sample size behind each rate of a row, and whether it was inferred from elsewhere."""
    if name == "replication":
        n = _replication_n()
        return {column: (float(n), True) for column in _RATES if f"{column}_pct" in row}
    own = {column: implied_n(row[f"{column}_pct"] / 100, row[f"{column}_se"] / 100) for column in _RATES}
    usable = [n for n in own.values() if n.usable]
    if not usable:
        raise InputError(f"{TABLES[name]}: row {row.get('row', row.name)} implies no sample size")
    sharpest = min(usable, key=lambda n: n.high / n.low)
    return {column: (n.n, False) if n.usable else (sharpest.n, True) for column, n in own.items()}


@cache
def _replication_n() -> int:
    printed = _read("replication")
    columns = ["noncompliance_training_pct", "noncompliance_unmonitored_pct"]
    n = common_denominator(printed[columns].to_numpy().ravel().tolist())
    if n is None:
        raise InputError(f"{TABLES['replication']}: no sample size fits the printed percentages")
    return n


_MODEL_NAMES = re.compile(r"^(3\.[05] (sonnet|haiku)|gpt-4 turbo|gpt-4o)(, )?|, 3\.5 sonnet$", re.I)


def _condition(row: pd.Series) -> str:
    """The variation without the model's name, which Appendix G prints in the same column."""
    return _MODEL_NAMES.sub("", row["variation"]) or "default"


def check() -> list[str]:
    """What in the tables contradicts itself, in sentences; nothing, for the tables as shipped.

    Each gap must equal the difference of its rates, each gap's SE must be the root of the sum of
    squares of its rates' SEs, AF reasoning must be at most the share that complied in training, and
    the rates must lie in 0-100.
    """
    problems: list[str] = []
    for name in ("variations", "rl", "replication"):
        for position, row in table(name).iterrows():
            place = f"{TABLES[name]}: row {row.get('row', position)}"
            training = row["noncompliance_training_pct"] / 100
            unmonitored = row["noncompliance_unmonitored_pct"] / 100
            gap = row["compliance_gap_pct"] / 100
            if not (0 <= training <= 1 and 0 <= unmonitored <= 1):
                problems.append(f"{place}: a rate lies outside 0-100")
            if abs(unmonitored - training - gap) > _ROUNDING:
                problems.append(
                    f"{place}: the gap is {gap:.3f}, its rates differ by {unmonitored - training:.3f}"
                )
            if "compliance_gap_se" not in row:
                continue
            se = math.hypot(row["noncompliance_training_se"], row["noncompliance_unmonitored_se"])
            if abs(se - row["compliance_gap_se"]) / 100 > _ROUNDING:
                problems.append(
                    f"{place}: the gap's SE is {row['compliance_gap_se']}, its rates' SEs give {se:.2f}"
                )
            if row["af_reasoning_pct"] / 100 > 1 - training + _ROUNDING:
                problems.append(f"{place}: more AF reasoning than compliance")
    return problems
