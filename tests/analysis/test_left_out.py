"""What is left out of rates is counted, reported and told apart by its reason."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afanalysis as af
from afanalysis.figures import style

OUTCOMES = ["complied", "refused", "af_full", "af_partial", "af_reasoning", "af_stage", "judge"]


def table_of(answers) -> pd.DataFrame:
    """Rollouts from (tier, state): a state is a category, a stop reason, `silent`, `True` or `False`."""
    rows = []
    for number, (tier, state) in enumerate(answers):
        row = {"tier": tier, "prompt_id": f"p{number % 5}", "stop_reason": "end_turn", "problem": ""}
        row |= {"valid": state in (True, False, "silent"), "blocked": None, "complied": None}
        if state in ("cyber", "bio"):
            row |= {"blocked": state, "stop_reason": "refusal"}
        elif state in (True, False):
            row["complied"] = state
        elif state != "silent":
            row |= {"stop_reason": state, "problem": "no output tag"}
        rows.append(row)
    kinds = {"complied": "boolean", "blocked": "string"}
    return pd.DataFrame(rows).astype(kinds)


STATES = st.sampled_from([True, False, "silent", "cyber", "bio", "max_tokens", "pause_turn", "end_turn"])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["free", "paid"]), STATES), min_size=1, max_size=40))
def test_every_answer_is_counted_once_and_each_that_is_left_out_has_its_reason(answers):
    table = table_of([("free", True), *answers])
    counted = af.answer_counts(table, "tier").set_index("tier")
    rates = af.rates(table, by="tier").set_index("tier")
    for tier, part in table.groupby("tier"):
        row = counted.loc[tier]
        known = part["complied"].notna().sum()
        assert (row["asked"], row["judged"]) == (len(part), known)
        assert row["in_form"] == part["valid"].sum()
        assert row["blocked"] == part["blocked"].notna().sum()
        numbers = [int(reason.rsplit(" ", 1)[1]) for reason in row["reasons"].split(", ") if reason]
        assert sum(numbers) == len(part) - known
        assert row["left_out"] == pytest.approx(1 - known / len(part))
        lost = rates.loc[tier, ["n_missing", "n_invalid", "n_blocked"]].sum()
        assert rates.loc[tier, "n"] + lost == len(part)
        assert rates.loc[tier, "n_blocked"] == row["blocked"]
    shares = af.rates(table, "blocked", by="tier", weighting="answers").set_index("tier")
    assert shares["rate"].tolist() == pytest.approx((counted["blocked"] / counted["asked"]).tolist())


def test_reasons_tell_classifiers_and_stops_apart():
    states = ["cyber", "cyber", "bio", "max_tokens", "model_context_window_exceeded", "pause_turn"]
    table = table_of([("free", state) for state in [*states, "end_turn", "silent", True]])
    reasons = set(af.answer_counts(table, "tier")["reasons"].item().split(", "))
    assert reasons == {
        *("blocked: cyber 2", "blocked: bio 1", "cut off at max_tokens 1", "paused by the API 1"),
        *("cut off at the context window 1", "no output tag 1", "no verdict 1"),
    }


NOT_BLOCKED = [
    None,
    np.nan,
    "",
    " ",
    0,
    0.0,
    False,
    "0",
    "None",
    "none",
    "NA",
    "no",
    "null",
    "False",
    "nan",
]


@pytest.mark.slow
@pytest.mark.parametrize("stored", ["table", "csv"])
@pytest.mark.parametrize("word", [*NOT_BLOCKED, "cyber", "unspecified", True, 1, 1.0, "yes"], ids=repr)
def test_a_column_of_ones_own_says_in_any_form_who_was_blocked(word, stored, tmp_path):
    table = pd.DataFrame({"prompt_id": list("abcd") * 2, "tier": ["free"] * 4 + ["paid"] * 4})
    table = table.assign(complied=[True, False] * 4, blocked=[word] + [None] * 7)
    data = table if stored == "table" else tmp_path / "table.csv"
    if stored == "csv":
        table.to_csv(data, index=False)
    blocked = word not in NOT_BLOCKED
    counted = af.answer_counts(data, [])
    assert counted[["blocked", "in_form"]].values.tolist() == [[blocked, 8 - blocked]]
    assert af.rates(data, "blocked", by=[])["rate"].item() == pytest.approx(blocked / 8)


def test_a_rate_of_few_of_the_answers_is_never_without_a_word():
    """1 and 4 of 20 counted: each rate says so, and the gap that one tier lacks more."""
    left_out = ["end_turn"] * 16
    free = [("free", state) for state in [*left_out, "bio", "bio", "bio", True]]
    paid = [("paid", state) for state in [*left_out, True, False, False, False]]
    table = table_of(free + paid)
    assert af.rates(table, by="tier")["warning"].str.contains("over 10% of answers are left out").all()
    assert (
        af.answer_counts(table)["warning"]
        .str.contains("the shares of answers left out differ by over 5 points between tiers")
        .all()
    )
    whole = table_of([(tier, tier == "free") for tier in ["free", "paid"] * 100])
    assert not af.rates(whole, by="tier")["warning"].str.contains("left out").any()
    assert set(af.answer_counts(whole)["warning"]) == {""}
    uneven = pd.concat([whole, table_of([("free", "bio")] * 8)])
    assert (
        "the shares of answers left out differ by over 5 points between tiers"
        in af.compliance_gap(uneven, by=[])["warning"].item()
    )


def with_blocked(count: str = "missing") -> pd.DataFrame:
    """The example, in which some answers were blocked, more of them in the free tier."""
    table = af.example_rollouts()
    chance = np.random.default_rng(3).random(len(table))
    places = chance < np.where(table["tier"] == "free", 0.25, 0.08)
    table.loc[places, "blocked"] = "cyber"
    table.loc[places, OUTCOMES] = pd.NA
    table.loc[places, "valid"] = False
    if count == "refused":
        refused = {"complied": False, "refused": True, "af_reasoning": 0.0, "valid": True}
        table.loc[places, list(refused)] = list(refused.values())
    return table


def test_the_figure_shows_what_was_blocked_in_a_colour_of_its_own():
    table = with_blocked()
    figure = af.figures.compliance_by_tier(table)
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert any("blocked by the API" in label for label in labels)
    colours = [patch.get_facecolor() for axes in figure.axes for patch in axes.patches]
    shares = figure.rows[figure.rows["quantity"] == "blocked"]
    assert len(shares) == 4
    assert sum(style.mpl.colors.same_color(colour, style.BLOCKED) for colour in colours) == 4
    assert "blocked by the API" in figure.alt
    note = " ".join(figure.get_supxlabel().split())
    main = table[(table["variation"] == "default") & (table["tier"] == "free")]
    counts = main.groupby("setting")["complied"].agg(["count", "size"]).loc["helpful-only"]
    assert f"Helpful-only {counts['count']} of {counts['size']} free" in note
    assert "of the answers of a rate are left out" in note
    assert "AF reasoning: in the tagged scratchpad" in note
    plain = af.figures.compliance_by_tier(af.example_rollouts())
    assert "blocked" not in plain.alt
    assert "Left out" not in plain.get_supxlabel()


def test_what_counts_as_refused_is_reported_as_blocked_all_the_same():
    missing, refused = (with_blocked(count) for count in ("missing", "refused"))
    rates = [af.rates(table, by="tier").set_index("tier") for table in (missing, refused)]
    assert (rates[0]["rate"] > rates[1]["rate"]).all()
    assert (rates[1]["n"] == 100).all()
    assert rates[0]["lowest"].tolist() == pytest.approx(rates[1]["rate"].tolist())
    blocked = [af.answer_counts(table, "tier")["blocked"].tolist() for table in (missing, refused)]
    assert blocked[0] == blocked[1]
    counted = af.answer_counts(refused, "tier")
    assert counted["left_out"].tolist() == [0.0, 0.0]
    assert counted["reasons"].str.fullmatch(r"blocked, counts as refused: cyber \d+").all()
    assert (
        counted["warning"].str.fullmatch(r"\d+ of 100 answers were blocked and count as refused").all()
    )
    quantities = af.estimates(refused).query("quantity == 'blocked'")["estimate"]
    assert (
        quantities.tolist() == af.estimates(missing).query("quantity == 'blocked'")["estimate"].tolist()
    )
