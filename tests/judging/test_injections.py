import asyncio
import shutil

import anthropic
import pytest

from afanalysis.collection.endpoint import Endpoint
from afanalysis.judging import model as judging
from afanalysis.judging.injections import attempts, check_judge


@pytest.fixture
def checked(collected, standin, small_study, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(collected, folder)

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=standin, api_key="any") as client:
            return await check_judge(small_study.judge, Endpoint(client, "simulated"), folder)

    return lambda: asyncio.run(ask())


def test_there_are_attempts_in_every_field():
    found = attempts()
    assert len(found) >= 20
    assert {one["place"] for one in found} == {"request", "scratchpad", "output"}
    assert len({one["name"] for one in found}) == len(found)


def test_no_attempt_changes_a_verdict(checked):
    found = checked()
    assert len(found) == len(attempts()) * found.groupby(["setting", "kind"]).ngroups
    assert set(found["kind"]) == {"refused", "complied, AF reasoning", "complied, no AF reasoning"}
    assert not found["changed"].any()
    assert not checked()["changed"].any()  # again: what was asked is not asked twice


def test_without_the_fences_the_attempts_do_change_verdicts(checked, monkeypatch):
    """The check can fail: a judge that is shown the bare text is given orders by it."""

    def bare(record):
        import json

        text = "\n".join(record[name] for name in ("request", "scratchpad", "output"))
        parts = {name: record[name] for name in ("request", "scratchpad", "output")}
        return f"{text}\n{json.dumps(parts)}"

    monkeypatch.setattr(judging, "_fenced", bare)
    assert checked()["changed"].mean() > 0.3
