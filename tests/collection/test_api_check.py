"""`afanalysis check` finds nothing at the strict stand-in, and each thing that is made to differ."""

import pytest

from afanalysis.cli import main
from afanalysis.collection.api_check import MOST_CALLS
from afanalysis.standin.answers import SimulatedModel
from afanalysis.standin.models import known_models
from afanalysis.study.design import Simulation
from afanalysis.study.ledger import Prices
from tests.collection.test_endpoints import server
from tests.helpers import billed, standing_in

CHEAP = "models: [claude-haiku-5-5]\njudge: {model: claude-sonnet-5-5}\n"


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Run the command against an address; the exit code and what was printed, by belief."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")

    def run(address, study=CHEAP, *options):
        (tmp_path / "study.yaml").write_text("name: any\n" + study)
        where = ["--live", "--base-url", address] if address else []
        code = main(["check", "--study", str(tmp_path / "study.yaml"), *where])
        printed = capsys.readouterr()
        if code == 2:
            return code, printed.err
        first, *lines, last = printed.out.splitlines()
        return code, {line: line.partition(": ")[2] for line in (first, *lines, last)}

    return run


def differing(lines):
    return [line for line in lines if "differs" in line]


def test_the_stand_in_is_as_believed_and_named_as_simulated(check):
    with standing_in() as (address, standin):
        code, lines = check(address)
        assert code == 0
        assert not differing(lines)
        assert next(iter(lines)) == f"{address}: its answers are simulated"
        assert standin.asked["messages"] == 6
        assert billed(standin) < 0.05
        as_believed = [line for line in lines if line.endswith(": as believed")]
        assert len(as_believed) == len(known_models()) + 6
    assert set(Prices.load().models) <= set(known_models())


def test_without_live_the_own_stand_in_is_compared_without_a_key(check, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, lines = check(None)
    assert code == 0
    assert "simulated" in next(iter(lines))


def altered(name, **fields):
    """The stand-in's models, one of which is described otherwise."""
    table = known_models()
    return table | {name: table[name].model_copy(update={"info": table[name].info | fields})}


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
    models = altered("claude-opus-5", **fields)
    monkeypatch.setattr("afanalysis.standin.handlers.known_models", lambda: models)
    with standing_in() as (address, _):
        code, lines = check(address)
    assert code == 1
    [line] = [line for line in lines if ": differs: " in line]
    assert line.startswith("claude-opus-5: ")
    assert found in line


def test_a_model_that_is_not_listed_or_not_known_differs_and_one_with_a_date_does_not(
    check, monkeypatch
):
    models = altered("claude-opus-5") | {"claude-opus-9": known_models()["claude-opus-5"]}
    del models["claude-fable-5"]
    models["claude-opus-4-5-20251101"] = models.pop("claude-opus-4-5")
    monkeypatch.setattr("afanalysis.standin.handlers.known_models", lambda: models)
    with standing_in() as (address, _):
        code, lines = check(address, "models: [claude-opus-9]\n")
    assert code == 1
    assert [line.split(": ")[::2] for line in lines if ": differs: " in line] == [
        ["claude-opus-9", "differs"],
        ["claude-fable-5", "differs"],
    ]


def of_answers(lines):
    return [line for line in lines if ": differs: " in line and "lifecycle" not in line]


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
        study += f"endpoints: [{{models: [own], base_url: '{own}'}}]\n"
        _, lines = check(address, study)
        assert standin.asked["messages"] == MOST_CALLS - 2
        assert other.asked["messages"] == 0
    assert not any(line.startswith("own") for line in lines)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((401, {"error": {"message": "bad key"}}), "bad key"),
        ((404, b"<html>No"), "status 404: a web page"),
    ],
)
def test_a_server_that_lists_no_models_is_one_sentence(check, answer, sentence):
    with server(lambda *_: answer) as (address, _):
        code, printed = check(address)
    assert code == 2
    assert printed.startswith(f"afanalysis: {address}: does not list its models ({sentence}")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("listed", [{}, {"data": 3}, {"data": [3, {}, {"id": 5}]}, []])
def test_a_list_of_another_form_lists_no_model(check, listed):
    with server(lambda *_: (200, listed)) as (address, seen):
        code, lines = check(address)
    assert code == 1
    listings = [line for line in lines if "lifecycle" in line]
    assert len(listings) == len(known_models())
    assert all(line.endswith("differs: it is not listed") for line in listings)
    assert len(seen) <= MOST_CALLS
