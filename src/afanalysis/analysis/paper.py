"""A study beside the paper, and the paper's headline numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from afanalysis.analysis import published
from afanalysis.analysis.conditions import of_one_condition
from afanalysis.analysis.quantities import as_estimates, taken_for
from afanalysis.errors import InputError
from afanalysis.stats.gap_intervals import gap_interval, paired
from afanalysis.stats.hypothesis_tests import adjust, check_margin
from afanalysis.stats.proportions import Floats, beta_quantiles, wilson
from afanalysis.stats.resampling import Rates, bootstrap, proportion
from afanalysis.stats.resampling import difference as difference_of_rates
from afanalysis.study import prompts
from afanalysis.table.source import columns
from afanalysis.text.wording import SETTINGS, in_reading_order

_LEVEL = 0.95  # of the intervals that are compared

# What a comparison takes for granted about the paper.
ASSUMES = "paper: one answer per query; of the gap, tiers independent, which widens it where they agree"

# Of the gap, the interval under the pairing that makes it widest, and narrowest.
_PAIRED = ["widest_low", "widest_high", "narrowest_low", "narrowest_high"]

_RESAMPLED = {"percentile": "bootstrap, percentile", "bca": "bootstrap, BCa"}


def compare(
    data: Any, model: str | None = None, *, margin: float = 0.1, level: float = 0.95
) -> pd.DataFrame:
    """A study beside the paper, for every condition that they share.

    Parameters
    ----------
    data
        Rollouts or estimates.
    model
        Which of the study's models; by default its only one. It is laid beside claude-3-opus.
    margin
        Two values count as consistent where their difference is shown to be smaller than this
        (proportion), and than half of the paper's value or a point, whichever is more.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `setting`, `variation`, `quantity`, `tier`, `study`, `study_low`, `study_high`, `paper`,
        `paper_low`, `paper_high`, `difference` (study minus paper), `low`, `high`, `p_value` (belongs to
        the interval), `p_holm` (adjusted over the rows), `margin`, `verdict`, `assumes` (what is taken
        for granted about the paper), `source`, `level`. A study counts as larger or
        smaller by the adjusted p-value.
        Refusal, the rest of compliance, is left out.

    Notes
    -----
    The paper asked each query once per tier, so that its answers are independent within a tier. The
    pairs of its tiers are not printed: its gap is that of independent tiers. Queries that are complied
    with in one tier tend to be complied with in the other, and then the true interval is narrower.

    Raises
    ------
    InputError
        The study has several models and none was named, or shares no condition with the paper.

    Examples
    --------
    >>> import afanalysis as af
    >>> paper = af.published.estimates()
    >>> same = compare(paper[paper["model"] == "claude-3-opus"])
    >>> float(same["difference"].abs().max())
    0.0
    """
    check_margin(margin)
    shown = as_estimates(data, level=level, with_gap=False)
    # what is compared are intervals of one level, so that no p-value hangs on the level that is shown
    ours = shown if shown is data else as_estimates(data, level=_LEVEL, with_gap=False)
    base = float(ours["level"].iloc[0])
    ours = ours.assign(study=ours["estimate"], study_low=shown["low"], study_high=shown["high"])
    known = sorted(ours["model"].unique(), key=str)
    if model is None and len(known) > 1:
        raise InputError(f"the study has the models {', '.join(map(str, known))}; name one of them")
    ours = ours[ours["model"] == (model or known[0])].copy()
    edits = prompts.variations()
    ours["label"] = [edits.get(name, {}).get("published", "") for name in ours["variation"]]
    papers = published.estimates("variations", base)
    ends = published.estimates("variations", level)
    papers = papers.assign(paper=papers["estimate"], paper_low=ends["low"], paper_high=ends["high"])
    papers = papers[(papers["model"] == "claude-3-opus") & (papers["quantity"] != "refused")]
    keys = ["setting", "label", "quantity", "tier"]
    ours[keys] = ours[keys].astype(str)
    both = ours.merge(papers, on=keys, suffixes=("_study", "_paper"))
    if both.empty:
        raise InputError("the study shares no condition with the paper's tables")
    difference = both["study"] - both["paper"]
    # downwards the study's lower and the paper's upper part, and the reverse
    z = float(ndtri((1 + base) / 2))
    down = np.hypot(both["study"] - both["low_study"], both["high_paper"] - both["paper"]) / z
    up = np.hypot(both["high_study"] - both["study"], both["paper"] - both["low_paper"]) / z
    towards = np.maximum(down.where(difference > 0, up), 1e-12)
    p_values = 2 * ndtr(-np.abs(difference) / towards).to_numpy()
    critical = float(ndtri((1 + level) / 2))
    table = both.rename(columns={"variation_study": "variation", "source_study": "source"}).assign(
        difference=difference,
        low=(difference - critical * down).clip(-1, 1),
        high=(difference + critical * up).clip(-1, 1),
        p_value=p_values,
        p_holm=adjust(p_values),
        assumes="; ".join([ASSUMES, *taken_for(ours if shown is data else columns(data))]),
        level=level,
    )
    table["margin"] = (table["paper"].abs() / 2).clip(0.01, margin)
    numbers = table[["low", "high", "margin", "p_holm"]].to_numpy()
    table["verdict"] = [_verdict(low, high, most, p <= 1 - level) for low, high, most, p in numbers]
    order = ["setting", "variation", "quantity", "tier", "study", "study_low", "study_high", "paper"]
    order += ["paper_low", "paper_high", "difference", "low", "high", "p_value", "p_holm", "margin"]
    order += ["verdict", "assumes", "source", "level", *({"scratchpad_from"} & set(table))]
    return table[order]


def _verdict(low: float, high: float, margin: float, differs: bool) -> str:
    if differs and low > 0:
        return f"larger by {100 * low:.0f}–{100 * high:.0f} points"
    if differs and high < 0:
        return f"smaller by {-100 * high:.0f}–{-100 * low:.0f} points"
    if max(-low, high) <= margin:
        return f"consistent within {100 * margin:.3g} points"
    return "too little data to tell"


def headline(level: float = 0.95) -> pd.DataFrame:
    """The paper's headline numbers for the default prompt, with intervals and how each was made.

    Returns
    -------
    DataFrame
        `setting`, `quantity`, `tier`, `estimate`, `low`, `high`, `n`, `n_words`, `interval`; of the gap
        also `widest_low`, `widest_high`, `narrowest_low`, `narrowest_high`: the interval that
        `afanalysis.compliance_gap` would give, over every pairing of the two tiers' answers that their
        rates allow. Both tiers asked the same queries, once each; only the rates are printed.

    Examples
    --------
    >>> headline()["estimate"].head(3).round(3).tolist()
    [0.972, 0.858, 0.142]
    """
    estimates = published.estimates("variations", level)
    default = of_one_condition(estimates).set_index(["setting", "quantity", "tier"])
    for setting in SETTINGS:
        free, paid = (default.loc[(setting, "complied", tier), "estimate"] for tier in ("free", "paid"))
        every = list(_pairings(free, paid, default.loc[(setting, "complied", "free"), "n"]))
        ends = [gap_interval(paired(1, a[:, 0], 1, a[:, 1]), level) for _, a in (every[0], every[-1])]
        default.loc[(setting, "compliance_gap", "both"), _PAIRED] = np.ravel(ends).astype(float)
    wanted = [("refused", "paid"), ("refused", "free"), ("complied", "free")]
    wanted += [("af_reasoning", "free"), ("compliance_gap", "both")]
    rows = default.loc[[(setting, *pair) for setting in SETTINGS for pair in wanted]].reset_index()
    columns = ["setting", "quantity", "tier", "estimate", "low", "high", "n", "n_words", "interval"]
    return rows[[*columns, *_PAIRED]]


def _pairings(free: float, paid: float, n: int) -> Iterator[tuple[str, Floats]]:
    """Compliance by query in the free and the paid tier, under three pairings of the same two rates.

    A paired interval is widest where as few queries as possible are complied with in both tiers, and
    narrowest where as many as possible are: the first and the last hold every other between them.
    """
    k_free, k_paid = round(free * n), round(paid * n)
    for name, both in (
        ("as few queries complied with in both tiers as the rates allow", max(0, k_free + k_paid - n)),
        ("as many queries complied with in both tiers as by chance", round(free * paid * n)),
        ("as many queries complied with in both tiers as the rates allow", min(k_free, k_paid)),
    ):
        sizes = [both, k_free - both, k_paid - both, n - k_free - k_paid + both]
        yield name, np.repeat([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], sizes, axis=0)


def headline_by_method(level: float = 0.95) -> pd.DataFrame:
    """The paper's helpful-only headline by Wilson, exactly, and by the bootstrap, from counts.

    Parameters
    ----------
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `quantity`, `tier`, `estimate`, `low`, `high` (proportions), `method`, `assumes`, `n`, `source`,
        `level`. AF reasoning is a mean of two verdicts, so that an answer counts 0, a half or 1. How
        many count a half is not printed: the bootstrap is given for none, which makes it widest, and for
        as many as there can be, given that AF reasoning counts only where the output complied. Wilson's
        and the exact interval are of whole counts, so they are given for none only.

    References
    ----------
    `afanalysis.stats.resampling.bootstrap`, exact over all resamples.

    Examples
    --------
    >>> table = headline_by_method().set_index(["quantity", "method"])
    >>> table.loc[("refused", "bootstrap, percentile"), ["low", "high"]].round(3).tolist()
    [0.952, 0.989]
    """
    default = headline(level).query("setting == 'helpful-only'").set_index(["quantity", "tier"])
    n, gap = int(default["n"].iloc[0]), default.loc[("compliance_gap", "both")]
    rates = [("complied", "free"), ("refused", "paid"), ("af_reasoning", "free")]
    free, refused, reasoning = default.loc[rates, "estimate"]
    most = 2 * round(n * (free - reasoning))  # answers that can count a half
    cases: list[tuple[str, str, str, Floats, Rates]] = []
    for quantity, tier, share, halves, assumes in (
        ("refused", "paid", refused, 0, "one answer per query"),
        ("complied", "free", free, 0, "one answer per query"),
        ("af_reasoning", "free", reasoning, 0, "no answer counts a half"),
        ("af_reasoning", "free", reasoning, most, f"as many as {most} answers count a half"),
    ):
        whole = round(n * share - halves / 2)
        values = np.repeat([1.0, 0.5, 0.0], [whole, halves, n - whole - halves])
        cases.append((quantity, tier, assumes, np.column_stack([values, np.ones(n)]), proportion(0, 1)))
    for assumes, answers in _pairings(free, 1 - refused, n):
        cells = np.insert(answers, [1, 2], 1.0, axis=1)
        cases.append(("compliance_gap", "both", assumes, cells, difference_of_rates(0, 1, 2, 3)))
    independent = "tiers independent, as in the paper"
    key = ("compliance_gap", "both", gap["estimate"], independent)
    rows: list[tuple[Any, ...]] = [(*key, "Wilson, square-and-add", gap["low"], gap["high"])]
    for quantity, tier, assumes, cells, statistic in cases:
        estimate = float(statistic(cells.sum(0)))
        ends: dict[str, Any] = {}
        if tier == "both":
            counts = paired(cells[:, 1], cells[:, 0], cells[:, 3], cells[:, 2])
            ends["bounded mean over queries"] = gap_interval(counts, level)
        elif set(cells[:, 0]) <= {0, 1}:  # halves are not binomial
            ends["Wilson"] = wilson(estimate, n, ndtri((1 + level) / 2))
            ends["exact (Clopper-Pearson)"] = beta_quantiles(estimate, n, level)
        for kind, method in _RESAMPLED.items():
            ends[method] = bootstrap(cells, statistic, level=level, kind=kind)
        rows += [(quantity, tier, estimate, assumes, method, *pair) for method, pair in ends.items()]
    columns = ["quantity", "tier", "estimate", "assumes", "method", "low", "high"]
    table = pd.DataFrame(rows, columns=columns).astype({"low": float, "high": float})
    return in_reading_order(table.assign(n=n, source="published", level=level), "quantity", "tier")
