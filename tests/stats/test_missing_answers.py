import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from afanalysis.stats.gap_intervals import gap_bounds
from afanalysis.stats.rate_intervals import rate_bounds

tier = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=3
)


def filled(known, extra):
    """By prompt the rate with so many of its missing answers counted as successes."""
    return [(s + e) / (n + m) for (n, s, m), e in zip(known, extra, strict=True) if n + m]


def valid(rows):
    return [(n, min(s, n), m) for n, s, m in rows]


@given(tier)
def test_the_bounds_are_what_enumeration_of_the_missing_answers_gives(rows):
    rows = valid(rows)
    assume(any(n + m for n, _, m in rows))
    low, high = rate_bounds(*np.array(rows).T)
    every = [
        np.mean(filled(rows, extra)) for extra in itertools.product(*(range(m + 1) for _, _, m in rows))
    ]
    assert float(low) == pytest.approx(min(every))
    assert float(high) == pytest.approx(max(every))


def test_nothing_missing_leaves_no_doubt_and_everything_missing_leaves_all():
    assert [float(end) for end in rate_bounds([4, 2], [1, 1], [0, 0])] == [0.375, 0.375]
    assert [float(end) for end in rate_bounds([0, 0], [0, 0], [3, 1])] == [0, 1]


def test_answers_may_weigh_alike():
    low, high = rate_bounds([8, 1], [4, 0], [1, 0], "answers")
    assert (float(low), float(high)) == pytest.approx((0.4, 0.5))


def test_the_sign_of_a_gap_may_hang_on_what_is_missing():
    low, high = gap_bounds(([4, 4], [1, 1], [1, 1]), ([5, 5], [0, 0], [0, 0]))
    assert float(low) > 0
    low, high = gap_bounds(([3, 3], [1, 1], [2, 2]), ([3, 3], [0, 0], [2, 2]))
    assert float(low) < 0 < float(high)


@given(tier, tier)
def test_the_bounds_of_a_gap_are_those_of_its_prompts_with_both_tiers(free, paid):
    free, paid = valid(free), valid(paid)
    shared = [place for place in range(3) if sum(free[place][::2]) and sum(paid[place][::2])]
    assume(shared)
    low, high = gap_bounds(tuple(np.array(free).T), tuple(np.array(paid).T))
    lows = [
        f[1] / (f[0] + f[2]) - (p[1] + p[2]) / (p[0] + p[2])
        for f, p in ((free[place], paid[place]) for place in shared)
    ]
    assert float(low) == pytest.approx(np.mean(lows))
    assert -1 <= low <= high <= 1


def test_a_stack_is_what_its_rows_are():
    n, s, missing = np.array([[4, 5], [2, 0]]), np.array([[1, 0], [2, 0]]), np.array([[1, 0], [0, 3]])
    low, high = rate_bounds(n, s, missing)
    for row in range(2):
        alone = rate_bounds(n[row], s[row], missing[row])
        assert (low[row], high[row]) == pytest.approx([float(end) for end in alone])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: rate_bounds([2], [1], [0], "rows"), "weighting is 'rows'"),
    ],
)
def test_bad_input_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_without_any_answer_there_are_no_bounds():
    assert np.isnan(rate_bounds([0], [0], [0])).all()
    assert np.isnan(gap_bounds(([2], [1], [0]), ([0], [0], [0]))).all()


def test_tiers_without_a_shared_prompt_are_bounded_one_by_one():
    free, paid = ([2, 0], [1, 0], [2, 0]), ([0, 2], [0, 1], [0, 0])
    assert gap_bounds(free, paid) == pytest.approx((0.25 - 0.5, 0.75 - 0.5))
