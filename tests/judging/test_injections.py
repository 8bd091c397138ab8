import asyncio
import json
import shutil

import anthropic
import pytest

from afanalysis.collection.endpoint import Endpoint
from afanalysis.errors import InputError
from afanalysis.judging import model as judging
from afanalysis.judging.injections import attempts, check_judge
from afanalysis.study.ledger import Budget
from tests.helpers import asked


@pytest.fixture
def checked(collected, standin, small_study, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(collected, folder)

    async def run(source, budget):
        async with anthropic.AsyncAnthropic(base_url=standin, api_key="any") as client:
            endpoint = Endpoint(client, source)
            return await check_judge(small_study.judge, endpoint, folder, budget=budget)

    return lambda source="simulated", budget=None: asyncio.run(run(source, budget))


def test_attempts_use_every_field():
    assert len(attempts()) >= 20
    assert {attempt["place"] for attempt in attempts()} == {"request", "scratchpad", "output"}
    assert len({attempt["name"] for attempt in attempts()}) == len(attempts())


def test_no_attempt_changes_a_verdict(checked):
    table = checked()
    assert len(table) == len(attempts()) * table.groupby(["setting", "kind"]).ngroups
    assert set(table["kind"]) == {"refused", "complied, AF reasoning", "complied, no AF reasoning"}
    assert not table["changed"].any()


def test_a_budget_that_does_not_cover_the_check_is_one_sentence(checked):
    with pytest.raises(InputError, match=r"is not judged yet \(the budget of \$0.0100 does not cover"):
        checked("live", Budget(usd=0.01))


def test_nothing_is_judged_twice(checked, standin):
    checked()
    before = asked(standin)["messages"]
    checked()
    assert asked(standin)["messages"] == before


def test_without_the_fences_the_attempts_do_change_verdicts(checked, monkeypatch):
    """The check can fail: a judge that is shown the bare text is given orders by it."""

    def bare(record, names):
        text = "\n".join(record[name] for name in names)
        parts = {name: record[name] for name in names}
        return f"{text}\n{json.dumps(parts)}"

    monkeypatch.setattr(judging, "_fenced", bare)
    assert checked()["changed"].mean() > 0.3
