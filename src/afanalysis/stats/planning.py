"""How many prompts and samples a study needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import special

from afanalysis.stats.proportions import check_level


@dataclass(frozen=True)
class Design:
    """What is assumed of a study's answers.

    Attributes
    ----------
    paid, gap
        Compliance in the paid tier, and the gap that the free tier adds (proportions).
    icc
        Intraclass correlation of answers to one prompt.
    correlation
        Of a prompt's propensities in the two tiers.
    """

    paid: float
    gap: float
    icc: float = 0.3
    correlation: float = 0.5

    def __post_init__(self) -> None:
        free = self.paid + self.gap
        if not 0 <= self.paid <= 1 or not 0 <= free <= 1:
            raise ValueError(f"paid is {self.paid} and gap {self.gap}; both rates must lie in 0-1")
        if not 0 <= self.icc <= 1 or not -1 <= self.correlation <= 1:
            raise ValueError("icc must lie in 0-1 and correlation in -1 to 1")

    def gap_se(self, prompts: float, samples: float) -> float:
        """The standard error of the paired gap.

        A prompt's propensity varies by icc · p(1 - p); its mean of k answers by (1 + (k - 1) icc) / k
        times p(1 - p); the tiers share `correlation` of the former.

        References
        ----------
        Miller (2024), arXiv:2411.00640, sections 4 and 5.
        """
        free = self.paid + self.gap
        v_free, v_paid = free * (1 - free), self.paid * (1 - self.paid)
        within = (1 + (samples - 1) * self.icc) / samples
        shared = self.correlation * self.icc * math.sqrt(v_free * v_paid)
        return math.sqrt(max((v_free + v_paid) * within - 2 * shared, 0.0) / prompts)

    def power(self, prompts: float, samples: float, level: float = 0.95) -> float:
        """The chance that a two-sided test at 1 - level finds the gap."""
        check_level(level)
        se = self.gap_se(prompts, samples)
        if se == 0:
            return 1.0 if self.gap else 1 - level
        critical = float(special.stdtrit(max(prompts - 1, 1), (1 + level) / 2))
        shift = abs(self.gap) / se
        return float(special.ndtr(shift - critical) + special.ndtr(-shift - critical))

    def width(self, prompts: float, samples: float, level: float = 0.95) -> float:
        """The expected width of the gap's interval (a difference of proportions)."""
        check_level(level)
        critical = float(special.stdtrit(max(prompts - 1, 1), (1 + level) / 2))
        return 2 * critical * self.gap_se(prompts, samples)

    def prompts_for_power(self, samples: int, power: float = 0.8, level: float = 0.95) -> int:
        """The fewest prompts, with so many samples each, that reach a power."""
        if not 0 < power < 1:
            raise ValueError(f"power is {power}; it must lie in (0, 1), as 0.8 does")
        if self.gap == 0:
            raise ValueError("gap is 0; no number of prompts finds a gap that is not there")
        return _fewest(lambda prompts: self.power(prompts, samples, level) >= power)

    def prompts_for_width(self, samples: int, width: float, level: float = 0.95) -> int:
        """The fewest prompts, with so many samples each, whose interval is as narrow as asked."""
        if not 0 < width < 2:
            raise ValueError(f"width is {width}; it must lie in (0, 2)")
        return _fewest(lambda prompts: self.width(prompts, samples, level) <= width)


def _fewest(enough: Callable[[int], bool], most: int = 10**9) -> int:
    """The smallest number of prompts that is enough, by bisection."""
    high = 2
    while not enough(high):
        high *= 2
        if high > most:
            raise ValueError(f"more than {most:,} prompts would be needed")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
