"""The tables of Greenblatt et al. (2024), arXiv:2412.14093, as tidy tables with intervals."""

import re
from statistics import NormalDist
from typing import Any

import pandas as pd

from afanalysis.analysis.printed_tables import fits_of, implied_n, largest_fitting
from afanalysis.analysis.printed_tables import table as table
from afanalysis.errors import InputError
from afanalysis.stats.proportions import check_level, square_and_add, wilson
from afanalysis.study.paper_tables import DECLARED, TABLES
from afanalysis.text.wording import in_reading_order, with_interval

# Of each printed rate the tier and the quantity.
_RATES = DECLARED["rates"]

_RATE_TABLES = ("variations", "rl", "table1", "replication")

_CLAIMED = (*_RATE_TABLES, "lying", "situation", "raters", "scores", "text")

# How n came about, and with it each rate's interval.
_INTERVALS = DECLARED["intervals"]

# The columns of a condition, and what holds where a table does not print one.
_CONDITION = ["row", "setting", "variation", "label", "group", "model", "phase", "n_is", "n_words"]

_USUAL = {"group": "", "model": "claude-3-opus", "phase": ""}

_ENDS = ["estimate", "low", "high"]

_MODEL_NAMES = re.compile(r"^(3\.[05] (sonnet|haiku)|gpt-4 turbo|gpt-4o)(, )?|, 3\.5 sonnet$", re.I)


def sample_sizes(name: str = "variations") -> pd.DataFrame:
    """The sample sizes with which every number of a printed row can be counts.

    Parameters
    ----------
    name
        `variations`, `rl`, `table1` or `replication`.

    Returns
    -------
    DataFrame
        One row per printed row: `row`, `setting`, `variation`, `fits` (every n from 20 to 800 that gives
        both refusal rates, the gap and their errors as printed), `n` (missing where none fits), `n_is`
        (`printed`, `derived` where one fits, `consistent` where several do, else `approximate`) and
        `n_words`. Of several, n is one of 353, 173 and 86, which all helpful-only rows fit, else the
        smallest, with which intervals are widest.

    Examples
    --------
    >>> sample_sizes().loc[[0, 12, 57], "n_words"].tolist()
    ['353 derived', '353, one of 35 (265 to 361)', '596, one of 9 (596 to 628)']
    """
    printed = table(name).rename(columns={"prompt": "variation"})
    sizes = []
    for row in printed.to_dict("records"):
        fits = [row["n_queries"]] if "n_queries" in row else fits_of(row)
        of_all = DECLARED["helpful_only_n"] if row["setting"] == "helpful-only" else ()
        usual = [n for n in fits if n in of_all]
        n_is = "consistent" if len(fits) > 1 else "derived" if fits else "approximate"
        n_is = "printed" if "n_queries" in row else n_is
        n = (usual or fits or [None])[0]
        words = f"{n} {n_is}" if n else "no n fits"
        if len(fits) > 1:
            words = f"{n}, one of {len(fits)} ({fits[0]} to {fits[-1]})"
        sizes.append({"fits": fits, "n": n, "n_is": n_is, "n_words": words})
    return printed[["row", "setting", "variation"]].join(pd.DataFrame(sizes))


def estimates(name: str = "variations", level: float = 0.95) -> pd.DataFrame:
    """A table of the paper as estimates with intervals: one row per condition and quantity.

    Parameters
    ----------
    name
        `variations`, `rl`, `table1`, `replication`, `lying`, `situation`, `raters`, `scores` or `text`.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        Of the first four: `row`, `setting`, `variation`, `label`, `group`, `model`, `phase`, `tier`,
        `quantity` (`complied`, `refused`, `af_reasoning`, `compliance_gap`), `estimate`, `low`, `high`
        (proportions), `n`, `n_is`, `n_words` (see `sample_sizes`), `interval` (how it was made),
        `source`, `level`. AF reasoning was measured in training, that is on the free tier, only. Of the
        others: their own columns with `quantity`, `estimate`, `low`, `high` (of `scores` in the score's
        own unit), `n`, `n_is`, `source`, `level`; `text` states no sample size, so has no interval. Of
        `lying` and `situation` n is the stated one (`printed`), or where the share is no count of it the
        `largest` below that of which it is one.

    Notes
    -----
    The paper prints rate ± SE with SE = sqrt(p (1 - p) / n) and not n of a row. Where some n gives all
    numbers of the row as printed, rates are counts with Wilson's interval. AF reasoning, the mean of two
    verdicts, is a count of halves where one fits, else as printed. Where no n fits, the interval is
    Wilson's on the n that the SE implies; where that SE is 0 or too coarsely rounded, n is that of the
    row's other rates. Gaps are Newcombe's square-and-add of the two rates, the tiers independent as in
    the paper; `afanalysis.headline` has what pairing could change. Each query has one answer per tier.
    """
    check_level(level)
    z = NormalDist().inv_cdf((1 + level) / 2)
    every = _rates_and_gaps(name, z) if name in _RATE_TABLES else _measured(name, z)
    return every.assign(source="published", level=level)


def _measured(name: str, z: float) -> pd.DataFrame:
    """The tables that print no gap: one row per number."""
    printed = table(name)
    if name in ("scores", "text"):
        value, unit = printed["value"], 1 if name == "scores" else 100
        reach = z * printed["value_se"] if name == "scores" else float("nan")
        made = {"estimate": value / unit, "low": value - reach, "high": value + reach}
        return printed.assign(**made, n_is="printed" if name == "scores" else None)
    shares = [column for column in printed if column.endswith("_pct")]
    if not shares:
        raise InputError(f"the table {name!r} holds no estimates")
    long = printed.melt([column for column in printed if column not in shares], shares, "quantity")
    long["quantity"] = long["quantity"].str.removesuffix("_pct")
    nominal = long["n_nominal"] if "n_nominal" in long else long["n_examples"]
    n = largest_fitting(long["value"], nominal)
    n = n.where(n > 0, nominal)  # of 20 examples 28 % is no count
    low, high = wilson(long["value"] / 100, n, z)
    n_is = (n == nominal).map({True: "printed", False: "largest"})
    return long.assign(estimate=long["value"] / 100, low=low, high=high, n=n, n_is=n_is)


def _rates_and_gaps(name: str, z: float) -> pd.DataFrame:
    """The tables that print rates in both tiers and their gap."""
    printed = table(name).merge(sample_sizes(name).rename(columns={"variation": "label"}))
    # Appendix G prints the model's name in the same column
    short = printed["label"].str.replace(_MODEL_NAMES, "", regex=True)
    missing = {column: value for column, value in _USUAL.items() if column not in printed}
    conditions = printed.assign(variation=short.where(short != "", "default"), **missing)[_CONDITION]
    sizes = printed.apply(_own_sizes, axis=1, name=name)
    rates = []
    for column in sizes:
        tier, quantity = _RATES[column]
        numbers = {"estimate": printed[f"{column}_pct"] / 100, "n": sizes[column]}
        rates.append(conditions.assign(tier=tier, quantity=quantity, **numbers))
    long = pd.concat(rates)
    parts = long["n"] * (1 + (long["quantity"] == "af_reasoning"))
    share = (long["estimate"] * parts).round() / parts
    counted = long["n_is"] != "approximate"
    is_count = counted & ((share - long["estimate"]).abs() <= 0.00051)
    long["estimate"] = share.where(is_count, long["estimate"])
    long["low"], long["high"] = wilson(long["estimate"], long["n"], z)
    long["interval"] = long["n_is"].map(_INTERVALS).mask(counted & ~is_count, _INTERVALS["no count"])
    complied = long[long["quantity"] == "refused"].assign(quantity="complied")
    complied[_ENDS] = 1 - complied[["estimate", "high", "low"]].to_numpy()
    free, paid = (complied[complied["tier"] == tier] for tier in ("free", "paid"))
    gaps = free.assign(tier="both", quantity="compliance_gap", interval=_INTERVALS["gap"])
    gaps["low"], gaps["high"] = square_and_add(*(part[_ENDS].to_numpy().T for part in (free, paid)))
    computed = free["estimate"] - paid["estimate"]
    gaps["estimate"] = computed.where(free["n_is"] != "approximate", printed["compliance_gap_pct"] / 100)
    every = pd.concat([long, complied, gaps]).round({"n": 0}).astype({"n": int})
    return in_reading_order(every, "tier").sort_values("row", kind="stable", ignore_index=True)


def _own_sizes(row: pd.Series, name: str) -> pd.Series:
    """The n behind each rate of a row: the row's, else that which the rate's standard error implies."""
    columns = [column for column in _RATES if f"{column}_pct" in row]
    if row["n"] > 0:
        return pd.Series(dict.fromkeys(columns, row["n"]))
    own = {rate: implied_n(row[f"{rate}_pct"] / 100, row[f"{rate}_se"] / 100) for rate in columns}
    usable = [n for n in own.values() if n.usable]
    if not usable:
        raise InputError(f"{TABLES[name]}: row {row['row']} implies no sample size")
    sharpest = min(usable, key=lambda n: n.high / n.low)
    return pd.Series({column: (n if n.usable else sharpest).n for column, n in own.items()})


def discrepancies(level: float = 0.95) -> pd.DataFrame:
    """Sentences of the paper's text that differ from its tables, computed from both.

    They were found in a text copy of the paper and are to be checked against the PDF.

    Parameters
    ----------
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `section`, `claim` (in our words), `tables` (what the tables give, with intervals), `kind`
        (`beyond error` and `within error`: by the interval of the difference, samples taken as
        independent; else what the difference lies in, as `claims` has it: `rounding`, `caption` (against
        the text), `table` (within one) or `impossible` (no count gives the number)), `note`.

    Examples
    --------
    >>> discrepancies().loc[1, "tables"]
    'AF reasoning 10.2 % [6.5, 15.6] against 11.9 % [8.9, 15.7]; difference −1.7 points [−7.0, 4.5]'
    """
    printed = pd.concat([estimates(name, level).assign(table=name) for name in _CLAIMED])
    quantity = printed["quantity"].where(printed["table"] != "scores", "score")
    parts = [printed["table"], printed["row"].astype(str), quantity, printed["tier"].fillna("")]
    numbers = printed.set_index(pd.Index(map("_".join, zip(*parts, strict=True))).str.rstrip("_"))
    rows = []
    for claim in table("claims").to_dict("records"):
        try:
            differs, words, beyond = _laid_beside(claim, numbers)
        except Exception as error:  # a formula edited by hand fails in many ways
            where = f"{TABLES['claims']}: row {claim['row']}: {claim['check']} of {claim['subject']!r}"
            raise InputError(f"{where} in {claim['words']!r} cannot be computed ({error})") from None
        if differs:
            kind = claim["kind"] or ("beyond error" if beyond else "within error")
            rows.append(claim | {"tables": words, "kind": kind, "level": level})
    return pd.DataFrame(rows)[["section", "claim", "tables", "kind", "note", "level"]]


def _laid_beside(claim: dict[str, Any], numbers: pd.DataFrame) -> tuple[bool, str, bool]:
    """Whether the tables differ from a claim, what they give, and whether by more than error."""
    check, stated, words = claim["check"], float(claim["stated"] or 0), claim["words"]
    if check == "note":
        return True, words, False
    if check == "sizes":
        sizes = sample_sizes().query("setting == 'helpful-only'")
        fit = sum(bool({100, 400} & {*fits}) for fits in sizes["fits"])
        many = sizes["n"].value_counts().sort_index(ascending=False)
        words = ", ".join(f"{n:.0f} ({rows} rows)" for n, rows in many.items())
        return fit < len(sizes), f"of {len(sizes)} rows {fit} fit 400 or 100; all fit {words}", True
    if check == "number":
        value = float(pd.eval(claim["subject"], local_dict=numbers["estimate"].to_dict()))
        return abs(value - stated) > 0.005, words.format(value), False
    one = numbers.loc[claim["subject"], _ENDS]
    unit = "points" if "compliance_gap" in claim["subject"] else "%"
    if check == "value":
        outside = not one["low"] <= stated / 100 <= one["high"]
        return abs(100 * one["estimate"] - stated) >= 1, f"{words} {with_interval(one, unit)}", outside
    other = numbers.loc[claim["reference"], _ENDS]
    low, high = (float(end) for end in square_and_add(tuple(one), tuple(other)))
    change = one["estimate"] - other["estimate"]
    differs = {"higher": change < 0, "lower": change > 0, "same": True}[check]
    words = f"{words} {with_interval(one, unit)} against {with_interval(other, unit)}"
    difference = with_interval([change, low, high], "points")
    return differs, f"{words}; difference {difference}", low > 0 or high < 0
