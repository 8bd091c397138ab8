"""A study beside the paper, and the paper's headline numbers."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from afanalysis.analysis import published
from afanalysis.analysis.conditions import of_one_condition
from afanalysis.analysis.quantities import as_estimates
from afanalysis.errors import InputError
from afanalysis.stats.hypothesis_tests import adjust
from afanalysis.study import prompts
from afanalysis.text.wording import SETTINGS

# The level of the intervals that are compared, and the design effects that `holds_to` is one of.
_LEVEL = 0.95
_DEFFS = np.geomspace(1, 1000, 300)


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
        the interval), `p_holm` (adjusted over the rows), `paper_deff`, `holds_to` (the design effect of
        the paper, of 300 up to 1,000, up to which the study counts as larger or smaller; missing where
        it never does), `verdict`, `source`, `level`. A study counts as larger or smaller by the adjusted
        p-value. Refusal, the rest of compliance, is left out.

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
    if not 0 < margin < 1 or not paper_deff >= 1:
        raise ValueError(
            f"margin is {margin} and paper_deff {paper_deff}; they must lie in (0, 1) and from 1 on"
        )
    shown = as_estimates(data, level=level)
    # what is compared are intervals of one level, so that no p-value hangs on the level that is shown
    ours = shown if shown is data else as_estimates(data, level=_LEVEL)
    base = float(ours["level"].iloc[0])
    ours = ours.assign(shown_low=shown["low"], shown_high=shown["high"])
    known = sorted(ours["model"].unique(), key=str)
    if model is None and len(known) > 1:
        raise InputError(f"the study has the models {', '.join(map(str, known))}; name one of them")
    ours = ours[ours["model"] == (model or known[0])].copy()
    edits = prompts.variations()
    ours["label"] = [edits.get(name, {}).get("published", "") for name in ours["variation"]]
    papers = published.estimates("variations", base)
    ends = published.estimates("variations", level)
    papers = papers.assign(shown_low=ends["low"], shown_high=ends["high"])
    papers = papers[(papers["model"] == "claude-3-opus") & (papers["quantity"] != "refused")]
    keys = ["setting", "label", "quantity", "tier"]
    ours[keys] = ours[keys].astype(str)
    both = ours.merge(papers, on=keys, suffixes=("_study", "_paper"))
    if both.empty:
        raise InputError("the study shares no condition with the paper's tables")
    study, paper = both["estimate_study"], both["estimate_paper"]
    difference = study - paper
    # downwards the study's lower and the paper's upper part, and the reverse
    down = study - both["low_study"], both["high_paper"] - paper
    up = both["high_study"] - study, paper - both["low_paper"]
    z = float(ndtri((1 + base) / 2))

    def reach(parts: tuple[pd.Series, pd.Series], deff: float) -> pd.Series:
        return np.sqrt(parts[0] ** 2 + deff * parts[1] ** 2) / z

    def p_values(deff: float) -> np.ndarray:
        towards = reach(down, deff).where(difference > 0, reach(up, deff))
        return 2 * ndtr(-np.abs(difference) / np.maximum(towards, 1e-12)).to_numpy()

    critical = float(ndtri((1 + level) / 2))
    low, high = (
        (difference + side * critical * reach(parts, paper_deff)).clip(-1, 1)
        for side, parts in ((-1, down), (1, up))
    )
    p_holm = adjust(p_values(paper_deff))
    holds = np.array([adjust(p_values(deff)) <= 1 - level for deff in _DEFFS])
    scale = np.sqrt(paper_deff)
    table = both.rename(columns={"variation_study": "variation", "source_study": "source"}).assign(
        study=study,
        study_low=both["shown_low_study"],
        study_high=both["shown_high_study"],
        paper=paper,
        paper_low=paper + scale * (both["shown_low_paper"] - paper),
        paper_high=paper + scale * (both["shown_high_paper"] - paper),
        difference=difference,
        low=low,
        high=high,
        p_value=p_values(paper_deff),
        p_holm=p_holm,
        paper_deff=paper_deff,
        holds_to=np.where(holds[0], _DEFFS[holds.sum(0) - 1], np.nan),
        verdict=[
            _verdict(*ends, margin, p <= 1 - level)
            for ends, p in zip(zip(low, high, strict=True), p_holm, strict=True)
        ],
        level=level,
    )
    order = ["setting", "variation", "quantity", "tier", "study", "study_low", "study_high", "paper"]
    order += ["paper_low", "paper_high", "difference", "low", "high", "p_value", "p_holm", "paper_deff"]
    order += ["holds_to", "verdict", "source", "level", *({"scratchpad_from"} & set(table))]
    return table[order]


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
