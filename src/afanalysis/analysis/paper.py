"""A study beside the paper, and the paper's headline numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afanalysis.analysis import published
from afanalysis.analysis.conditions import of_one_condition
from afanalysis.analysis.quantities import as_estimates
from afanalysis.errors import InputError
from afanalysis.stats.proportions import square_and_add
from afanalysis.study import prompts
from afanalysis.text.wording import SETTINGS

if TYPE_CHECKING:
    import pandas as pd


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
        (proportion).
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `setting`, `variation`, `quantity`, `tier`, `study`, `study_low`, `study_high`, `paper`,
        `paper_low`, `paper_high`, `difference` (study minus paper), `low`, `high`, `verdict`, `source`,
        `level`.

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
    if model is None and len(known) > 1:
        raise InputError(f"the study has the models {', '.join(known)}; name one of them")
    ours = ours[ours["model"] == (model or known[0])].copy()
    edits = prompts.variations()
    ours["label"] = [edits.get(name, {}).get("published", "") for name in ours["variation"]]
    papers = published.estimates("variations", level)
    papers = papers[papers["model"] == "claude-3-opus"]
    keys = ["setting", "label", "quantity", "tier"]
    both = ours.merge(papers, on=keys, suffixes=("_study", "_paper"))
    if both.empty:
        raise InputError("the study shares no condition with the paper's tables")
    columns = {"variation_study": "variation", "source_study": "source"}
    for side in ("study", "paper"):
        columns |= {
            f"estimate_{side}": side,
            f"low_{side}": f"{side}_low",
            f"high_{side}": f"{side}_high",
        }
    table = both.rename(columns=columns)
    study, paper = (
        (table[side], table[f"{side}_low"], table[f"{side}_high"]) for side in ("study", "paper")
    )
    low, high = square_and_add(study, paper)
    table = table.assign(
        difference=table["study"] - table["paper"],
        low=low,
        high=high,
        verdict=[_verdict(*interval, margin) for interval in zip(low, high, strict=True)],
        level=level,
    )
    order = ["setting", "variation", "quantity", "tier", "study", "study_low", "study_high", "paper"]
    order += ["paper_low", "paper_high", "difference", "low", "high", "verdict", "source", "level"]
    return table[order]


def _verdict(low: float, high: float, margin: float) -> str:
    if low > 0:
        return f"larger by {100 * low:.0f}–{100 * high:.0f} points"
    if high < 0:
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
