"""How many prompts and answers a study needs, for the tests that are reported."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.hypothesis_tests import at_least_p_values, equivalence_p_values, fewest_prompts
from afanalysis.stats.proportions import Floats, check_level

AIMS = ("gap", "above", "below")
_REPEATS = 1000
_MOST_PROMPTS = 20_000
_MOST_VALUES = 2**21  # simulated at once


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
    seed
        Of the simulated studies.
    """

    paid: float
    gap: float
    icc: float = 0.3
    correlation: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        free = self.paid + self.gap
        if not 0 <= self.paid <= 1 or not 0 <= free <= 1:
            raise ValueError(f"paid is {self.paid} and gap {self.gap}; both rates must lie in 0-1")
        if not 0 <= self.icc < 1 or not 0 <= self.correlation <= 1:
            raise ValueError("icc must lie in [0, 1) and correlation in 0-1")

    @cached_property
    def _propensities(self) -> tuple[Floats, Floats]:
        """Propensities of many prompts in the free and the paid tier, beta-distributed."""
        rng = np.random.default_rng(self.seed)
        shared, *own = rng.standard_normal((3, 200_000))
        together, apart = math.sqrt(self.correlation), math.sqrt(1 - self.correlation)
        scores = [together * shared + apart * z for z in own]
        free, paid = (
            _beta_quantiles(rate, self.icc, special.ndtr(z))
            for rate, z in zip((self.paid + self.gap, self.paid), scores, strict=True)
        )
        return free, paid

    def differences(self, prompts: int, samples: int, repeats: int = _REPEATS) -> Floats:
        """Simulated studies: by study and prompt the difference of the two tiers' rates."""
        rng = np.random.default_rng([self.seed, prompts, samples])
        chosen = rng.integers(0, self._propensities[0].size, (repeats, prompts))
        free, paid = (rng.binomial(samples, tier[chosen]) / samples for tier in self._propensities)
        return free - paid

    def power(
        self,
        prompts: int,
        samples: int,
        level: float = 0.95,
        *,
        aim: str = "gap",
        than: float = 0.0,
        repeats: int = _REPEATS,
    ) -> float:
        """The chance that the reported test decides, by simulation (standard error at most 0.016).

        With more than 2,000 prompts fewer studies are simulated (standard error at most 0.035).

        Parameters
        ----------
        prompts, samples
            Prompts, and answers per prompt and tier.
        level
            1 - level is the level of the test.
        aim
            `gap`: the gap's two-sided p-value; `above`: the gap is larger than `than`; `below`: it is
            smaller than `than` in absolute value.
        than
            A difference of proportions.
        repeats
            Simulated studies.
        """
        check_level(level)
        if aim not in AIMS:
            raise ValueError(f"aim is {aim!r}; use one of: {', '.join(AIMS)}")
        _check_sizes(prompts, samples)
        repeats = min(repeats, max(200, _MOST_VALUES // prompts))
        studies = BoundedMean.of(self.differences(prompts, samples, repeats), -1, 1)
        if aim == "gap":
            p_values = studies.p_value()
        elif aim == "above":
            p_values = at_least_p_values(studies, than)
        else:
            p_values = equivalence_p_values(studies, than)
        return float((p_values <= 1 - level).mean())

    def width(self, prompts: int, samples: int, level: float = 0.95) -> float:
        """The expected width of the gap's interval (a difference of proportions), by simulation."""
        check_level(level)
        _check_sizes(prompts, samples)
        low, high = BoundedMean.of(self.differences(prompts, samples, 200), -1, 1).interval(level)
        return float((high - low).mean())

    def prompts_for_power(
        self,
        samples: int,
        power: float = 0.8,
        level: float = 0.95,
        *,
        aim: str = "gap",
        than: float = 0.0,
    ) -> int:
        """The fewest prompts, with so many answers each, that reach a power.

        Raises
        ------
        ValueError
            The aim cannot be reached: the gap that is assumed is on the wrong side of `than`.
        """
        if not 0 < power < 1:
            raise ValueError(f"power is {power}; it must lie in (0, 1), as 0.8 does")
        if (aim == "gap" and self.gap == 0) or (aim == "above" and self.gap <= than):
            raise ValueError(
                f"the assumed gap is {self.gap}; no number of prompts finds it to be above {than}"
            )
        if aim == "below" and abs(self.gap) >= than:
            raise ValueError(
                f"the assumed gap is {self.gap}; no number of prompts finds it to be within {than}"
            )
        least = fewest_prompts(than, level) if aim == "below" else 2
        return _fewest(
            lambda prompts: self.power(prompts, samples, level, aim=aim, than=than) >= power, least
        )

    def prompts_for_width(self, samples: int, width: float, level: float = 0.95) -> int:
        """The fewest prompts, with so many answers each, whose interval has this width or less."""
        if not 0 < width < 2:
            raise ValueError(f"width is {width}; it must lie in (0, 2)")
        return _fewest(lambda prompts: self.width(prompts, samples, level) <= width, 2)


def _check_sizes(prompts: int, samples: int) -> None:
    if prompts < 2 or samples < 1:
        raise ValueError(
            f"prompts is {prompts} and samples {samples}; a study needs at least 2 prompts and 1 sample"
        )


def _beta_quantiles(mean: float, icc: float, u: Floats) -> Floats:
    """Quantiles of the beta distribution with this mean and intraclass correlation."""
    if icc == 0 or mean in (0, 1):
        return np.full(u.shape, mean)
    grid = np.linspace(0, 1, 4001)
    strength = (1 - icc) / icc
    quantiles = special.betaincinv(mean * strength, (1 - mean) * strength, grid)
    return np.interp(u, grid, quantiles)


def _fewest(enough: Callable[[int], bool], least: int) -> int:
    """The smallest number of prompts that is enough, by bisection."""
    high = max(least, 16)
    while not enough(high):
        high *= 2
        if high > _MOST_PROMPTS:
            raise ValueError(f"more than {_MOST_PROMPTS:,} prompts would be needed")
    low = max(high // 2, least - 1) if high > max(least, 16) else least - 1
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
