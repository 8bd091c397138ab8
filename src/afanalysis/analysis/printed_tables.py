"""The paper's published tables as printed, checked against what is declared of them."""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from afanalysis.errors import InputError
from afanalysis.study.paper_tables import DECLARED, TABLES, folder

_NUMBER = r"-?[0-9]+(\.[0-9]+)?|inf"

_RATES = (*DECLARED["rates"],)

# The columns of a row that an n must reproduce.
_FITTED = [f"{name}_{column}" for name in (*_RATES[1:], "compliance_gap") for column in ("pct", "se")]


def table(name: str) -> pd.DataFrame:
    """One of the paper's tables as printed (percentages), checked.

    Parameters
    ----------
    name
        `variations` (145 rows, Appendices G.2 and G.3), `rl` (Table 2), `table1`, `replication` (Table
        5), `lying` (Tables 4, 6), `situation` (Tables 9-12), `raters` (Appendix I.1.1), `scores` (Tables
        7, 8), `text` (numbers of the text and captions), `sizes` (sample sizes that are stated),
        `claims` (sentences that can be laid beside the tables), `index` (every figure and table) or
        `headline` (figures quoted in the news and the text).

    Returns
    -------
    DataFrame
        The file's columns.

    Raises
    ------
    InputError
        There is no such table, its file is missing or is no CSV in UTF-8, or something in it is not as
        declared in `afanalysis/study/paper_tables.yaml`: its columns, its rows, a cell, or a rule, such
        as a gap that is not the difference of its rates.

    Examples
    --------
    >>> float(table("variations").loc[0, "noncompliance_unmonitored_pct"])
    97.2
    """
    if name not in TABLES:
        raise InputError(f"table is {name!r}; use one of: {', '.join(TABLES)}")
    about = DECLARED["tables"][name]
    printed = _cells(TABLES[name], about)
    for column, kind in about["columns"].items():
        expected = DECLARED["kinds"][kind]
        for row, cell in zip(printed["row"], printed[column], strict=True):
            if not _is_as(expected, cell):
                right = expected.get("is") or expected["like"].strip("|").replace("|", ", ")
                raise InputError(f"{TABLES[name]}: row {row}: {column} is {cell!r}; write {right}")
        if "least" in expected:
            printed[column] = printed[column].astype("int64" if expected.get("whole") else "float64")
    for is_broken, rule in _rules(printed, about):
        if is_broken.any():
            row = printed.loc[is_broken.idxmax()]
            raise InputError(f"{TABLES[name]}: row {row['row']}: {rule.format(**row)}")
    return printed


def _cells(file: str, about: dict[str, Any]) -> pd.DataFrame:
    """The cells of a file as text, under the declared columns and with the declared rows."""
    columns = [*about["columns"]]
    try:
        text = (folder() / file).read_bytes().decode("utf-8-sig")
        header, *rows = [*csv.reader(io.StringIO(text, newline=""), strict=True)] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{file}: no CSV in UTF-8 can be read from it ({error})") from None
    if header != columns:
        raise InputError(f"{file}: line 1: the columns are {header}; write {', '.join(columns)}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            raise InputError(f"{file}: row {number}: it has {len(row)} cells; write {len(columns)}")
        if row[0] != str(number):
            raise InputError(f"{file}: row {number}: row is {row[0]!r}; number the rows in order")
    if len(rows) != about["rows"]:
        raise InputError(f"{file}: row {len(rows)}: it is the last; there are {about['rows']} rows")
    return pd.DataFrame(rows, columns=columns)


def _is_as(expected: dict[str, Any], cell: str) -> bool:
    """Whether a cell is as its kind is declared; of text no more than one line."""
    if not cell.isprintable() or not re.fullmatch(expected.get("like", _NUMBER), cell):
        return False
    return "least" not in expected or expected["least"] <= float(cell) <= expected["most"]


def _rules(printed: pd.DataFrame, about: dict[str, Any]) -> Iterator[tuple[pd.Series, str]]:
    """Which rows break a rule, and the rule in words with the numbers of the row to be filled in."""
    named = ", ".join(f"{{{column}}}" for column in about["key"])
    yield printed.duplicated(about["key"]), f"it repeats an earlier row of {named}; write each once"
    for rule in about["rules"]:
        yield printed.eval(rule["breaks"]).astype(bool), rule["words"]
    if size := about.get("counts"):
        for name in (name for name in printed if name.endswith("_pct") and "gap" not in name):
            words = f"{name} is {{{name}}}; a share of {{{size}}} answers is a whole number of them"
            yield largest_fitting(printed[name], printed[size]) == 0, words
    if set(_FITTED) <= {*printed}:
        yield from _size_rules(printed)
    if "repeats" in about:
        origin = printed["row"].map(about["repeats"])
        there = table("variations").set_index("row")
        for column in (f"{_RATES[0]}_pct", f"{_RATES[0]}_se", *_FITTED):
            expected = origin.map(there[column])
            words = f"{column} is {{{column}}}; the row of {TABLES['variations']} differs"
            yield expected.notna() & (expected != printed[column]), words


def _size_rules(printed: pd.DataFrame) -> Iterator[tuple[pd.Series, str]]:
    """Whether the errors of a row are those of as many answers as it can have."""
    usual = DECLARED["helpful_only_n"]
    low, high = (pd.Series(end, index=printed.index) for end in DECLARED["animal_welfare_n"])
    for row in printed[printed["setting"] == "helpful-only"].to_dict("records"):
        low[row["row"] - 1] = high[row["row"] - 1] = max({*usual} & {*fits_of(row)}, default=0)
    yield low == 0, f"its rates, gap and errors fit none of {usual} answers, as helpful-only rows do"
    for name in (f"{rate}_pct" for rate in _RATES):
        share, error = printed[name] / 100, name.replace("_pct", "_se")
        spread = 100 * (share * (1 - share)) ** 0.5
        # both the share and its error are rounded
        below, above = spread / high**0.5 - 0.06, spread / low**0.5 + 0.06
        words = f"{error} is {{{error}}}; with {name} {{{name}}} it is the error of no n there was"
        yield ~printed[error].between(below, above), words


def fits_of(row: dict[str, Any]) -> list[int]:
    """Every n from 20 to 800 that gives a row's refusal rates, gap and their errors as printed."""
    free, free_se, paid, paid_se, gap, gap_se = (row[column] / 100 for column in _FITTED)
    return fitting_n([free, paid], [free_se, paid_se], (gap, gap_se))


def largest_fitting(percentages: pd.Series, nominal: pd.Series) -> pd.Series:
    """The largest n of which each percentage is a count, or 0.

    The n are the nominal one and down to as many fewer as may be missing of it (`lost` in
    `afanalysis/study/paper_tables.yaml`).

    Examples
    --------
    >>> largest_fitting(pd.Series([20.5, 0.4]), pd.Series([448, 448])).tolist()
    [448, 448]
    """
    largest = pd.Series(0, index=percentages.index)
    lost = nominal.map(DECLARED["lost"]).fillna(-1)
    for fewer in range(int(lost.max()), -1, -1):
        n = nominal - fewer
        share = 100 * (percentages * n / 100).round() / n
        is_count = ((share - percentages).abs() <= 0.05 + 1e-9) & (fewer <= lost)
        largest = largest.mask(is_count, n)
    return largest


# Half a unit of the last printed digit (proportions).
HALF_UNIT = 0.0005


class ImpliedN(NamedTuple):
    """The sample size that a printed rate ± SE implies, and the range that its rounding leaves."""

    n: float
    low: float
    high: float

    @property
    def usable(self) -> bool:
        """Whether rounding leaves n known within a factor of two."""
        return self.low > 0 and self.high <= 2 * self.low


def implied_n(rate: float, se: float) -> ImpliedN:
    """The n for which sqrt(p (1 - p) / n) is the printed standard error.

    Parameters
    ----------
    rate, se
        As printed (proportions).

    Examples
    --------
    >>> size = implied_n(0.858, 0.019)
    >>> round(size.n), round(size.low), round(size.high)
    (337, 319, 357)
    """
    if se <= 0:
        return ImpliedN(math.nan, 0.0, math.inf)
    p = np.clip([rate - HALF_UNIT, rate, rate + HALF_UNIT], 0, 1)
    variance = p * (1 - p)
    most = variance.max() / (se - HALF_UNIT) ** 2 if se > HALF_UNIT else math.inf
    return ImpliedN(variance[1] / se**2, variance.min() / (se + HALF_UNIT) ** 2, most)


def fitting_n(rates: Sequence[float], errors: Sequence[float], difference: Sequence[float]) -> list[int]:
    """Every n from 20 to 800 of which rates that share it are counts, with their errors, as printed.

    Parameters
    ----------
    rates, errors
        Printed rates and their standard errors sqrt(p (1 - p) / n) (proportions).
    difference
        The second rate minus the first and its standard error, of independent samples, as printed.

    Examples
    --------
    Refusal of the paper's default prompt, in training and when unmonitored:

    >>> fitting_n([0.858, 0.972], [0.019, 0.009], (0.113, 0.021))
    [353]
    """
    n = np.arange(20, 801)
    # neighbouring counts lie further apart than rounding reaches, so only the nearest can fit
    p = np.round(np.outer(rates, n)) / n
    se = np.sqrt(p * (1 - p) / n)
    computed = [*p, *se, p[1] - p[0], np.hypot(*se)]
    printed = [*rates, *errors, *difference]
    fits = np.abs(np.array(computed) - np.array(printed)[:, None]) <= HALF_UNIT + 1e-9
    return n[fits.all(0)].tolist()
