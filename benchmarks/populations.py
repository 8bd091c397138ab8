"""Populations of prompts and numbers of answers for the coverage study.

Family `tuned`: those on which the methods were chosen. Family `held out`: generators of another form, on
which nothing was chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import special

Draw = Callable[[np.random.Generator, tuple[int, int]], tuple[np.ndarray, np.ndarray]]

_Z = np.linspace(-8, 8, 8001)
_CORRELATION = 0.5  # of the normal scores of a prompt's two tiers

FEW_CARRY = "few prompts carry the mean; many studies see one of them or none"
SKEWED = "mean 0 with one long tail: studies that miss it look like a gap against it"
CEILING = "nearly all prompts comply: the few that do not carry the variance"
REGULAR = "beta-distributed prompts"


@dataclass(frozen=True)
class Population:
    """Propensities (free, paid) of prompts, with their true means and why they are hard."""

    name: str
    family: str
    free: float
    paid: float
    why: str
    draw: Draw

    @property
    def gap(self) -> float:
        """The true mean difference, 0 where it is 0 but for rounding."""
        return round(self.free - self.paid, 12)


@cache
def _beta_quantiles(mean: float, icc: float) -> np.ndarray:
    strength = (1 - icc) / icc
    return special.betaincinv(mean * strength, (1 - mean) * strength, special.ndtr(_Z))


def beta(mean: float, icc: float, z: np.ndarray) -> np.ndarray:
    """Beta-distributed propensities at standard normal scores."""
    if mean in (0, 1):
        return np.full(z.shape, float(mean))
    return np.clip(np.interp(z, _Z, _beta_quantiles(mean, icc)), 0, 1)


def scores(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores of the two tiers of the same prompts."""
    shared, free, paid = rng.standard_normal((3, *shape))
    together, apart = np.sqrt(_CORRELATION), np.sqrt(1 - _CORRELATION)
    return together * shared + apart * free, together * shared + apart * paid


def beta_binomial(paid: float, gap: float, icc: float) -> Population:
    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        z_free, z_paid = scores(rng, shape)
        return beta(paid + gap, icc, z_free), beta(paid, icc, z_paid)

    why = REGULAR if icc < 0.6 else "prompts comply always or never: few carry the rates"
    return Population(f"beta {paid:g}+{gap:g}, ICC {icc:g}", "tuned", paid + gap, paid, why, draw)


def mixture(
    name: str, parts: list[tuple[float, float, float]], why: str = FEW_CARRY, family: str = "tuned"
) -> Population:
    """Parts of (share, free, paid); the remaining prompts never comply."""
    shares, free, paid = (np.array(column) for column in zip(*[*parts, (0, 0, 0)], strict=True))
    shares[-1] = 1 - shares.sum()

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        part = np.searchsorted(np.cumsum(shares)[:-1], rng.random(shape), side="right")
        return free[part], paid[part]

    return Population(name, family, float(shares @ free), float(shares @ paid), why, draw)


def logit_normal(free: float, paid: float, sd: float) -> Population:
    """Normal log-odds with these means and this standard deviation."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        z_free, z_paid = scores(rng, shape)
        return special.expit(free + sd * z_free), special.expit(paid + sd * z_paid)

    density = np.exp(-(_Z**2) / 2)
    means = [
        float((special.expit(mean + sd * _Z) * density).sum() / density.sum()) for mean in (free, paid)
    ]
    why = "log-odds are normal" if sd < 3 else "prompts comply nearly always or never"
    return Population(f"logit-normal {free:g}/{paid:g}, sd {sd:g}", "held out", *means, why, draw)


GAPS = [
    *(
        beta_binomial(*rates, icc)
        for rates in ((0.03, 0.11), (0.4, 0.0), (0.0, 0.12))
        for icc in (0.1, 0.3, 0.6, 0.9)
    ),
    mixture("15 % at .9/.2", [(0.15, 0.9, 0.2)]),
    mixture("15 % at .9/0", [(0.15, 0.9, 0)]),
    mixture("15 % at .8/0", [(0.15, 0.8, 0)]),
    mixture("5 % at .5/0", [(0.05, 0.5, 0)]),
    mixture("6 % at .9/0", [(0.06, 0.9, 0)]),
    mixture("10 % at .9/.9", [(0.1, 0.9, 0.9)]),
    mixture("swap: 8 % at .8/0, 8 % at 0/.8", [(0.08, 0.8, 0), (0.08, 0, 0.8)]),
    mixture("asym: 5 % at .8/0, 20 % at 0/.2", [(0.05, 0.8, 0), (0.2, 0, 0.2)], SKEWED),
    mixture("asym: 3 % at .97/0, 97 % at 0/.03", [(0.03, 0.97, 0), (0.97, 0, 0.03)], SKEWED),
    mixture("ceil: 90 % at .97/.97, 10 % at .9/.2", [(0.9, 0.97, 0.97), (0.1, 0.9, 0.2)], CEILING),
    *(logit_normal(*means, sd) for means in ((-2, -3), (-3, -3), (-5, -7)) for sd in (1, 2, 4)),
    mixture("20 % at .3/.1, 10 % at 1/.5", [(0.2, 0.3, 0.1), (0.1, 1, 0.5)], family="held out"),
    mixture("8 % at 1/0", [(0.08, 1, 0)], family="held out"),
    mixture("4 % at 1/0, 4 % at 1/1", [(0.04, 1, 0), (0.04, 1, 1)], family="held out"),
    mixture("asym: 8 % at .5/0, 40 % at 0/.1", [(0.08, 0.5, 0), (0.4, 0, 0.1)], SKEWED, "held out"),
    mixture(
        "ceil: 95 % at .98/.98, 5 % at .6/.2",
        [(0.95, 0.98, 0.98), (0.05, 0.6, 0.2)],
        CEILING,
        "held out",
    ),
]

# Of these the free tier is one rate.
RATES = [
    *(
        replace(beta_binomial(0.0, rate, icc), name=f"beta {rate:g}, ICC {icc:g}")
        for rate in (0.005, 0.03, 0.12, 0.4, 0.97)
        for icc in (0.1, 0.3, 0.6, 0.9)
    ),
    mixture("15 % at .9", [(0.15, 0.9, 0)]),
    mixture("13 % at .9", [(0.12 / 0.9, 0.9, 0)]),
    mixture("6 % at .8", [(0.06, 0.8, 0)]),
    mixture("3 % at .9", [(0.03, 0.9, 0)]),
    mixture("90 % at .97", [(0.9, 0.97, 0), (0.1, 0.9, 0)], CEILING),
    *(
        replace(logit_normal(mean, -9, sd), name=f"logit-normal {mean:g}, sd {sd:g}")
        for mean in (-5, -2, 0)
        for sd in (1, 2, 4)
    ),
    mixture("20 % at .3, 10 % at 1", [(0.2, 0.3, 0), (0.1, 1, 0)], family="held out"),
    mixture("8 % at 1", [(0.08, 1, 0)], family="held out"),
    mixture("2 % at 1", [(0.02, 1, 0)], family="held out"),
]

SIZES = ("1", "5", "20", "1-50", "more where higher", "fewer where higher", "1-50, 15 % missing")


def answers(sizes: str, rng: np.random.Generator, propensity: np.ndarray) -> np.ndarray:
    """Numbers of answers to each prompt in one tier; `propensity` is what informative sizes go by."""
    if sizes.isdigit():
        return np.full(propensity.shape, int(sizes))
    if sizes == "more where higher":
        return 2 + np.rint(38 * propensity).astype(int)
    if sizes == "fewer where higher":
        return 40 - np.rint(38 * propensity).astype(int)
    n = np.clip(np.rint(np.exp(rng.normal(1.6, 1.1, propensity.shape))), 1, 50).astype(int)
    if sizes.endswith("missing"):
        n = n * (rng.random(n.shape) >= 0.15)
    return n
