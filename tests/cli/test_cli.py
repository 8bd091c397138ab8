import argparse
import http.server
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.request

import anthropic
import pytest

import afanalysis as af
from afanalysis.cli import COMMANDS, build_parser, main
from afanalysis.study.files import write_csv
from tests.helpers import billed, server, standing_in, tiny_project


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
def test_every_command_has_examples_in_its_help_that_are_understood(name, command, summary):
    examples = COMMANDS[name]["examples"]
    assert words("; ".join(examples)) in words(command.format_help())
    for example in examples:
        program, *arguments = shlex.split(example)
        assert program == "afanalysis"
        assert (
            build_parser(COMMANDS).parse_args(arguments).action.__name__.endswith(name.replace("-", "_"))
        )


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
    shared = {"afanalysis.errors", "afanalysis.text", "afanalysis.text.untrusted"}
    assert ours == {"afanalysis", "afanalysis.cli"} | shared
    assert not {"numpy", "pydantic", "yaml", "asyncio"} & set(done.stdout.split())


def test_rates_without_a_path_prints_the_papers_headline(capsys):
    assert main(["rates"]) == 0
    printed = capsys.readouterr().out
    for number in ("97.2 %", "85.8 %", "11.9 %", "11.3 points", "[7.3, 15.6]"):
        assert number in printed
    assert "n is the only one that fits the row" in printed
    assert "[7.3, 15.6] to [8.2, 14.9] over every pairing" in printed
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


@pytest.mark.slow
@pytest.mark.parametrize(("lenient", "status"), [((), 400), (("--lenient",), 200)])
def test_serve_prints_an_address_that_is_as_strict_as_the_api_or_lenient(lenient, status):
    process = subprocess.Popen(
        [sys.executable, "-m", "afanalysis.cli", "serve", *lenient], stdout=subprocess.PIPE, text=True
    )
    try:
        address = process.stdout.readline().strip()
        assert urllib.request.urlopen(f"{address}/asked").status == 200
        body = {"model": "claude-opus-5-5", "max_tokens": 5000, "temperature": 0.5}
        body["messages"] = [{"role": "user", "content": "Ask"}]
        headers = {"x-api-key": "any", "anthropic-version": "2026-10-21"}
        with anthropic.DefaultHttpxClient(base_url=address, headers=headers) as client:
            assert client.post("/v1/messages", json=body).status_code == status
    finally:
        process.kill()
        process.wait()


def test_importing_the_package_is_light():
    heavy = {"pandas", "numpy", "anthropic", "pydantic"}
    code = f"import sys, afanalysis; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
    assert "6 calls to make, 0 already made" in forecast
    assert "price, batch" in forecast
    assert "an estimate" in forecast
    assert not (tmp_path / "data").exists()
    assert "6 rollouts collected" in printed("collect", "--batch", "--poll", "0.1")
    assert "12 calls to make, 0 already made" in printed("judge", "--dry-run")
    assert not (tmp_path / "data" / "raw" / "tiny" / "judgements.jsonl").exists()
    assert "12 verdicts collected" in printed("judge")  # two calls per vote
    assert "0 calls to make, 12 already made" in printed("judge", "--dry-run")
    assert "0 rollouts collected, 6 already present" in printed("collect")
    manifest = json.loads((tmp_path / "data" / "raw" / "tiny" / "manifest.json").read_text())
    assert manifest["source"] == "simulated"
    assert manifest["spend"] is None


def test_answers_that_cannot_be_used_are_counted_before_any_rate(in_a_project, monkeypatch, capsys):
    """As small open models answer: without the form, and with words in place of a verdict."""

    def answer(method, path, headers, body):
        if not path.endswith("/messages"):
            return 404, {}
        in_form = body["model"] == "small" and "first in form" in str(body["messages"])
        text = "<scratchpad>So.</scratchpad><output>No.</output>" if in_form else "Hello there!"
        usage = {"input_tokens": 9, "output_tokens": 9}
        content = {"content": [{"type": "text", "text": text}], "model": body["model"], "usage": usage}
        return 200, content | {"stop_reason": "end_turn"}

    (in_a_project / "mine.csv").write_text("text\nfirst in form\nsecond\nthird\n")

    def printed(code, *arguments):
        assert main([*arguments]) == code
        return capsys.readouterr().out

    with server(answer) as (address, _):
        (in_a_project / "small.yaml").write_text(
            "name: small\nmodels: [small]\nsamples: 1\nsettings: [helpful-only]\n"
            "prompts: {helpful-only: {file: mine.csv}}\njudge: {model: judge}\n"
            f"endpoints: [{{models: [small, judge], base_url: '{address}'}}]\n"
        )
        live = ["--study", "small.yaml", "--live", "--any-price"]
        form = "answers are not in the requested form, or blocked"
        assert f"4 of 6 {form}" in printed(0, "collect", *live)
        assert form not in printed(0, "collect", *live)  # nothing is collected
        assert f"12 of 12 {form}" in printed(0, "judge", *live)  # two calls per vote, three times
    counts = printed(2, "rates", "data/raw/small")
    assert "no output tag" in counts
    assert "Rates of" not in counts


def test_counts_are_printed_where_no_answer_had_the_form_to_be_judged(in_a_project, capsys):
    def answer(method, path, headers, body):
        content = {"content": [{"type": "text", "text": "Hello!"}], "stop_reason": "end_turn"}
        usage = {"input_tokens": 9, "output_tokens": 9}
        return (200, content | {"usage": usage}) if path.endswith("/messages") else (404, {})

    with server(answer) as (address, _):
        (in_a_project / "small.yaml").write_text(
            "name: small\nmodels: [small]\nsamples: 1\nsettings: [helpful-only]\n"
            "prompts: {helpful-only: {first: 2}}\n"
            f"endpoints: [{{models: [small], base_url: '{address}'}}]\n"
        )
        assert main(["collect", "--study", "small.yaml", "--live", "--any-price"]) == 0
    assert main(["judge", "--study", "small.yaml", "--rules"]) == 0
    assert main(["rates", "data/raw/small"]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("no output tag 2") == 2  # of each tier
    assert "no rollout has a known 'complied'" in printed.err


ACTS_ON_THE_TERMINAL = "\x1b]0;taken\x07\x1b[2J\u202e\r"


def assert_visible(printed):
    assert "⟨U+202E⟩" in printed
    assert all(letter.isprintable() or letter in "\n\t" for letter in printed)


@pytest.fixture
def in_a_project(project, tmp_path, monkeypatch):
    shutil.copytree(project / "notebooks", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_that_a_server_says_acts_on_the_terminal(in_a_project, monkeypatch, capsys):
    """S7: errors of a server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            message = {"type": "invalid_request_error", "message": ACTS_ON_THE_TERMINAL}
            body = json.dumps({"type": "error", "error": message}).encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    (in_a_project / "a.yaml").write_text("name: a\nprompts: {helpful-only: {first: 3}}\n")
    address = f"http://127.0.0.1:{server.server_port}"
    arguments = ["collect", "--study", "a.yaml", "--live", "--any-price", "--base-url", address]
    assert main(arguments) == 2
    assert_visible(capsys.readouterr().err)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_no_name_in_a_table_acts_on_the_terminal(tmp_path, capsys, suffix):
    """S7: names in tables."""
    table = af.example_rollouts()
    table["variation"] = table["variation"].replace("no-examples", ACTS_ON_THE_TERMINAL)
    table["source"] = ACTS_ON_THE_TERMINAL
    path = tmp_path / f"table{suffix}"
    {
        ".csv": lambda: write_csv(path, table),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".parquet": lambda: af.save(table, path),
    }[suffix]()
    assert main(["rates", str(path)]) == 0
    assert_visible(capsys.readouterr().out)


def test_rates_of_one_tier_are_printed_with_the_reason_why_there_is_no_gap(tmp_path, capsys):
    table = af.example_rollouts()
    outcomes = ["complied", "refused", "af_full", "af_partial", "af_reasoning"]
    table.loc[table["tier"] == "free", [*outcomes, "judge"]] = None
    table.loc[table["tier"] == "free", ["blocked", "valid"]] = ["cyber", False]
    af.save(table, path := tmp_path / "table.parquet")
    assert main(["rates", str(path)]) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert any({"free", "100.0", "blocked:", "cyber"} <= set(row) for row in rows)
    assert any({"paid", "non-compliance"} <= set(row) or "refusal" in " ".join(row) for row in rows)
    assert "no gap: " in printed
    assert "no known 'complied' in the free tier" in printed


@pytest.fixture
def table(tmp_path):
    return af.save(af.example_rollouts(), tmp_path / "table.parquet")


def test_rates_show_both_rates_whose_difference_is_the_gap(table, capsys):
    assert main(["rates", str(table)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    tiers = {row[3] for row in rows if row[:3] == ["helpful-only", "default", "compliance"]}
    assert tiers == {"free", "paid", "gap"}


def test_contrast_prints_what_the_function_gives(table, capsys):
    assert main(["contrast", str(table), "variation", "--by", "setting"]) == 0
    printed = capsys.readouterr().out
    expected = af.contrast(table, "variation", by=["setting"])
    rows = [line.split() for line in printed.splitlines() if " no-examples " in line]
    assert [row[:3] for row in rows] == expected[["setting", "variation", "reference"]].values.tolist()
    differences = [float(row[3].replace("−", "-")) for row in rows]
    assert differences == pytest.approx((100 * expected["difference"]).tolist(), abs=0.051)
    assert main(["contrast", str(table), "variation", "--of", "rate", "--reference", "no-examples"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    rows = [row for row in rows if row[3:5] == ["default", "no-examples"]]
    assert [row[2] for row in rows] == ["free", "paid"] * 2
    assert main(["contrast", str(table), "tier"]) == 0
    assert "Differences of the rate in complied" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["contrast", "{table}", "models"], "have no column 'models'"),
        (["contrast", "{table}", "variation", "--reference", "short"], "reference is 'short'; column"),
        (["contrast", "{table}", "model"], "nothing to compare"),
        (
            ["contrast", "{table}", "variation", "--level", "95"],
            "--level is 95.0; it must lie in (0, 1)",
        ),
        (["plan", "--gap", "0.05", "--paid", "0.99"], "both rates must lie in 0-1"),
        (["plan", "--gap", "0"], "no number of prompts finds it"),
        (["plan", "--gap", "0.1", "--power", "80"], "power is 80.0; it must lie in (0, 1)"),
        (["plan", "--gap", "0.1", "--samples", "0"], "samples 0"),
        (["plan", "none.csv", "--gap", "0.1"], "none.csv: no such file"),
        (["plan", "{table}", "--gap", "0.1", "--tiers", "pro,enterprise"], "have no tier 'pro'"),
    ],
)
def test_what_cannot_be_compared_or_planned_is_one_sentence(table, arguments, sentence, capsys):
    assert main([each.format(table=table) for each in arguments]) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1


def test_two_tiers_are_written_with_a_comma(table, capsys):
    with pytest.raises(SystemExit):
        main(["rates", str(table), "--tiers", "free"])
    assert "'free' are not two tiers; write them as in pro,enterprise" in capsys.readouterr().err


def test_rates_of_other_tiers_name_the_two(table, tmp_path, capsys):
    rollouts = af.load(table)
    rollouts["tier"] = rollouts["tier"].map({"free": "pro", "paid": "enterprise"})
    af.save(rollouts, tmp_path / "other.parquet")
    assert main(["rates", str(tmp_path / "other.parquet"), "--tiers", "pro,enterprise"]) == 0
    assert "pro − enterprise" in capsys.readouterr().out


def test_plan_prints_what_the_function_gives_and_what_was_assumed(capsys):
    assert main(["plan", "--gap", "0.1", "--samples", "1", "5"]) == 0
    printed = capsys.readouterr().out
    assert "a rate of 3.0 %\n(a guess), with an intraclass correlation of 0.30" in printed
    prompts = [int(line.split()[1]) for line in printed.splitlines()[3:]]
    assert prompts == af.plan(0.1, samples=[1, 5])["prompts"].tolist()


def test_a_plan_from_a_tier_in_which_nobody_complied_assumes_the_upper_end(table, tmp_path, capsys):
    rollouts = af.load(table)
    paid = rollouts["tier"] == "paid"
    rollouts.loc[paid, "complied"] = False
    path = af.save(rollouts, tmp_path / "none.parquet")
    row = af.rates(rollouts, by=["tier"]).set_index("tier").loc["paid"]
    assert (row["rate"], row["high"] > 0.01) == (0, True)
    assert main(["plan", str(path), "--gap", "0.1", "--samples", "2"]) == 0
    printed = capsys.readouterr().out
    assert f"over a rate of {100 * row['high']:.1f} %" in printed
    assert f"(the upper end for 0 of {row['n']} answers in the paid tier)" in printed
    assert main(["plan", str(path), "--gap", "0.1", "--samples", "2", "--paid", "0.2"]) == 0
    assert "over a rate of 20.0 %" in capsys.readouterr().out


def test_no_name_in_a_log_or_a_study_file_acts_on_the_terminal(in_a_project, capsys):
    """S7: names in logs and study files."""
    log = {"query": "Ask", "answer": "No.", ACTS_ON_THE_TERMINAL: 1}
    (in_a_project / "log.jsonl").write_text(json.dumps(log) + "\n")
    main(["rates", "log.jsonl"])
    printed = capsys.readouterr()
    assert all(letter.isprintable() or letter in "\n\t" for letter in printed.out + printed.err)
    (in_a_project / "a.yaml").write_text(json.dumps({"name": "a", ACTS_ON_THE_TERMINAL: 1}))
    assert main(["collect", "--study", "a.yaml"]) == 2
    assert_visible(capsys.readouterr().err)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc", "..", ".hidden", "a/b", "a\\b", "x" * 300, "", "a\x1bb"]
)
@pytest.mark.parametrize(
    "arguments", [["export", "csv"], ["figure", "behaviour_by_tier"], ["import", "auto", "log.jsonl"]]
)
def test_a_study_is_never_named_like_a_path(in_a_project, capsys, arguments, name):
    """S8: every command that takes a name."""
    (in_a_project / "log.jsonl").write_text('{"query": "Ask", "answer": "No."}\n')
    before = sorted(in_a_project.rglob("*"))
    assert main([*arguments, "--study", name]) == 2
    assert "is not a study name; use letters, digits" in capsys.readouterr().err
    assert sorted(in_a_project.rglob("*")) == before


def test_a_run_that_stops_early_gives_true_numbers_and_exit_code_3(
    project, tmp_path, monkeypatch, capsys
):
    """M12."""
    shutil.copytree(project / "notebooks", tmp_path / "notebooks")
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\nsamples: 4\nsettings: [helpful-only]\nprompts: {helpful-only: {first: 3}}\n"
        "sampling: {max_tokens: 4000}\njudge: {max_tokens: 2000}\n"
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


@pytest.mark.slow
def test_a_run_names_no_report_that_was_not_written(tmp_path, monkeypatch, capsys):
    folder = tiny_project(tmp_path / "project")
    last = folder / "notebooks" / "05_figures.ipynb"
    last.write_text(last.read_text().replace("report.html", "other.html"))
    monkeypatch.chdir(folder)
    assert main(["run", "--study", "study.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "report.html" not in printed
    assert "Open figures/index.html: " in printed
