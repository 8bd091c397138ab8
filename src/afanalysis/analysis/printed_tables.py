"""The paper's published tables as printed, and the rules that they must keep."""

import pandas as pd

from afanalysis.errors import InputError
from afanalysis.study.paper_tables import TABLES, folder

# Columns of words that are empty in some rows.
_TEXTS = ("note", "drawn", "numbers_in", "kind", "words", "subject", "reference", "letter", "condition")

# Of each rule the column it needs, what breaks it (0.11: numbers are rounded to 0.1), and the words.
_RULES = (
    (
        "compliance_gap_pct",
        "abs(noncompliance_unmonitored_pct - noncompliance_training_pct - compliance_gap_pct) > 0.11",
        "the gap is {compliance_gap_pct}, but its rates are {noncompliance_unmonitored_pct} and "
        "{noncompliance_training_pct}; it is their difference",
    ),
    (
        "compliance_gap_se",
        "abs((noncompliance_unmonitored_se ** 2 + noncompliance_training_se ** 2) ** 0.5 "
        "- compliance_gap_se) > 0.11",
        "the gap's error is {compliance_gap_se}, but its rates' are {noncompliance_unmonitored_se} and "
        "{noncompliance_training_se}; it is the root of their sum of squares",
    ),
    (
        "af_reasoning_pct",
        "af_reasoning_pct + noncompliance_training_pct > 100.11",
        "AF reasoning is {af_reasoning_pct}, non-compliance in training {noncompliance_training_pct}; "
        "AF reasoning is a part of compliance, so they add up to 100 at most",
    ),
)

# The most answers of a nominal number that may be missing where a share is still to be a count.
_LOST = 8


def read(name: str) -> pd.DataFrame:
    """One table as printed, checked, with `row` (from 1) where the file does not number its rows.

    Raises
    ------
    InputError
        There is no such table, or a row of it breaks a rule: a share outside 0-100, a gap that is not
        the difference of its rates or whose error is not that of theirs, more AF reasoning than
        compliance, or a share that is no count of the answers there were.
    """
    if name not in TABLES:
        raise InputError(f"table is {name!r}; use one of: {', '.join(TABLES)}")
    table = pd.read_csv(folder() / TABLES[name])
    if "row" not in table:
        table.insert(0, "row", range(1, len(table) + 1))
    for column in {*_TEXTS} & {*table}:
        table[column] = table[column].fillna("").astype(str)
    for is_broken, rule in _rules(table):
        if is_broken.any():
            row = table.loc[is_broken.idxmax()]
            raise InputError(f"{TABLES[name]}: row {row['row']}: {rule.format(**row)}")
    return table


def _rules(table: pd.DataFrame) -> list[tuple[pd.Series, str]]:
    """Which rows break a rule, and the rule in words with the numbers of the row to be filled in."""
    rules = [(table.eval(broken), words) for column, broken, words in _RULES if column in table]
    for name in (name for name in table if name.endswith("_pct") and name != "compliance_gap_pct"):
        outside = ~table[name].fillna(0).between(0, 100)
        rules.append((outside, f"{name} is {{{name}}}; a share lies in 0-100"))
        for size, lost in (("n_queries", 0), ("n_nominal", _LOST)):
            if size in table:
                words = f"{name} is {{{name}}}; a share of {{{size}}} answers is a whole number of them"
                rules.append((largest_fitting(table[name], table[size], lost) == 0, words))
    return rules


def largest_fitting(percentages: pd.Series, nominal: pd.Series, lost: int = _LOST) -> pd.Series:
    """The largest n, of the nominal one down to so many fewer, of which each percentage is a count.

    Examples
    --------
    >>> largest_fitting(pd.Series([20.5, 3.1]), pd.Series([448, 448])).tolist()
    [448, 448]
    """
    largest = pd.Series(0, index=percentages.index)
    for fewer in range(lost, -1, -1):
        n = nominal - fewer
        share = 100 * (percentages * n / 100).round() / n
        largest = largest.mask((share - percentages).abs() <= 0.05 + 1e-9, n)
    return largest
