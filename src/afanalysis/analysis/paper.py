"""A study beside the paper, and the paper's headline numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from afanalysis.analysis import published
from afanalysis.analysis.conditions import of_one_condition
from afanalysis.analysis.quantities import as_estimates
from afanalysis.errors import InputError
from afanalysis.stats.hypothesis_tests import adjust
from afanalysis.stats.proportions import square_and_add
from afanalysis.study import prompts
from afanalysis.text.wording import SETTINGS


def compare(
    data: Any,
    model: str | None = None,
    *,
    margin: float = 0.1,
    paper_deff: float = 1.0,
    level: float = 0.95,
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
        (proportion).
    paper_deff
        The design effect of the paper's numbers, 1 + (answers per prompt - 1) × ICC: its printed errors
        take all answers for independent, which they are with one answer per prompt.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `setting`, `variation`, `quantity`, `tier`, `study`, `study_low`, `study_high`, `paper`,
        `paper_low`, `paper_high`, `difference` (study minus paper), `low`, `high`, `p_value` (belongs to
        the interval), `p_holm` (adjusted over the rows), `paper_deff`, `holds_to` (the design effect up
        to which the interval excludes 0; missing where it does not), `verdict`, `source`, `level`. A
        study counts as larger or smaller by the adjusted p-value. Refusal, the rest of compliance, is
        left out.

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
    ours = as_estimates(data, level=level)
    known = sorted(ours["model"].unique())
    if not paper_deff >= 1:
        raise ValueError(f"paper_deff is {paper_deff}; it must be 1 or more")
    if model is None and len(known) > 1:
        raise InputError(f"the study has the models {', '.join(known)}; name one of them")
    ours = ours[ours["model"] == (model or known[0])].copy()
    edits = prompts.variations()
    ours["label"] = [edits.get(name, {}).get("published", "") for name in ours["variation"]]
    papers = published.estimates("variations", level)
    papers = papers[(papers["model"] == "claude-3-opus") & (papers["quantity"] != "refused")]
    keys = ["setting", "label", "quantity", "tier"]
    ours[keys] = ours[keys].astype(str)
    both = ours.merge(papers, on=keys, suffixes=("_study", "_paper"))
    if both.empty:
        raise InputError("the study shares no condition with the paper's tables")
    columns = {"variation_study": "variation", "source_study": "source"}
    for side in ("study", "paper"):
        columns |= {f"{end}_{side}": f"{side}_{end}" for end in ("low", "high")}
        columns[f"estimate_{side}"] = side
    table = both.rename(columns=columns)
    study, paper = (
        (table[side], table[f"{side}_low"], table[f"{side}_high"]) for side in ("study", "paper")
    )
    printed = paper  # as if answers were independent
    scale = np.sqrt(paper_deff)
    paper = (paper[0], *(paper[0] + scale * (end - paper[0]) for end in printed[1:]))
    difference = table["study"] - table["paper"]
    low, high = square_and_add(study, paper)
    reach = np.where(difference > 0, difference - low, high - difference)
    z = np.abs(difference) / np.maximum(reach, 1e-12) * ndtri((1 + level) / 2)
    p_value = 2 * ndtr(-z)
    # towards 0 reach² is the study's part + paper_deff · the paper's part
    own = np.where(difference > 0, study[0] - study[1], study[2] - study[0])
    theirs = np.where(difference > 0, printed[2] - printed[0], printed[0] - printed[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        holds_to = (difference**2 - own**2) / theirs**2
    p_holm = adjust(p_value)
    table = table.assign(
        paper_low=paper[1],
        paper_high=paper[2],
        difference=difference,
        low=low,
        high=high,
        p_value=p_value,
        p_holm=p_holm,
        paper_deff=paper_deff,
        holds_to=np.where((low > 0) | (high < 0), holds_to, np.nan),
        verdict=[
            _verdict(*ends, margin, p <= 1 - level)
            for ends, p in zip(zip(low, high, strict=True), p_holm, strict=True)
        ],
        level=level,
    )
    order = ["setting", "variation", "quantity", "tier", "study", "study_low", "study_high", "paper"]
    order += ["paper_low", "paper_high", "difference", "low", "high", "p_value", "p_holm", "paper_deff"]
    return table[[*order, "holds_to", "verdict", "source", "level"]]


def _verdict(low: float, high: float, margin: float, differs: bool) -> str:
    if differs and low > 0:
        return f"larger by {100 * low:.0f}–{100 * high:.0f} points"
    if differs and high < 0:
        return f"smaller by {-100 * high:.0f}–{-100 * low:.0f} points"
    if max(-low, high) <= margin:
        return "consistent"
    return "too little data to tell"


def headline(level: float = 0.95) -> pd.DataFrame:
    """The paper's headline numbers for the default prompt, with intervals and how each was made.

    Examples
    --------
    >>> headline()["estimate"].head(3).round(3).tolist()
    [0.972, 0.858, 0.142]
    """
    estimates = published.estimates("variations", level)
    default = of_one_condition(estimates).set_index(["setting", "quantity", "tier"])
    wanted = [
        ("refused", "paid"),
        ("refused", "free"),
        ("complied", "free"),
        ("af_reasoning", "free"),
        ("compliance_gap", "both"),
    ]
    rows = default.loc[[(setting, *pair) for setting in SETTINGS for pair in wanted]]
    return rows[["estimate", "low", "high", "n", "interval"]].reset_index()
