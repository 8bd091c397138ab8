"""`afanalysis check` finds nothing at the strict stand-in, and each thing that is made to differ."""

import pytest

from afanalysis.cli import main
from afanalysis.collection.model_checks import MOST_CALLS
from afanalysis.standin.answers import SimulatedModel
from afanalysis.standin.models import KNOWN_MODELS, facts_of
from afanalysis.study.design import Simulation
from afanalysis.study.ledger import Prices
from tests.collection.test_endpoints import server
from tests.helpers import billed, standing_in

CHEAP = "models: [claude-haiku-5-5]\njudge: {model: claude-sonnet-5-5}\n"


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Run the command against an address; the exit code and the printed lines."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")

    def run(address, study=CHEAP):
        (tmp_path / "study.yaml").write_text("name: any\n" + study)
        where = ["--live", "--base-url", address] if address else []
        code = main(["check", "--study", str(tmp_path / "study.yaml"), *where])
        printed = capsys.readouterr()
        if code == 2:
            return code, printed.err
        return code, printed.out.splitlines()

    return run


def test_the_stand_in_is_as_believed_and_named_as_simulated(check):
    with standing_in() as (address, standin):
        code, [first, *lines, last] = check(address)
        assert code == 0
        assert first == f"{address}: its answers are simulated"
        assert len(lines) == 2 * 4
        assert all(line.endswith(": as believed") for line in lines)
        assert standin.asked["messages"] == 2 * 3
        assert 0.05 > float(last.rpartition("$")[2]) == pytest.approx(billed(standin), abs=1e-4)


def test_without_live_the_own_stand_in_is_compared_without_a_key(check, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, lines = check(None)
    assert code == 0
    assert lines[0].endswith("its answers are simulated")


def test_every_model_that_has_a_price_is_described_to_begin_with():
    assert set(Prices.load().models) <= set(KNOWN_MODELS)


def differing(lines):
    return [line for line in lines if ": differs: " in line]


def describe_otherwise(monkeypatch, name, **fields):
    """From now on the stand-in, and nobody else, describes a model otherwise."""
    facts = facts_of(name)
    other = facts.model_copy(update={"info": facts.info | fields})
    monkeypatch.setattr(
        "afanalysis.standin.handlers.facts_of", lambda asked: other if asked == name else facts_of(asked)
    )


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"max_tokens": 64_000}, "max_tokens is 64000, not 128000"),
        ({"max_input_tokens": None}, "max_input_tokens is null, not 1000000"),
        (
            {"lifecycle": "deprecated", "retires_at": "2027-01-01T00:00:00Z"},
            'lifecycle is "deprecated", not "active"; retires_at is "2027-01-01T00:00:00Z", not null',
        ),
        ({"capabilities": None}, "capabilities is null, not {"),
        (
            {"capabilities": {"effort": {"max": {"supported": False}}}},
            "capabilities effort max supported is false, not true",
        ),
    ],
)
def test_a_model_that_is_described_otherwise_differs(check, monkeypatch, fields, found):
    describe_otherwise(monkeypatch, "claude-sonnet-5-5", **fields)
    with standing_in() as (address, _):
        code, lines = check(address)
    assert code == 1
    [line] = differing(lines)
    assert line.startswith("claude-sonnet-5-5: ")
    assert found in line


def test_a_model_that_is_not_described_or_not_known_differs_and_one_with_a_date_does_not(
    check, monkeypatch
):
    describe_otherwise(monkeypatch, "claude-opus-9", **facts_of("claude-opus-5").info)
    with standing_in() as (address, _):
        code, lines = check(address, "models: [claude-opus-9, own, claude-opus-5-5-20261001]\n")
    assert code == 1
    assert differing(lines) == [
        'claude-opus-9: lifecycle, limits, capabilities: differs: lifecycle is "active", '
        'not "unknown here"',
        'own: lifecycle, limits, capabilities: differs: lifecycle is null, not "unknown here"',
    ]


def of_answers(lines):
    return [line for line in differing(lines) if "lifecycle" not in line]


def test_a_setting_that_is_taken_differs(check):
    with standing_in() as (address, standin):
        standin.lenient = True
        code, lines = check(address)
    assert code == 1
    found = of_answers(lines)
    assert len(found) == 2
    assert all(": a temperature is refused: differs: end_turn, counted" in line for line in found)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("usage_missing", "end_turn, not counted, without thinking"),
        ("stop_reason_odd", "counted, without thinking"),
        ("body_page", "a web page (HTML)"),
        ("server_error", "deliberate faults"),
    ],
)
def test_an_answer_of_another_form_differs(check, fault, found):
    with standing_in(**{fault: 1.0}) as (address, _):
        code, lines = check(address)
    assert code == 1
    assert any(found in line for line in of_answers(lines)), lines


def test_a_classifier_or_thinking_that_is_left_out_differs(check, monkeypatch):
    with standing_in() as (address, standin):
        standin.model = SimulatedModel(simulation=Simulation(blocked={"bio": 1.0}))
        code, lines = check(address)
    assert (code, len(of_answers(lines))) == (1, 4)
    assert all(": differs: refusal, counted" in line for line in of_answers(lines))


def test_what_may_cost_too_much_is_not_tried(check):
    """Fable 5.1 at $50 per million output tokens: 1,000 tokens are the whole of it."""
    with standing_in() as (address, standin):
        code, lines = check(address, "models: [claude-fable-5-1, claude-opus-5-5]\n")
        assert billed(standin) < 0.05
    assert code == 0
    not_tried = [line for line in lines if "not tried: the budget of $0.0500" in line]
    assert len(not_tried) >= 3
    assert sum(line.startswith("claude-fable-5-1") for line in not_tried) == 3
    assert any(line.startswith("claude-opus-5-5: a temp") and "as believed" in line for line in lines)


def test_it_makes_ten_calls_at_most_and_none_to_other_servers(check):
    with standing_in() as (address, standin), standing_in() as (own, other):
        study = "models: [claude-haiku-5-5, claude-sonnet-5, claude-opus-5, own]\n"
        study += "prices: {own: {input: 0, output: 0}}\n"
        study += f"endpoints: [{{models: [own], base_url: '{own}'}}]\n"
        _, lines = check(address, study)
        assert standin.asked["messages"] == MOST_CALLS - 1 - 4
        assert other.asked["messages"] == 0
    assert not any(line.startswith("own") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        (401, {"error": {"message": "bad key"}}),
        (404, b"<html>No"),
        (200, b"[1]"),
        (200, {"capabilities": 3, "lifecycle": []}),
    ],
)
def test_a_server_that_is_no_such_api_differs_in_everything_and_ends_in_no_traceback(check, answer):
    with server(lambda *_: answer) as (address, seen):
        code, [first, *lines, _] = check(address)
    assert code == 1
    assert first == f"{address}: its answers are live"
    assert differing(lines) == lines
    assert len(seen) <= MOST_CALLS


def test_a_key_that_is_not_set_is_named(check, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with standing_in() as (address, _):
        code, printed = check(address)
    assert code == 2
    assert "the environment variable ANTHROPIC_API_KEY is not set" in printed


def test_a_live_check_needs_the_price_of_each_model(check):
    with server(lambda *_: (500, {})) as (address, seen):
        code, printed = check(address, "models: [claude-opus-5-5-20261001]\n")
    assert code == 2
    assert "no price is known for claude-opus-5-5-20261001" in printed
    assert [path for _, path, _, _ in seen] == ["/v1/models?limit=1"]
