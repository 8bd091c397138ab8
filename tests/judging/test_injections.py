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


@pytest.fixture(scope="module")
def check(collected, standin, small_study, tmp_path_factory):
    """Checks the judge, in a new copy of the study or in one that was given before."""

    async def run(folder, source, budget):
        async with anthropic.AsyncAnthropic(base_url=standin, api_key="any") as client:
            endpoint = Endpoint(client, source)
            return await check_judge(small_study.judge, endpoint, folder, budget=budget)

    def check(folder=None, source="simulated", budget=None):
        if folder is None:
            folder = shutil.copytree(collected, tmp_path_factory.mktemp("checked") / "study")
        return asyncio.run(run(folder, source, budget)), folder

    return check


@pytest.fixture(scope="module")
def checked(check):
    return check()


def test_attempts_use_every_field():
    assert len(attempts()) >= 20
    assert {attempt["place"] for attempt in attempts()} == {"request", "scratchpad", "output"}
    assert len({attempt["name"] for attempt in attempts()}) == len(attempts())


def test_no_attempt_changes_a_verdict(checked):
    table, _ = checked
    assert len(table) == len(attempts()) * table.groupby(["setting", "kind"]).ngroups
    assert set(table["kind"]) == {"refused", "complied, AF reasoning", "complied, no AF reasoning"}
    assert not table["changed"].any()


def test_a_budget_that_does_not_cover_the_check_is_one_sentence(check):
    with pytest.raises(InputError, match=r"is not judged yet \(the budget of \$0.0100 does not cover"):
        check(None, "live", Budget(usd=0.01))


def test_nothing_is_judged_twice(checked, check, standin):
    before = asked(standin)["messages"]
    check(checked[1])
    assert asked(standin)["messages"] == before


def test_without_the_fences_the_attempts_do_change_verdicts(check, monkeypatch):
    """The check can fail: a judge that is shown the bare text is given orders by it."""

    def bare(record, names):
        text = "\n".join(record[name] for name in names)
        parts = {name: record[name] for name in names}
        return f"{text}\n{json.dumps(parts)}"

    monkeypatch.setattr(judging, "_fenced", bare)
    table, _ = check()
    assert table["changed"].mean() > 0.3
