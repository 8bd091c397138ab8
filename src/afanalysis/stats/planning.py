"""How many prompts and answers a study needs, and intervals that hold at every look at one under way."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.hypothesis_tests import at_least_p_values, equivalence_p_values, fewest_prompts
from afanalysis.stats.proportions import Ends, Floats, check_level

# Of what is to be shown, its p-values from the simulated studies.
AIMS: dict[str, Callable[[BoundedMean, float], Floats]] = {
    "gap": lambda studies, _: studies.p_value(),
    "above": at_least_p_values,
    "below": equivalence_p_values,
}
_REPEATS = 2000
_MOST_PROMPTS = 20_000


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
        if not 0 <= self.icc < 1 or not 0 <= self.correlation <= 1:
            raise ValueError("icc must lie in [0, 1) and correlation in 0-1")

    def studies(self, prompts: int, samples: int, repeats: int = _REPEATS) -> BoundedMean:
        """Simulated studies: the differences of the two tiers' rates over prompts.

        A prompt's difference is one of 2 · samples + 1 values, so a study is one multinomial draw.
        """
        if prompts < 1 or samples < 1:
            raise ValueError(f"prompts is {prompts} and samples {samples}; a study needs some of each")
        rng = np.random.default_rng([0, prompts, samples])
        counts = rng.multinomial(prompts, _chances(self, samples), size=repeats)
        return BoundedMean.of(np.arange(-samples, samples + 1) / samples, -1, 1, counts)

    def power(
        self, prompts: int, samples: int, level: float = 0.95, *, aim: str = "gap", than: float = 0.0
    ) -> float:
        """The chance that the reported test decides, by simulation (standard error at most 0.012).

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
        """
        check_level(level)
        if aim not in AIMS:
            raise ValueError(f"aim is {aim!r}; use one of: {', '.join(AIMS)}")
        p_values = AIMS[aim](self.studies(prompts, samples), than)
        return float((p_values <= 1 - level).mean())

    def width(self, prompts: int, samples: int, level: float = 0.95) -> float:
        """The expected width of the gap's interval (a difference of proportions), by simulation."""
        low, high = self.studies(prompts, samples).interval(level)
        return float((high - low).mean())

    def prompts_for_power(
        self, samples: int, power: float = 0.8, level: float = 0.95, *, aim: str = "gap", than: float = 0
    ) -> int:
        """The fewest prompts, with so many answers each, that reach a power.

        Raises
        ------
        ValueError
            The aim cannot be reached: the gap that is assumed is on the wrong side of `than`.
        """
        if not 0 < power < 1:
            raise ValueError(f"power is {power}; it must lie in (0, 1), as 0.8 does")
        hopeless = {"gap": self.gap == 0, "above": self.gap <= than, "below": abs(self.gap) >= than}
        if hopeless.get(aim):
            goal = f"it to be {'within' if aim == 'below' else 'above'} {than}"
            raise ValueError(f"the assumed gap is {self.gap}; no number of prompts finds {goal}")
        least = fewest_prompts(than, level) if aim == "below" else 2
        return _fewest(lambda n: self.power(n, samples, level, aim=aim, than=than) >= power, least)

    def prompts_for_width(self, samples: int, width: float, level: float = 0.95) -> int:
        """The fewest prompts, with so many answers each, whose interval has this width or less."""
        if not 0 < width < 2:
            raise ValueError(f"width is {width}; it must lie in (0, 2)")
        return _fewest(lambda prompts: self.width(prompts, samples, level) <= width, 2)


@cache
def _chances(design: Design, samples: int) -> Floats:
    """How likely a prompt's difference is each of -samples … samples, in answers.

    Propensities are beta-distributed, and joined between the tiers by a Gaussian copula.
    """
    from scipy.stats import binom

    rng = np.random.default_rng(0)
    draws = rng.standard_normal((3, 200_000))
    together, apart = math.sqrt(design.correlation), math.sqrt(1 - design.correlation)
    rates = (design.paid + design.gap, design.paid)
    by_tier = zip(rates, together * draws[0] + apart * draws[1:], strict=True)
    chances = [_beta_quantiles(rate, design.icc, special.ndtr(scores)) for rate, scores in by_tier]
    free, paid = (binom.pmf(np.arange(samples + 1), samples, chance[:, None]) for chance in chances)
    both = free.T @ paid
    steps = np.array([both.trace(-step) for step in range(-samples, samples + 1)])
    return steps / steps.sum()


def _beta_quantiles(mean: float, icc: float, u: Floats) -> Floats:
    """Quantiles of the beta distribution with this mean and intraclass correlation."""
    if icc == 0 or mean in (0, 1):
        return np.full(u.shape, mean)
    grid = np.linspace(0, 1, 4001)
    strength = (1 - icc) / icc
    quantiles = special.betaincinv(mean * strength, (1 - mean) * strength, grid)
    return np.maximum(np.interp(u, grid, quantiles), 1e-300)  # below that SciPy's binomial overflows


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


_GRID = 1000
# The largest share of the capital that is bet.
_CAP = 0.9


def confidence_sequence(values: ArrayLike, level: float = 0.95) -> Ends:
    """The ends of a confidence sequence for the mean of differences of proportions, after each of them.

    Parameters
    ----------
    values
        Shape (prompts,), in the random order in which they came; each in [-1, 1].
    level
        The chance that the sequence holds the mean at every number of values, in (0, 1).

    Returns
    -------
    lower, upper
        Shape (prompts,): the running intersection of the sets so far, rounded outwards by a 1000th of
        the range.

    Raises
    ------
    ValueError
        The level lies outside (0, 1).

    References
    ----------
    Hedged betting: Waudby-Smith & Ramdas (2024), JRSS B 86:1, sections 4.1 and 4.2.

    Examples
    --------
    >>> lower, upper = confidence_sequence([0.2] * 100)
    >>> bool(lower[-1] < 0.2 < upper[-1]), bool(upper[-1] - lower[-1] < upper[9] - lower[9])
    (True, True)
    """
    check_level(level)
    y = (np.asarray(values, dtype=float) + 1) / 2
    bets = _bets(y, 1 - level)
    # one more point at each end, so that no value of the mean is ruled out between two points
    grid = np.linspace(0, 1, _GRID + 1)
    up, down = np.zeros(grid.size), np.zeros(grid.size)  # logarithms of the two capitals
    threshold = np.log(1 / (1 - level))
    step = 1 / _GRID
    lower, upper = np.empty(y.size), np.empty(y.size)
    ends = (0.0, 1.0)
    alive = np.ones(grid.size, dtype=bool)
    with np.errstate(divide="ignore"):
        most_up, most_down = _CAP / grid, _CAP / (1 - grid)
    for number, (value, bet) in enumerate(zip(y, bets, strict=True)):
        up += np.log1p(np.minimum(bet, most_up) * (value - grid))
        down += np.log1p(-np.minimum(bet, most_down) * (value - grid))
        alive &= np.logaddexp(up, down) - np.log(2) < threshold
        held = np.flatnonzero(alive)
        if held.size:
            ends = max(grid[held[0]] - step, 0), min(grid[held[-1]] + step, 1)
        # where every point is ruled out, which has a chance below 1 - level, the last ends stay
        lower[number], upper[number] = ends
    return 2 * lower - 1, 2 * upper - 1


def late_spending(looks: int, level: float = 0.95) -> Floats:
    """The level of the interval at each of several looks, which then hold the mean all together.

    The error that is allowed in total is divided over the looks, little at first and most at the last:
    by look r of R the share (r / R)³ of it is spent. By the union bound this holds however the looks
    depend on each other.

    References
    ----------
    The spending function: Kim & DeMets (1987), Biometrika 74:149, with ρ = 3.

    Examples
    --------
    >>> [round(float(level), 3) for level in late_spending(2)]
    [0.994, 0.956]
    """
    check_level(level)
    spent = (1 - level) * (np.arange(looks + 1) / looks) ** 3
    return 1 - np.diff(spent)


def _bets(y: Floats, alpha: float) -> Floats:
    """How much to bet on each value: predictable, from the variance of the values before it."""
    count = np.arange(1, y.size + 1)
    means = (0.5 + np.cumsum(y)) / (count + 1)
    variances = (0.25 + np.cumsum((y - means) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    return np.sqrt(2 * np.log(2 / alpha) / (before * count * np.log1p(count)))
