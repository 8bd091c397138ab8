import numpy as np
import pytest

from afanalysis.stats.logistic_regression import logistic, separation

# Ohio children by wheezing at ages 7 to 10, without and with a smoking mother: the counts of the sixteen
# patterns 0000, 0001, ... 1111 (Fitzmaurice & Laird 1993), the data set `ohio` of R's geepack.
OHIO = {
    0: [237, 10, 15, 4, 16, 2, 7, 3, 24, 3, 3, 2, 6, 2, 5, 11],
    1: [118, 6, 8, 2, 11, 1, 6, 4, 7, 3, 3, 1, 4, 2, 4, 7],
}


def ohio():
    rows, child = [], 0
    for smoke, counts in OHIO.items():
        for pattern, count in enumerate(counts):
            for _ in range(count):
                for at, age in enumerate((-2, -1, 0, 1)):
                    rows.append((child, pattern >> (3 - at) & 1, age, smoke))
                child += 1
    data = np.array(rows)
    age, smoke = data[:, 2], data[:, 3]
    design = np.column_stack([np.ones(len(data)), age, smoke, age * smoke])
    return data[:, 1], design, data[:, 0]


def test_ohio_agrees_with_geepack():
    """`geese(resp ~ age + smoke + age:smoke, …)` as printed in geepack's documentation."""
    y, design, child = ohio()
    found = logistic(np.ones(len(y)), y, design, child)
    np.testing.assert_allclose(found.estimate, [-1.9005, -0.1412, 0.3138, 0.0708], atol=5e-4)
    se = (found.high - found.low) / 2 / 1.9644
    np.testing.assert_allclose(se, [0.1191, 0.0582, 0.1878, 0.0883], atol=5e-4)
    assert not found.separated.any()


def test_counts_give_what_single_rows_give():
    y, design, child = ohio()
    design = design[:, [0, 2]]
    one = logistic(np.ones(len(y)), y, design, child)
    ids, start = np.unique(child, return_index=True)
    together = logistic(np.full(len(ids), 4), np.add.reduceat(y, start), design[start], ids)
    np.testing.assert_allclose(one.estimate, together.estimate, atol=1e-6)
    np.testing.assert_allclose(one.low, together.low, atol=1e-3)


def test_separation_is_found_and_the_other_terms_are_still_estimated():
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(40), 3)
    kind = np.tile([0, 1, 2], 40)
    design = np.column_stack([np.ones(120), kind == 1, kind == 2]).astype(float)
    s = rng.binomial(5, np.where(kind == 1, 0.5, 0.2))
    s[kind == 2] = 0
    found = logistic(np.full(120, 5), s, design, prompts)
    assert found.separated.tolist() == [0, 0, -1]
    assert np.isnan(found.estimate[2])
    assert found.estimate[1] == pytest.approx(np.log(1 / 0.25), abs=0.5)
    assert np.isfinite([found.low[1], found.high[1]]).all()


def test_no_separation_where_both_outcomes_stand_under_each_condition():
    design = np.array([[1, 0], [1, 1], [1, 0], [1, 1]], dtype=float)
    assert separation([1, 1, 1, 1], [0, 1, 1, 0], design).tolist() == [0, 0]


def test_dependent_terms_and_too_few_prompts_are_refused():
    ones = np.ones(30)
    with pytest.raises(ValueError, match="linearly dependent"):
        logistic(ones, ones * 0, np.column_stack([ones, ones]), np.arange(30))
    design = np.column_stack([ones, np.arange(30)])
    with pytest.raises(ValueError, match="2 prompts cannot carry 2 terms"):
        logistic(ones, ones * 0, design, np.arange(30) % 2)
