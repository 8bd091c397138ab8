"""Every YAML block of the documentation runs as it stands."""

import asyncio
import os
import re
import shutil

import pytest
import yaml

import afanalysis as af
from afanalysis.cli import main
from afanalysis.collection.endpoint import connect
from afanalysis.study.journal import read_records
from afanalysis.study.prompts import requests
from tests.helpers import PROJECT

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
]
STUDIES = [block for block in BLOCKS if "grid:" not in block.values[0]]


@pytest.fixture
def documented(tmp_path, monkeypatch):
    """A project in which a block is a study file, with the files that the blocks name beside it."""
    shutil.copytree(PROJECT / "notebooks", tmp_path / "notebooks")
    shutil.copytree(PROJECT / "studies", tmp_path / "studies")
    texts = "".join(f'"{request.text}"\n' for request in requests("animal-welfare")[:3])
    (tmp_path / "mine.csv").write_text("text\n" + texts)
    (tmp_path / "mine.txt").write_text("Think in <scratchpad> tags, then answer in <output> tags.")
    own = next(block.values[0] for block in BLOCKS if "medical:\n" in block.values[0])
    (tmp_path / "medical.yaml").write_text(
        yaml.safe_dump(yaml.safe_load(own)["own_settings"]["medical"])
    )
    monkeypatch.chdir(tmp_path)

    def write(block):
        content = yaml.safe_load(block)
        served = [model for end in content.get("endpoints") or () for model in end["models"]]
        missing = {"name": "documented", "models": served} if served else {"name": "documented"}
        added = {name: value for name, value in missing.items() if name not in content}
        (tmp_path / "study.yaml").write_text((yaml.safe_dump(added) if added else "") + block)
        return tmp_path / "study.yaml"

    return write


def test_there_are_blocks_to_run():
    assert len(STUDIES) >= 17


@pytest.mark.parametrize("block", STUDIES)
def test_a_documented_study_is_forecast_as_it_stands(documented, block, capsys):
    assert main(["collect", "--dry-run", "--study", str(documented(block))]) == 0
    assert "0 already made" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("block", STUDIES)
def test_a_documented_study_is_collected_and_judged_by_what_is_as_strict_as_the_api(
    documented, block, standin, monkeypatch, tmp_path
):
    """All of it but the number of prompts and samples, and the servers' addresses."""

    async def live(client):
        return "live"

    monkeypatch.setattr("afanalysis.collection.endpoint._source", live)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    for name in re.findall(r"key_variable: (\w+)|\$(\w+)", block):
        monkeypatch.setenv("".join(name), "any")
    block = re.sub(r"base_url: [^\s,}]+", f"base_url: {standin}", block)
    study = af.Study.from_yaml(documented(block))
    few = {s: study.prompts.get(s, af.study.design.PromptList()) for s in study.settings}
    few = {setting: part.model_copy(update={"first": 1}) for setting, part in few.items()}
    study = study.model_copy(update={"samples": 1, "prompts": few})

    async def run():
        async with connect(study, live=True, base_url=standin) as endpoint:
            budget = af.Budget(usd=1000)
            collected = await af.collect(study, endpoint, tmp_path / "raw", budget=budget)
            judged = await af.judge(study.judge, endpoint, tmp_path / "raw", budget=budget)
            return collected.left + judged.left

    assert asyncio.run(run()) == ""
    assert len(list(read_records(tmp_path / "raw" / "rollouts.jsonl"))) == study.size
    assert os.path.getsize(tmp_path / "raw" / "judgements.jsonl")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block not in STUDIES])
def test_a_documented_sweep_is_planned_as_it_stands(documented, block, tmp_path, capsys):
    (tmp_path / "sweep.yaml").write_text(block)
    assert main(["sweep", "sweep.yaml", "--dry-run"]) == 0
    assert "claude-sonnet-5-5" in capsys.readouterr().out
