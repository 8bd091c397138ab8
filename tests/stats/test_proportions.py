import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from afanalysis.stats.proportions import beta_quantiles, wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_whole_counts_agree_with_statsmodels(pair):
    n, x = pair
    ours = {
        "wilson": wilson(x / n, n, 1.959963984540054),
        "beta": beta_quantiles(x / n, n, 0.95),
    }
    for method, ends in ours.items():
        expected = proportion_confint(x, n, method=method)
        np.testing.assert_allclose(ends, expected, atol=1e-9)
    if 0 < x < n:
        np.testing.assert_allclose(
            beta_quantiles(x / n, n, 0.95, 0.5), proportion_confint(x, n, method="jeffreys"), atol=1e-9
        )


def test_newcombes_1998_examples_of_the_score_interval():
    """Newcombe (1998), Statistics in Medicine 17:857, table I: method 3 (score)."""
    for x, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        ends = wilson(x / n, n, 1.959964)
        assert [round(float(end), 4) for end in ends] == pytest.approx([low, high], abs=1e-4)
