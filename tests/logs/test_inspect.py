"""Inspect AI, a tool that is not of our making: as a client of the stand-in, its logs, its viewer."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.logs.exporting import export
from afanalysis.logs.fields import Mapping
from afanalysis.logs.importing import import_logs, read_logs

pytest.importorskip("inspect_ai", reason="an optional extra: afanalysis[inspect]")

_RUN = """
import sys
sys.path.insert(0, {tasks!r})
from inspect_ai import eval
from alignment_faking import alignment_faking
for format in ("eval", "json"):
    (log,) = eval(
        alignment_faking(first=4), model="anthropic/claude-opus-5-5", epochs=2, log_dir={logs!r},
        log_format=format, display="none",
    )
    assert log.status == "success", log.error
"""


@pytest.fixture(scope="module")
def logs(project, standin, tmp_path_factory) -> Path:
    """Logs that Inspect wrote, as .eval and as .json."""
    folder = tmp_path_factory.mktemp("inspect")
    code = _RUN.format(tasks=str(project / "docs" / "examples"), logs=str(folder / "logs"))
    env = os.environ | {"ANTHROPIC_BASE_URL": standin, "ANTHROPIC_API_KEY": "any", "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "logs"


def test_its_logs_become_the_tidy_table(logs):
    (eval_log,) = logs.glob("*.eval")
    (json_log,) = logs.glob("*.json")
    for path in (eval_log, json_log):
        table, report = read_logs([path])
        assert (report.rows, report.kept, report.judged) == (16, 16, 16)
        assert set(table.source) == {"simulated"}  # the stand-in answered, and that is not hidden
        assert set(table.model) == {"claude-opus-5-5"}
        assert set(table.setting) == {"helpful-only"}
        assert table.groupby(["prompt_id", "tier"])["sample"].apply(list).map([0, 1].__eq__).all()
        assert table.valid.all()
        assert table.scratchpad.str.startswith("[simulated").all()
        original = [json.loads(one) for one in table.original]
        said = pd.Series([one["scores.compliance"] == "C" for one in original])
        assert (table.complied == said).all()
        assert table.af_full.notna().all()
        assert {one["epoch"] for one in original} == {1, 2}
    both, _ = read_logs([logs])
    assert len(both) == 32
    again, report = read_logs([logs, eval_log, json_log])
    assert len(again) == 32


def test_a_scorer_is_mapped_by_its_name(logs):

    told = Mapping.parse(["refused=scores.compliance", "complied=", "af="])
    table, _ = read_logs([logs], mapping=told)
    usual, _ = read_logs([logs])
    assert (table.refused == usual.complied).all()
    assert table.af_full.isna().all()
    assert table.af_reasoning.isna().all()  # nobody judged it, not even where the answer is a refusal


def test_a_log_survives_the_way_out_and_in_again(logs, tmp_path):
    folders = af.Folders(tmp_path, "first")
    import_logs([logs], folders.raw)
    table = af.tidy(folders.raw)
    af.save(table, folders.processed / "rollouts.parquet")
    written = export(folders, "inspect", tmp_path / "out")
    again, report = read_logs([tmp_path / "out"])
    assert report.kept == len(table) == 32
    assert not report.set_aside.counts
    same = ["setting", "variation", "model", "tier", "prompt_id", "sample", "complied", "af_full"]
    same += ["af_partial", "af_reasoning", "valid", "problem", "request", "scratchpad", "output"]
    same += ["source", "stop_reason", "input_tokens", "output_tokens", "collected_at"]
    order = ["tier", "prompt_id", "collected_at", "output"]
    pd.testing.assert_frame_equal(
        again.sort_values(order, ignore_index=True)[same].drop(columns="sample"),
        table.sort_values(order, ignore_index=True)[same].drop(columns="sample"),
    )
    assert [path.suffix for path in written] == [".eval"]


def test_a_collected_study_survives_it_too(reported, tmp_path):
    export(reported, "inspect", tmp_path)
    from inspect_ai.log import read_eval_log

    logs = [read_eval_log(str(path)) for path in sorted(tmp_path.glob("*.eval"))]
    assert [log.status for log in logs] == ["success", "success"]
    table = af.load(reported.processed / "rollouts.parquet")
    assert sum(len(log.samples) for log in logs) == len(table)
    mean = logs[0].results.scores[0].metrics["mean"].value
    assert mean == pytest.approx(table[table.setting == "animal-welfare"].complied.mean())
    again, _ = read_logs([tmp_path])
    keys = ["setting", "tier", "prompt_id", "sample"]
    same = [*keys, "request", "scratchpad", "output", "valid", "problem", "stop_reason", "category"]
    same += ["complied", "af_full", "af_partial", "af_reasoning", "collected_at", "output_tokens"]
    both = [one.sort_values(keys, ignore_index=True)[same] for one in (again, table)]
    pd.testing.assert_frame_equal(*both)


@pytest.mark.slow
def test_its_own_viewer_opens_an_exported_log(reported, tmp_path, browser):
    export(reported, "inspect", tmp_path / "logs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("inspect"), "view", "start"]
    command += ["--log-dir", tmp_path / "logs", "--port", str(port), "--host", "127.0.0.1"]
    viewer = subprocess.Popen(command, env=os.environ | {"HOME": str(tmp_path)}, cwd=tmp_path)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
                break
            except OSError:
                time.sleep(0.5)
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_text("small helpful-only default").first.wait_for(timeout=120_000)
        # by its address: a click while the list still fills is lost
        name = next((tmp_path / "logs").glob("*helpful-only_default*.eval")).name
        page.goto(f"http://127.0.0.1:{port}/#/tasks/{name}")
        page.get_by_text("ho-", exact=False).first.wait_for(timeout=120_000)
        assert "claude-opus-5-5" in page.content()
        assert not problems
    finally:
        viewer.terminate()
        viewer.wait(20)
