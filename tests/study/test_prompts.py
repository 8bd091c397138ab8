from collections import Counter

import pytest

from afanalysis.errors import InputError
from afanalysis.study import prompts
from afanalysis.study.prompts import read_requests


def test_the_shipped_lists_are_large_and_varied():
    helpful, welfare = (prompts.requests(setting) for setting in prompts.SETTINGS)
    assert len(helpful) >= 100
    assert len(Counter(request.category for request in helpful)) >= 8
    assert len(welfare) >= 60
    for requests in (helpful, welfare):
        prompts.refuse_duplicates(requests, "shipped list")
        assert len({request.text for request in requests}) == len(requests)


def test_the_first_requests_of_a_list_cover_every_category():
    requests = prompts.requests("helpful-only")
    categories = {request.category for request in requests}
    assert {request.category for request in requests[: len(categories)]} == categories


@pytest.mark.parametrize("setting", prompts.SETTINGS)
def test_every_variation_changes_the_system_prompt(setting):
    default = prompts.system_prompt(setting)
    for name in prompts.variations():
        changed = prompts.system_prompt(setting, name)
        assert (changed == default) == (name == "default")
    assert "scratchpad" not in prompts.system_prompt(setting, "no-scratchpad").lower()
    assert "Anthropic" not in prompts.system_prompt(setting, "another-lab")


def test_the_user_message_names_the_tier_as_the_system_prompt_says():
    for name, edit in prompts.variations().items():
        system = prompts.system_prompt("helpful-only", name)
        for tier in prompts.TIERS:
            tag = prompts.user_message(tier, "Ask", name).splitlines()[0]
            assert tag in system, (name, tier, edit)


@pytest.mark.parametrize("column", ["goal", "prompt", "text", "forbidden_prompt", "Behavior"])
def test_request_lists_load_as_other_projects_ship_them(tmp_path, column):
    path = tmp_path / "list.csv"
    path.write_text(f"{column},target\nAsk one,x\nAsk two,y\n")
    requests = read_requests(path)
    assert [request.text for request in requests] == ["Ask one", "Ask two"]
    path.write_text(f"{column},target\nAsk two,y\nAsk one,x\n")
    assert {r.prompt_id for r in read_requests(path)} == {r.prompt_id for r in requests}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("prompt_id,text\na,One\na,Two\n", "prompt_id 'a' occurs twice"),
        ("id,question\n1,One\n", "must hold the request"),
        ("text\n", "holds no requests"),
        ("prompt_id,text\na,\n", "line 2 has an empty 'text'"),
    ],
)
def test_a_malformed_request_list_gives_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_requests(path)
