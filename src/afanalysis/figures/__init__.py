"""The figures: each a function from a tidy table to a matplotlib figure.

Every function takes either rollouts or a table of estimates (`afanalysis.published.estimates`,
`afanalysis.summaries.estimates`), and gives a figure with the rows it drew as its attribute `rows`.
"""

from afanalysis.figures.behaviour import compliance_by_tier
from afanalysis.figures.judge import raw_and_corrected
from afanalysis.figures.models import models
from afanalysis.figures.style import save
from afanalysis.figures.training import before_and_after_training
from afanalysis.figures.variations import reasoning_against_gap, variations

__all__ = [
    "before_and_after_training",
    "compliance_by_tier",
    "models",
    "raw_and_corrected",
    "reasoning_against_gap",
    "save",
    "variations",
]
