"""A study beside the paper, and the paper's headline numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.analysis import published
from afanalysis.analysis.quantities import as_estimates
from afanalysis.errors import InputError
from afanalysis.stats.proportions import square_and_add
from afanalysis.study import prompts


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
    """
    import pandas as pd

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
    rows = []
    for _, row in both.iterrows():
        study, paper = (
            (row[f"estimate_{side}"], row[f"low_{side}"], row[f"high_{side}"])
            for side in ("study", "paper")
        )
        low, high = (float(end) for end in square_and_add(study, paper))
        rows.append(
            {
                "setting": row["setting"],
                "variation": row["variation_study"],
                "quantity": row["quantity"],
                "tier": row["tier"],
                **dict(zip(("study", "study_low", "study_high"), study, strict=True)),
                **dict(zip(("paper", "paper_low", "paper_high"), paper, strict=True)),
                "difference": study[0] - paper[0],
                "low": low,
                "high": high,
                "verdict": _verdict(low, high, margin),
                "source": row["source_study"],
                "level": level,
            }
        )
    return pd.DataFrame(rows)


def _verdict(low: float, high: float, margin: float) -> str:
    if low > 0:
        return f"larger by {100 * low:.0f}–{100 * high:.0f} points"
    if high < 0:
        return f"smaller by {-100 * high:.0f}–{-100 * low:.0f} points"
    if max(-low, high) <= margin:
        return "consistent"
    return "too little data to tell"


def headline(level: float = 0.95) -> pd.DataFrame:
    """The paper's headline numbers for the default prompt, with intervals and how each was made."""
    found = published.estimates("variations", level)
    found = found[(found["model"] == "claude-3-opus") & (found["label"] == "default")]
    wanted = [
        ("refused", "paid"),
        ("refused", "free"),
        ("complied", "free"),
        ("af_reasoning", "free"),
        ("compliance_gap", "both"),
    ]
    rank = {pair: at for at, pair in enumerate(wanted)}
    pairs = list(zip(found["quantity"], found["tier"], strict=True))
    found = found[[pair in rank for pair in pairs]].assign(
        rank=[rank[pair] for pair in pairs if pair in rank]
    )
    settings = ["helpful-only", "animal-welfare"]
    found["setting_rank"] = found["setting"].map(settings.index)
    found = found.sort_values(["setting_rank", "rank"], ignore_index=True)
    columns = ["setting", "quantity", "tier", "estimate", "low", "high", "n", "interval"]
    return found[columns]
