"""Agreement of two labellers, or of a judge with labels, beyond what chance would give."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afanalysis.stats.proportions import Floats, check_level, ratio

DRAWS = 20_000


def confusion(
    first: ArrayLike, second: ArrayLike, prompts: ArrayLike | None = None
) -> tuple[NDArray[np.int64], list[object]]:
    """Cross-tabulate two sets of verdicts on the same things, prompt by prompt.

    Parameters
    ----------
    first, second
        The verdicts, in the same order.
    prompts
        The prompt of each; by default each has its own.

    Returns
    -------
    tables, categories
        `tables[p, i, j]` counts the answers to prompt p that the first put in category i and the second
        in j.

    Raises
    ------
    ValueError
        There are fewer than two verdicts.
    """
    a, b = np.asarray(first, dtype=object), np.asarray(second, dtype=object)
    if a.size < 2:
        raise ValueError(f"agreement needs at least 2 verdicts; got {a.size}")
    categories = sorted(set(a) | set(b), key=str)
    place = {category: number for number, category in enumerate(categories)}
    names = np.arange(a.size) if prompts is None else np.asarray(prompts)
    _, prompt = np.unique(names, return_inverse=True)
    tables = np.zeros((int(prompt.max()) + 1, len(categories), len(categories)), dtype=np.int64)
    rows, columns = (np.array([place[verdict] for verdict in verdicts]) for verdicts in (a, b))
    np.add.at(tables, (prompt, rows, columns), 1)
    return tables, categories


def cohen_kappa(table: ArrayLike) -> Floats:
    """Cohen's kappa of one confusion table, or of a stack of them on the first axes.

    References
    ----------
    Cohen (1960), Educational and Psychological Measurement 20:37.
    """
    p = _shares(table)
    return _beyond(p, (p.sum(-1) * p.sum(-2)).sum(-1))


def gwet_ac1(table: ArrayLike) -> Floats:
    """Gwet's AC1, which does not collapse where one category is rare.

    References
    ----------
    Gwet (2008), British J. Mathematical and Statistical Psychology 61:29.
    """
    p = _shares(table)
    share = (p.sum(-1) + p.sum(-2)) / 2
    chance = (share * (1 - share)).sum(-1) / max(p.shape[-1] - 1, 1)
    return _beyond(p, chance)


def _shares(table: ArrayLike) -> Floats:
    counts = np.asarray(table, dtype=float)
    shares: Floats = counts / counts.sum((-2, -1), keepdims=True)
    return shares


def _beyond(shares: Floats, chance: Floats | float) -> Floats:
    agreed = np.trace(shares, axis1=-2, axis2=-1)
    # where chance alone gives full agreement there is nothing to explain: full agreement
    return ratio(agreed - chance, np.subtract(1, chance), 1.0)


def agreement(
    tables: ArrayLike, *, level: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Raw agreement, Cohen's kappa and Gwet's AC1 with intervals that never have zero width.

    Parameters
    ----------
    tables
        Confusion tables, shape (prompts, categories, categories), whole counts: verdicts on answers to
        one prompt resemble each other, so prompts are what is resampled. Of unclustered verdicts, one
        table each.
    level
        Confidence level in (0, 1).
    seed
        Of the draws that make the intervals.

    Returns
    -------
    dict
        By measure (`agreement`, `Cohen's kappa`, `Gwet's AC1`) its value and the ends of its interval.

    Notes
    -----
    The ends are equal-tailed quantiles of the Bayesian bootstrap of prompts, to which a pseudo-prompt is
    added: for the lower ends one whose verdicts all differ, for the upper ends one whose verdicts all
    agree, spread evenly over the categories. An interval that would not hold the estimate is extended to
    it. Unlike the large-sample standard error they have width at full agreement.

    References
    ----------
    The Bayesian bootstrap: Rubin (1981), Annals of Statistics 9:130. A pseudo-observation at the far end
    for each end: Learned-Miller & Thomas (2020), arXiv:2009.01190, as for `bounded_means`.
    """
    check_level(level)
    counts = np.asarray(tables, dtype=float)
    if counts.shape[1] == 1:  # one category only: allow for the other that was not seen
        counts = np.pad(counts, ((0, 0), (0, 1), (0, 1)))
    counts = counts[counts.sum((1, 2)) > 0]
    whole = counts.sum(0)
    size = whole.sum() / len(counts)
    same = np.eye(len(whole))
    pseudo = [size * part / part.sum() for part in (1 - same, same)]
    rng = np.random.default_rng(seed)
    # prompts with the same table are interchangeable: their weights add up to one gamma variable
    cells, frequency = np.unique(counts, axis=0, return_counts=True)
    weights = rng.dirichlet([*frequency, 1], size=DRAWS)
    lower, upper = (np.tensordot(weights, np.concatenate([cells, part[None]]), 1) for part in pseudo)
    tail = (1 - level) / 2
    values = {}
    statistics = {"agreement": _agreed, "Cohen's kappa": cohen_kappa, "Gwet's AC1": gwet_ac1}
    for measure, statistic in statistics.items():
        estimate = min(float(statistic(whole)), 1.0)  # 1 but for rounding
        low = np.quantile(statistic(lower), tail)
        high = np.quantile(statistic(upper), 1 - tail)
        values[measure] = estimate, min(float(low), estimate), min(max(float(high), estimate), 1.0)
    return values


def _agreed(table: ArrayLike) -> Floats:
    return _beyond(_shares(table), 0.0)
