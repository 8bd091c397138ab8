import math

import pytest

from afanalysis.analysis import published
from afanalysis.stats.printed import common_denominator, implied_n
from afanalysis.study import paper_tables

# Printed to one decimal of a percent: a difference of two rounded numbers is off by at most this.
ROUNDING = 0.0011


def contradictions():
    """What in the tables contradicts itself, in sentences; nothing, for the tables as shipped.

    Each gap must equal the difference of its rates, each gap's SE must be the root of the sum of
    squares of its rates' SEs, AF reasoning must be at most the share that complied in training, and
    the rates must lie in 0-100.
    """
    problems = []
    for name in ("variations", "rl", "replication"):
        for position, row in published.table(name).iterrows():
            place = f"{paper_tables.TABLES[name]}: row {row.get('row', position)}"
            training = row["noncompliance_training_pct"] / 100
            unmonitored = row["noncompliance_unmonitored_pct"] / 100
            gap = row["compliance_gap_pct"] / 100
            if not (0 <= training <= 1 and 0 <= unmonitored <= 1):
                problems.append(f"{place}: a rate lies outside 0-100")
            if abs(unmonitored - training - gap) > ROUNDING:
                problems.append(
                    f"{place}: the gap is {gap:.3f}, its rates differ by {unmonitored - training:.3f}"
                )
            if "compliance_gap_se" not in row:
                continue
            se = math.hypot(row["noncompliance_training_se"], row["noncompliance_unmonitored_se"])
            if abs(se - row["compliance_gap_se"]) / 100 > ROUNDING:
                problems.append(
                    f"{place}: the gap's SE is {row['compliance_gap_se']}, its rates' SEs give {se:.2f}"
                )
            if row["af_reasoning_pct"] / 100 > 1 - training + ROUNDING:
                problems.append(f"{place}: more AF reasoning than compliance")
    return problems


def test_the_tables_are_complete_and_do_not_contradict_themselves():
    assert len(published.table("variations")) == 145
    assert contradictions() == []


def test_a_contradiction_is_found_and_named(monkeypatch):
    broken = published.table("variations")
    broken.loc[4, "compliance_gap_pct"] = 9.9
    broken.loc[7, "compliance_gap_se"] = 9.9
    broken.loc[9, "af_reasoning_pct"] = 99.0
    original = published.table
    monkeypatch.setattr(published, "table", lambda n: broken if n == "variations" else original(n))
    found = contradictions()
    assert len(found) == 3
    assert "row 5: the gap is 0.099" in found[0]


@pytest.mark.parametrize("name", ["variations", "rl", "replication"])
def test_every_interval_has_width_holds_its_estimate_and_stays_in_range(name):
    found = published.estimates(name)
    least = found["quantity"].map(lambda q: -1 if q == "compliance_gap" else 0)
    assert (found["high"] > found["low"]).all()
    assert (found["low"] <= found["estimate"]).all()
    assert (found["estimate"] <= found["high"]).all()
    assert (found["low"] >= least).all()
    assert (found["high"] <= 1).all()


def test_where_the_se_is_zero_n_comes_from_the_rows_other_rates_and_says_so():
    found = published.estimates("variations")
    haiku = found[(found["label"] == "3.0 haiku") & (found["setting"] == "helpful-only")]
    refused = haiku[(haiku["quantity"] == "refused")].set_index("tier")
    assert refused.loc["free", "estimate"] == 1
    assert refused.loc["free", "n_inferred"]
    assert not refused.loc["paid", "n_inferred"]
    assert refused.loc["free", "n"] == refused.loc["paid", "n"]
    assert refused.loc["free", "low"] < 0.99


def test_the_default_helpful_only_prompt_has_about_345_rollouts_a_tier():
    found = published.estimates("variations")
    default = found[(found["label"] == "default") & (found["setting"] == "helpful-only")]
    assert default["n"].between(320, 370).all()


def test_a_printed_se_gives_back_its_n():
    for n in (87, 172, 345, 620):
        for rate in (0.03, 0.12, 0.5, 0.86):
            se = (rate * (1 - rate) / n) ** 0.5
            found = implied_n(round(rate, 3), round(se, 3))
            assert found.low <= n <= found.high


def test_the_replications_percentages_are_counts_out_of_400():
    table = published.table("replication")
    columns = ["noncompliance_training_pct", "noncompliance_unmonitored_pct"]
    assert common_denominator(table[columns].to_numpy().ravel().tolist()) == 400
    assert common_denominator([33.33], decimals=2, most=2) is None


def test_every_variation_has_a_group():
    groups = published.table("variations")["variation"].map(published.group)
    assert "other edits" not in set(groups)
