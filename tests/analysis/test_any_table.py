"""Any table with prompts, tiers and one outcome is enough; what else it holds is its own affair."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afanalysis as af

OUTCOMES = ("complied", "refused", "af_reasoning", "af_full", "af_partial")
OPTIONAL = ("setting", "variation", "model", "source", "sample", "valid", "judge", "rollout")
OPTIONAL += ("request", "scratchpad", "output", "category", "scratchpad_from", "blocked")
CONDITIONS = ("setting", "variation", "model")

TABLES = {
    "kept": st.sets(st.sampled_from([*OPTIONAL, *OUTCOMES])),
    "outcome": st.sampled_from(OUTCOMES),
    "between": st.sampled_from([*CONDITIONS, "judge", "category", "tier"]),
}


@cache
def rollouts():
    return af.example_rollouts()


@pytest.mark.parametrize("examples", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_what_a_table_lacks_is_left_out(examples):
    settings(max_examples=examples, deadline=None)(given(**TABLES)(is_left_out))()


def is_left_out(kept, outcome, between):
    """Each function has a row per condition that the table names, or says which column it needs."""
    table = rollouts()[["prompt_id", "tier", *sorted(kept | {outcome})]]
    by = [name for name in ("model", "setting", "variation") if name in kept]
    groups = rollouts()[by].drop_duplicates().shape[0] if by else 1
    rates = af.rates(table, outcome)
    assert len(rates) == 2 * groups
    assert list(rates)[: len(by) + 1] == [*by, "tier"]
    assert len(af.compliance_gap(table, outcome=outcome)) == groups
    assert len(af.pooled_gap(table, outcome=outcome)) == (2 if "setting" in kept else 1)
    if between == "tier":
        assert len(af.contrast(table, between, outcome=outcome)) == groups
    elif between not in kept:
        with pytest.raises(af.InputError, match=f"no column '{between}'"):
            af.contrast(table, between, outcome=outcome)
    elif rollouts()[between].nunique() < 2:
        with pytest.raises(af.InputError, match="nothing to compare"):
            af.contrast(table, between, outcome=outcome)
    else:
        assert len(af.contrast(table, between, outcome=outcome)) > 0
    if kept.isdisjoint(OUTCOMES[:3]) and outcome not in OUTCOMES[:3]:
        for call in (af.summary, af.compare):
            with pytest.raises(af.InputError, match="no column 'complied'"):
                call(table)
        return
    summary, compared = af.summary(table), af.compare(table)
    assert len(summary) == groups
    for name in {"setting", "variation"} - kept:
        assert compared["assumes"].str.contains(f"no {name} is named").all()
        assert summary["warning"].str.contains(f"no {name} is named").all()
