"""The stand-in, driven by a client that is not of our making."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("inspect_ai", reason="an optional extra: afanalysis[inspect]")

_RUN = """
import json, sys
sys.path.insert(0, {tasks!r})
from inspect_ai import eval
from alignment_faking import alignment_faking
(log,) = eval(
    alignment_faking(first=5), model="anthropic/claude-opus-5-5", epochs=2, log_dir={logs!r},
    display="none",
)
print(json.dumps([log.status, [sample.output.completion for sample in log.samples]]))
"""


def test_inspect_ai_runs_against_the_stand_in(project, standin, tmp_path):
    code = _RUN.format(tasks=str(project / "tests" / "inspect_task"), logs=str(tmp_path))
    env = os.environ | {"ANTHROPIC_BASE_URL": standin, "ANTHROPIC_API_KEY": "any", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    status, completions = json.loads(done.stdout.splitlines()[-1])
    assert status == "success"
    assert len(completions) == 20
    assert all(text.startswith("<scratchpad>") and "</output>" in text for text in completions)
