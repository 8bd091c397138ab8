import json
import os
import shutil
import subprocess
import sys

import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Budget, Prices
from tests.helpers import asked, keys, planned, put

SECRET = "sk-ant-very-secret-0123456789"


def spend(study, folder, address, budget):
    return put(study, folder, address, budget=budget, source="live", concurrency=8)


def test_a_budget_is_never_exceeded_and_used_up_to_one_reservation(small_study, faulty, tmp_path):
    """M6, M12."""
    limit, most_usd = 0.2, 0.12
    with faulty(latency=0.01) as address:
        summary = spend(small_study, tmp_path, address, Budget(usd=limit))
        assert f"the budget of ${limit:.4f} does not cover the next call" in summary.stopped
        paid = list(read_records(tmp_path / "rollouts.jsonl"))
        assert len(paid) == asked(address)["answered"]
        cost = sum(Prices.load().cost("claude-opus-5-5", record) for record in paid)
        assert limit - most_usd <= cost <= limit
        assert f"${cost:.4f} is spent" in summary.stopped
        # the same budget buys nothing more, a larger one the rest
        again = spend(small_study, tmp_path, address, Budget(usd=limit))
        assert (again.sent, again.skipped) == (0, len(paid))
        rest = spend(small_study, tmp_path, address, Budget(usd=100))
        assert rest.sent == small_study.size - len(paid)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["spend"]["usd"] > cost
    assert manifest["collected"] == small_study.size
    assert len(manifest["runs"]) == 2  # the second had nothing to send


def test_tokens_can_be_limited_where_no_price_is_known(small_study, standin, tmp_path):
    unknown = small_study.model_copy(update={"models": ["somebody-elses-model"]})
    with pytest.raises(InputError, match=r"no price is known for somebody-elses-model; set --budget"):
        spend(unknown, tmp_path, standin, Budget(usd=5))
    summary = spend(unknown, tmp_path, standin, Budget(tokens=10_000))
    assert "10,000 tokens" in summary.stopped
    assert spend(unknown, tmp_path, standin, Budget(any_price=True)).stopped is None


def test_a_live_run_without_a_budget_is_refused(small_study, standin, tmp_path):
    with pytest.raises(InputError, match="a live run needs a budget"):
        spend(small_study, tmp_path, standin, None)
    with pytest.raises(InputError, match="a live run needs a budget"):
        spend(small_study, tmp_path, standin, Budget())
    with pytest.raises(InputError, match="must be above 0"):
        Budget(usd=0)
    assert not (tmp_path / "rollouts.jsonl").exists()


def test_a_second_run_asks_nothing_and_a_larger_study_only_what_is_new(small_study, standin, tmp_path):
    first = put(small_study, tmp_path, standin)
    assert (first.sent, first.skipped) == (small_study.size, 0)
    again = put(small_study, tmp_path, standin)
    assert (again.sent, again.skipped) == (0, small_study.size)
    larger = small_study.model_copy(update={"samples": 3})
    more = put(larger, tmp_path, standin)
    assert more.sent == larger.size - small_study.size
    assert sorted(keys(tmp_path)) == sorted(planned(larger))


def test_answers_do_not_depend_on_order_or_concurrency(small_study, standin, tmp_path):
    def answers(folder):
        records = read_records(folder / "rollouts.jsonl")
        return {record["key"]: record["output"] for record in records}

    put(small_study, tmp_path / "a", standin)
    put(small_study.model_copy(update={"tiers": ["paid", "free"]}), tmp_path / "b", standin)
    assert answers(tmp_path / "a") == answers(tmp_path / "b")


def test_no_key_reaches_any_file(small_study, standin, tmp_path):
    put(small_study, tmp_path, standin, api_key=SECRET)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        assert SECRET.encode() not in path.read_bytes(), path


def test_no_key_is_in_anything_that_a_failing_run_writes(project, tmp_path):
    for name in ("notebooks", "studies"):
        shutil.copytree(project / name, tmp_path / name)
    command = ["collect", "--study", "studies/demo.yaml", "--live", "--budget", "1"]
    process = subprocess.run(
        [sys.executable, "-m", "afanalysis.cli", *command, "--base-url", "http://127.0.0.1:9"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"ANTHROPIC_API_KEY": SECRET},
    )
    assert process.returncode == 2
    assert "cannot be reached" in process.stderr
    assert SECRET not in process.stdout + process.stderr
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_two_versions_of_a_prompt_are_never_mixed(small_study, standin, tmp_path):
    own = tmp_path / "mine.csv"
    study = small_study.model_copy(update={"settings": ["helpful-only"]})
    rows = ["prompt_id,text", *(f"p{i},Ask {i}" for i in range(6))]
    own.write_text("\n".join(rows))
    study = type(study).model_validate(
        study.model_dump() | {"prompts": {"helpful-only": {"file": own}}, "samples": 1}
    )
    folder = tmp_path / "raw"
    put(study, folder, standin, judged=True)
    rows[1] = "p0,Ask something else"
    own.write_text("\n".join(rows))
    more = put(study, folder, standin, judged=True)
    assert more.sent == 2  # the changed prompt in both tiers
    table = af.tidy(folder)
    assert len(table) == study.size
    assert set(table.loc[table.prompt_id == "p0", "request"]) == {"Ask something else"}


def test_native_thinking_is_kept_apart_from_the_scratchpad(small_study, standin, tmp_path):
    shown = {"type": "adaptive", "display": "summarized"}
    thoughtful = small_study.sampling.model_copy(update={"thinking": shown})
    put(small_study.model_copy(update={"sampling": thoughtful}), tmp_path, standin)
    for record in read_records(tmp_path / "rollouts.jsonl"):
        assert record["thinking"].startswith("[simulated thinking")
        assert "thinking, kept apart" not in record["scratchpad"]
