"""The import's report, in the terminal and as a page, and the whole way from the command line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.cli import main
from afanalysis.logs.importing import import_logs
from tests.logs.samples import both_tiers, pipeline_log, pipeline_row, tagged

HOSTILE = "x" * 5000 + "<script>document.title='owned'</script>\u202e</q></td>$\\frac{1}{2}$"


@pytest.fixture
def project_here(project, tmp_path, monkeypatch):
    """A project with nothing but its notebooks, and a log with a little of everything."""
    here = tmp_path / "project"
    shutil.copytree(project / "notebooks", here / "notebooks")
    rows = both_tiers(12)
    for at, row in enumerate(rows):
        row["strong_reject_score"] = ((at * 5) % 9) / 8
    rows[0]["output"] = tagged(output="")
    rows[3]["output"] = f"<scratchpad>{HOSTILE}<output>{HOSTILE}</output>"
    rows[5]["user_input"] = HOSTILE
    rows.append(pipeline_row(3, "gold"))
    pipeline_log(here / "logs", rows)
    monkeypatch.chdir(here)
    return here


def test_the_command_says_what_it_did_and_what_comes_next(project_here, capsys):
    assert main(["import", "auto", "logs", "--study", "mine"]) == 0
    said = capsys.readouterr().out
    assert "25 rows of 1 file hold 25 rollouts: 24 kept (23 of the requested form" in said
    assert "a tier that is neither free nor paid" in said
    assert "the scratchpad is not closed" in said
    assert "Next: afanalysis run --study data/raw/mine/study.yaml" in said
    assert main(["rates", "data/raw/mine"]) == 0
    assert "imported rollouts" in capsys.readouterr().out
    assert main(["rates", "logs"]) == 0
    assert main(["import", "auto", "logs", "--study", "mine", "--strict"]) == 2
    assert "row 4" in capsys.readouterr().err
    assert main(["import", "auto", "logs", "--study", "../mine"]) == 2
    assert main(["import", "auto", "logs", "--study", "paper"]) == 2
    assert main(["collect", "--study", "data/raw/mine/study.yaml"]) == 2
    assert "was imported; import its logs again instead" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_shows_hostile_text_as_text_and_is_accessible(project_here, browser):
    from axe_playwright_python.sync_playwright import Axe

    folder = project_here / "data" / "raw" / "mine"
    import_logs(["logs"], folder)
    page = browser.new_page(viewport={"width": 390, "height": 800})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.goto((folder / "import.html").as_uri())
    assert page.title() == "Import of mine"
    text = page.inner_text("main")
    assert "⟨U+202E⟩" in text
    assert "23 kept" in text
    assert "<script>" in text
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    assert problems == []
    page.close()
    told = json.loads((folder / "import.json").read_text())
    assert told["rollouts"] - told["kept"] == sum(told["set_aside"]["counts"].values()) == 1
    assert told["files"][0]["rows"] == 25
    assert told["columns"]["variation"] == ["'prompt-only_cot', a folder's or the file's name"]


@pytest.mark.slow
def test_an_import_goes_all_the_way_to_figures_and_report(project_here, capsys):
    assert main(["import", "auto", "logs", "--study", "mine"]) == 0
    assert main(["run", "--study", "data/raw/mine/study.yaml"]) == 0
    drawn = {path.stem for path in Path("figures/mine").glob("*.png")}
    assert {"behaviour_by_tier", "score_threshold", "paired_prompts", "reasoning_against_gap"} <= drawn
    report = Path("data/processed/mine/report.html").read_text()
    assert "<script>document" not in report
    assert "imported" in report
    gaps = pd.read_csv("data/processed/mine/gaps.csv")
    assert gaps.variation.tolist() == ["prompt-only_cot"]
    capsys.readouterr()
    assert main(["run", "--study", "data/raw/mine/study.yaml"]) == 0
    assert "Everything is up to date (3 notebooks)" in capsys.readouterr().out
    # another threshold is another study: what depends on it runs again
    assert main(["import", "auto", "logs", "--study", "mine", "--threshold", "0.125"]) == 0
    assert main(["run", "--study", "data/raw/mine/study.yaml", "--dry-run"]) == 0
    assert "up to date" not in capsys.readouterr().out.split("Next:")[-1]
    for kind in ("parquet", "csv", "inspect", "dataset"):
        assert main(["export", kind, "--study", "mine"]) == 0
    assert Path("data/processed/mine/export/dataset/README.md").exists()


@pytest.mark.slow
def test_a_log_of_answers_alone_can_be_judged_by_rules_and_analysed(project_here):
    table = Path("answers.csv")
    rows = [
        f"Request {n}?,{a},{t},m" for n in range(8) for t, a in (("free", "Sure."), ("paid", "I can't."))
    ]
    table.write_text("prompt,response,tier,model\n" + "\n".join(rows) + "\n")
    assert main(["import", "csv", "answers.csv", "--study", "plain"]) == 0
    study = "data/raw/plain/study.yaml"
    assert main(["run", "--study", study]) == 2
    assert main(["judge", "--study", study, "--rules"]) == 0
    assert main(["run", "--study", study]) == 0
    gaps = pd.read_csv("data/processed/plain/gaps.csv")
    assert gaps.gap.item() == 1.0


@pytest.mark.slow
def test_the_worked_example_of_the_docs_works(project, tmp_path):
    pytest.importorskip("inspect_ai", reason="an optional extra: afanalysis[inspect]")
    for name in ("notebooks", "docs/examples"):
        shutil.copytree(project / name, tmp_path / name)
    (commands,) = re.findall(r"```sh\n(.*?)```", (project / "docs" / "importing.md").read_text(), re.S)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    assert "120 kept" in done.stdout
    rates = pd.read_csv(tmp_path / "data/processed/inspect-demo/rates.csv").set_index("tier")
    assert rates.rate["free"] > rates.rate["paid"]
    table = af.load(tmp_path / "data/processed/inspect-demo/rollouts.parquet")
    assert set(table.source) == {"simulated"}
    assert (tmp_path / "figures" / "inspect-demo" / "behaviour_by_tier.png").exists()


def test_a_table_without_texts_that_says_simulated_stays_simulated(tmp_path):
    """Provenance does not get lost on the way through another file."""
    rows = [(f"p{at}", tier, at > 2) for at in range(6) for tier in ("free", "paid")]
    table = pd.DataFrame(rows, columns=["prompt_id", "tier", "complied"])
    for source, expected in (("simulated", "simulated"), ("live", "imported")):
        log = tmp_path / source / "rollouts.csv"
        log.parent.mkdir()
        table.assign(model="m", source=source).to_csv(log, index=False)
        import_logs([log], tmp_path / source / "study")
        assert set(af.tidy(tmp_path / source / "study").source) == {expected}
