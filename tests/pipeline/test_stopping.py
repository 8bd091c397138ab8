import asyncio

import numpy as np
import pytest

import afanalysis as af
from afanalysis.study.files import read_json
from afanalysis.study.folders import MANIFEST


def study(**fields):
    usual = {"settings": ["helpful-only"], "prompts": {"helpful-only": {"first": 40}}, "samples": 2}
    return af.Study(
        **{"name": "looked-at", "order": "prompts", "variations": ["no-examples"]} | usual | fields
    )


def collect_until(design, folder, **aim):
    async def run():
        async with af.connect(design) as endpoint:
            return await af.collect_until(design, endpoint, folder, **aim)

    return asyncio.run(run())


def test_prompts_come_in_random_order_with_all_their_answers():
    design = study(variations=["default", "no-examples"])
    plan = [rollout.prompt_id for rollout in design.plan()]
    assert len(plan) == design.size
    blocks = list(dict.fromkeys(plan))
    assert plan == list(np.repeat(blocks, 8))
    assert blocks != sorted(blocks)
    assert [rollout.prompt_id for rollout in design.plan(3)] == plan[:24]
    other = list(dict.fromkeys(rollout.prompt_id for rollout in study(seed=1).plan()))
    assert other != blocks
    assert sorted(other) == sorted(blocks)
    sent = {
        rollout.key for rollout in study(variations=["default", "no-examples"], order="samples").plan()
    }
    assert sent == {rollout.key for rollout in design.plan()}  # the order asks nothing again


@pytest.mark.slow
def test_a_study_ends_when_its_gap_is_decided_says_so_and_asks_nothing_again(tmp_path):
    design = study()
    ended = collect_until(design, tmp_path, decided=True)
    assert ended.sentences.startswith("The aim was reached with ")
    assert ended.complete
    collected = af.tidy(tmp_path)
    asked = collected["prompt_id"].nunique()
    assert ended.prompts == asked
    assert f"with {asked} of 40 prompts" in ended.sentences
    assert asked < 40
    assert len(collected) == 4 * asked
    last = af.monitor(collected).iloc[-1]
    assert last["decided"]
    assert last["warning"] == ""
    manifest = read_json(tmp_path / MANIFEST)
    assert manifest["ended"] == ended.sentences
    assert collect_until(design, tmp_path, decided=True) == ended
    assert len(af.tidy(tmp_path)) == len(collected)


@pytest.mark.slow
def test_an_aim_that_is_not_reached_is_reported(tmp_path):
    few = study(prompts={"helpful-only": {"first": 6}}, samples=1)
    ended = collect_until(few, tmp_path, width=0.05)
    assert ended.sentences.startswith("The aim was not reached with 6 of 6 prompts per setting")
    assert "no wider than 5.0 points" in ended.sentences


@pytest.mark.parametrize(
    ("fields", "aim", "sentence"),
    [({"order": "samples"}, {"decided": True}, "needs order: prompts"), ({}, {}, "nothing to stop at")],
)
def test_what_cannot_end_early_is_one_sentence(tmp_path, fields, aim, sentence):
    with pytest.raises(af.InputError, match=sentence):
        collect_until(study(**fields), tmp_path, **aim)
