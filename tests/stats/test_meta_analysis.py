import numpy as np
import pytest

from afanalysis.analysis import published
from afanalysis.stats.meta_analysis import heterogeneity


def test_a_known_meta_analysis():
    """BCG vaccine trials (Colditz et al. 1994), log risk ratios, as metafor prints them for the
    Paule-Mandel estimator with Knapp-Hartung errors: -0.7150, tau² 0.3181, Q 152.23 on 12."""
    y = [
        -0.8893,
        -1.5854,
        -1.3481,
        -1.4416,
        -0.2175,
        -0.7861,
        -1.6209,
        0.0120,
        -0.4694,
        -1.3713,
        -0.3394,
        0.4459,
        -0.0173,
    ]
    v = [
        0.3256,
        0.1946,
        0.4154,
        0.0200,
        0.0512,
        0.0069,
        0.2230,
        0.0040,
        0.0564,
        0.0730,
        0.0124,
        0.5325,
        0.0714,
    ]
    found = heterogeneity(y, np.sqrt(v))
    assert found.pooled == pytest.approx(-0.715, abs=0.003)
    assert found.tau**2 == pytest.approx(0.3181, abs=0.005)
    assert found.q == pytest.approx(152.23, abs=0.5)
    assert found.predicted_low < found.low < found.pooled < found.high < found.predicted_high


def test_estimates_all_alike_have_no_heterogeneity():
    found = heterogeneity([0.1, 0.1, 0.1], [0.02, 0.02, 0.03])
    assert (found.tau, found.i2) == (0, 0)
    assert found.low < 0.1 < found.high


def test_the_papers_variations_differ_by_more_than_chance():
    t = published.table("variations")
    t = t[(t.setting == "helpful-only") & (t.model == "claude-3-opus")]
    found = heterogeneity(t.compliance_gap_pct / 100, t.compliance_gap_se / 100)
    assert found.p_value < 1e-6
    assert 0.05 < found.tau < 0.10
    assert 0.08 < found.pooled < 0.13


@pytest.mark.parametrize(("y", "se"), [([0.1], [0.1]), ([0.1, 0.2], [0.1, 0.0])])
def test_bad_input_is_refused_in_words(y, se):
    with pytest.raises(ValueError, match=r"at least 2 estimates|above 0"):
        heterogeneity(y, se)
