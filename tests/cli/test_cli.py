import argparse
import json
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest

from afanalysis.cli import COMMANDS, build_parser, main
from tests.helpers import billed, standing_in


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "afanalysis.cli", *map(str, arguments)], capture_output=True, text=True
    )


def commands(parser):
    """Every command below a parser, with its parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help for choice in action._choices_actions}
            for name, command in action.choices.items():
                yield name, command, helps.get(name)
                yield from commands(command)


ALL = [pytest.param(*entry, id=entry[0]) for entry in commands(build_parser(COMMANDS))]


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize(("name", "command", "summary"), ALL)
def test_every_command_has_a_help_line_and_a_description(name, command, summary):
    text = command.format_help()
    assert len(summary.split()) >= 3
    assert command.description
    assert words(command.description) in words(text)
    assert "%%" not in text
    for action in command._actions:
        assert action.help, f"{name} {action.dest} has no help"
        if action.default not in (None, False, [], argparse.SUPPRESS):
            assert str(action.default) in action.help or action.default == 0, f"{name} {action.dest}"


@pytest.mark.parametrize(("name", "command", "summary"), ALL)
def test_every_command_is_in_the_list_of_commands_and_in_the_documentation(
    project, name, command, summary
):
    listed = words(build_parser(()).format_help())
    assert f" {name} {words(summary)}" in listed
    pages = [project / "README.md", *sorted((project / "docs").glob("*.md"))]
    assert any(re.search(rf"\bafanalysis {name}\b", page.read_text("utf-8")) for page in pages)


def test_help_tells_what_costs_money():
    done = run("--help")
    assert done.returncode == 0
    assert "Without --live nothing leaves this machine and nothing is spent" in words(done.stdout)


def test_listing_the_commands_imports_only_the_parser():
    """So `--help` and `--version` answer at once."""
    code = "import sys; from afanalysis.cli import build_parser; build_parser(()); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("afanalysis")}
    assert ours == {"afanalysis", "afanalysis.cli", "afanalysis.errors"}
    assert not {"numpy", "pydantic", "yaml", "asyncio"} & set(done.stdout.split())


def test_rates_without_a_path_prints_the_papers_headline(capsys):
    assert main(["rates"]) == 0
    printed = capsys.readouterr().out
    for number in ("97.2 %", "85.8 %", "11.9 %", "11.3 points", "[7.3, 15.7]"):
        assert number in printed
    assert "Wilson on the n that the printed SE implies" in printed
    assert "the 12 % is AF reasoning" in printed


def test_rates_of_a_simulated_study_are_marked_as_simulated(collected, capsys):
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
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, sentence, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1


def test_a_command_exits_with_the_code_of_main_and_no_traceback():
    done = run("run", "--study", "none.yaml")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


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


def test_the_commands_that_move_data_load_no_table_library_to_begin_with():
    for command in ("collect", "judge", "import"):
        code = f"import sys; from afanalysis.cli import build_parser; build_parser(['{command}'])"
        code += "; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not {"pandas", "scipy", "matplotlib"} & set(done.stdout.split()), command


def test_deciding_that_nothing_must_run_loads_nothing_heavy(project, tmp_path):
    """`afanalysis run` with nothing to do, up to the decision, with the files of the real notebooks."""
    for name in ("notebooks", "studies"):
        shutil.copytree(project / name, tmp_path / name)
    code = "import sys; from afanalysis.cli import main; main(['run', '--dry-run']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "05_figures            run: it has not been run here" in done.stdout
    heavy = {"numpy", "scipy", "pandas", "duckdb", "matplotlib", "anthropic", "papermill", "tornado"}
    assert not heavy & set(done.stdout.split())


def test_collect_and_judge_report_what_they_did_and_simulated_runs_spend_nothing(
    project, tmp_path, monkeypatch, capsys
):
    shutil.copytree(project / "notebooks", tmp_path / "notebooks")
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\nsamples: 1\nsettings: [helpful-only]\nprompts: {helpful-only: {first: 3}}\n"
    )
    monkeypatch.chdir(tmp_path)

    def printed(*arguments):
        assert main([*arguments, "--study", "tiny.yaml"]) == 0
        return capsys.readouterr().out

    forecast = printed("collect", "--dry-run")
    assert "calls                       6" in forecast
    assert "price, batch" in forecast
    assert "an estimate" in forecast
    assert not (tmp_path / "data").exists()
    assert "6 rollouts collected" in printed("collect", "--batch", "--poll", "0.1")
    assert "6 verdicts collected" in printed("judge")
    assert "0 rollouts collected, 6 already present" in printed("collect")
    manifest = json.loads((tmp_path / "data" / "raw" / "tiny" / "manifest.json").read_text())
    assert manifest["source"] == "simulated"
    assert manifest["spend"] is None


def test_a_run_that_stops_early_gives_true_numbers_and_exit_code_3(
    project, tmp_path, monkeypatch, capsys
):
    """M12."""
    shutil.copytree(project / "notebooks", tmp_path / "notebooks")
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\nsamples: 4\nsettings: [helpful-only]\nprompts: {helpful-only: {first: 3}}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")

    def collect(usd):
        limit = ["--budget", str(usd)]
        code = main(["collect", "--study", "tiny.yaml", "--live", "--base-url", address, *limit])
        return code, capsys.readouterr().out

    with standing_in() as (address, standin):
        code, text = collect(0.15)
        sent = standin.asked["answered"]
        assert code == 3
        assert 0 < sent < 24
        assert f"{sent} rollouts collected, 0 already present" in text
        stopped = (
            r"Stopped early: the budget of \$0.1500 does not cover the next call: \$(\S+) is spent.* "
        )
        spent, enough = re.search(stopped + r"goes on is \$(\S+)", text).groups()
        assert float(spent) == pytest.approx(billed(standin), abs=1e-4)
        assert f"0 rollouts collected, {sent} already present" in collect(0.15)[1]
        code, text = collect(enough)
        assert code == 3
        assert "\n0 rollouts" not in f"\n{text}"
        code, text = collect(10)
        assert code == 0
        assert "Stopped" not in text
        assert standin.asked["answered"] == 24
