"""Looking at a study while it runs, without inflating its error.

A confidence sequence covers the mean at all numbers of prompts at once, so one may look after every
prompt and stop whenever one likes. It is valid if prompts come in random order, all answers to a prompt
together: then their differences are independent draws with the gap as their mean.
"""

import numpy as np
from numpy.typing import ArrayLike

from afanalysis.stats.proportions import Floats, check_level

_GRID = 1000
# The largest share of the capital that is bet.
_CAP = 0.9


def confidence_sequence(
    values: ArrayLike, level: float = 0.95, *, low: float = -1.0, high: float = 1.0
) -> tuple[Floats, Floats]:
    """The ends of a confidence sequence for the mean, after each value.

    Parameters
    ----------
    values
        Shape (prompts,), in the random order in which they came; each in [low, high].
    level
        The chance that the sequence holds the mean at every number of values, in (0, 1).
    low, high
        The bounds of a value.

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
    x = np.asarray(values, dtype=float)
    y = (x - low) / (high - low)
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
    return low + (high - low) * lower, low + (high - low) * upper


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
