import subprocess
import sys
import urllib.request

import pytest

from afanalysis.cli import main


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "afanalysis.cli", *map(str, arguments)], capture_output=True, text=True
    )


def test_rates_without_a_path_prints_the_papers_headline(capsys):
    assert main(["rates"]) == 0
    printed = capsys.readouterr().out
    for number in ("97.2 %", "85.8 %", "11.9 %", "11.3 points", "[7.3, 15.7]"):
        assert number in printed
    assert "Wilson on the n that the printed SE implies" in printed
    assert "the 12 % is AF reasoning" in printed


def test_rates_of_a_study_say_that_it_is_simulated(collected, capsys):
    assert main(["rates", str(collected)]) == 0
    assert "simulated rollouts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rates", "none.parquet"], "no such file"),
        (["rates", "--level", "95"], "--level is 95.0; it must lie in (0, 1)"),
        (["run", "--study", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, sentence):
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_help_names_every_command_and_what_costs_money():
    done = run("--help")
    assert done.returncode == 0
    for word in ("run", "rates", "serve", "nothing is spent"):
        assert word in " ".join(done.stdout.split())


def test_serve_prints_an_address_that_answers():
    process = subprocess.Popen(
        [sys.executable, "-m", "afanalysis.cli", "serve"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = process.stdout.readline().strip()
        assert urllib.request.urlopen(f"{address}/asked").status == 200
    finally:
        process.kill()
        process.wait()


def test_importing_the_package_is_light():
    heavy = {"pandas", "numpy", "anthropic", "pydantic"}
    code = f"import sys, afanalysis; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_collect_and_judge_say_what_they_did_and_simulated_runs_spend_nothing(project, tmp_path):
    import json
    import shutil

    shutil.copytree(project / "notebooks", tmp_path / "notebooks")
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\nsamples: 1\nsettings: [helpful-only]\nprompts: {helpful-only: {first: 3}}\n"
    )

    def run_in(*arguments):
        command = [sys.executable, "-m", "afanalysis.cli", *arguments, "--study", "tiny.yaml"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    ahead = run_in("collect", "--dry-run").stdout
    assert "calls                       6" in ahead
    assert "price, batch" in ahead
    assert "an estimate" in ahead
    assert not (tmp_path / "data").exists()
    assert "6 rollouts collected" in run_in("collect", "--batch", "--poll", "0.1").stdout
    assert "6 verdicts collected" in run_in("judge").stdout
    assert "0 rollouts collected, 6 already present" in run_in("collect").stdout
    manifest = json.loads((tmp_path / "data" / "raw" / "tiny" / "manifest.json").read_text())
    assert manifest["source"] == "simulated"
    assert manifest["spend"] is None
