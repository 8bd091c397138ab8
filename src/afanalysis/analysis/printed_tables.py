"""The paper's published tables as printed, and the rules that they must keep."""

import pandas as pd

from afanalysis.errors import InputError
from afanalysis.study.paper_tables import TABLES, folder

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
    (
        "n_nominal",
        "n_nominal != n_inputs * samples_per_input",
        "n_nominal is {n_nominal}; {n_inputs} × {samples_per_input} answers are stated",
    ),
    ("n_queries", "n_queries != 400", "n_queries is {n_queries}; the paper states 400"),
)

# The most answers of a nominal number that may be missing where a share is still to be a count.
_LOST = 8


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
        The file's columns, with `row` (from 1) where it does not number its rows.

    Raises
    ------
    InputError
        There is no such table, or a row of it breaks a rule: a share outside 0-100, a gap that is not
        the difference of its rates or whose error is not that of theirs, more AF reasoning than
        compliance, or a share that is no count of the answers there were.
    """
    if name not in TABLES:
        raise InputError(f"table is {name!r}; use one of: {', '.join(TABLES)}")
    read = pd.read_csv(folder() / TABLES[name], keep_default_na=False)
    if "row" not in read:
        read.insert(0, "row", range(1, len(read) + 1))
    numeric = [column for column in read if column.endswith(("_pct", "_se"))]
    printed = read.assign(**{name: pd.to_numeric(read[name], errors="coerce") for name in numeric})
    rules = [(printed[name].isna(), f"{name} is '{{{name}}}'; write a number") for name in numeric]
    for is_broken, rule in [*rules, *_rules(printed)]:
        if is_broken.any():
            row = read.loc[is_broken.idxmax()]
            raise InputError(f"{TABLES[name]}: row {row['row']}: {rule.format(**row)}")
    return printed


def _rules(printed: pd.DataFrame) -> list[tuple[pd.Series, str]]:
    """Which rows break a rule, and the rule in words with the numbers of the row to be filled in."""
    rules = [(printed.eval(broken), words) for column, broken, words in _RULES if column in printed]
    for name in (name for name in printed if name.endswith("_pct") and name != "compliance_gap_pct"):
        outside = ~printed[name].between(0, 100)
        rules.append((outside, f"{name} is {{{name}}}; a share lies in 0-100"))
        for size, lost in (("n_queries", 0), ("n_nominal", _LOST)):
            if size in printed:
                words = f"{name} is {{{name}}}; a share of {{{size}}} answers is a whole number of them"
                rules.append((largest_fitting(printed[name], printed[size], lost) == 0, words))
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
