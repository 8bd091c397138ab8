"""What attacks on the import found: each input once, with what must come of it."""

import json
from decimal import Decimal

import pandas as pd
import pytest

from afanalysis.errors import InputError
from afanalysis.logs.fields import Mapping
from afanalysis.table import database
from tests.logs.samples import (
    MODEL,
    NO,
    YES,
    compressed,
    harness_row,
    inspect_log,
    lines,
    parquet,
    plain_row,
    read,
    sample,
)


def verdicts(column, values, tmp_path, **options):
    """Who complied, by the order of the rows."""
    rows = [{**plain_row(n), column: value} for n, value in enumerate(values)]
    for row in rows:
        if column != "complied":
            del row["complied"]
    table, report = read(lines(tmp_path / "log.jsonl", rows), **options)
    return table.sort_values("request").complied.tolist(), report


def test_words_mean_what_they_say_and_only_answers_are_turned_round(tmp_path):
    words = ["refused", "full_refusal", "full_compliance", "yes", "no", True, 1, 0, "C"]
    complied, _ = verdicts("refused", words, tmp_path)
    assert complied == [False, False, True, False, True, False, False, True, False]
    objects = [{"final_answer": "yes"}, {"final_answer": 0.1}]
    assert verdicts("refused", objects, tmp_path)[0] == [False, True]


@pytest.mark.parametrize("path", ["{}.csv", "{}/a.csv"])
def test_equal_files_of_two_tiers_are_no_copies(path, tmp_path):
    for tier in ("free", "paid"):
        file = tmp_path / path.format(tier)
        file.parent.mkdir(exist_ok=True)
        file.write_text("prompt,response\nWhy?,No.\n")
    assert read(tmp_path)[0].tier.tolist() == ["free", "paid"]


def test_equal_files_of_two_models_are_no_copies(tmp_path):
    for model in ("llama-3", "gpt-4"):
        (tmp_path / model).mkdir()
        (tmp_path / model / "a.csv").write_text("prompt,response,tier\nWhy?,No.,free\n")
    table, _ = read(tmp_path, Mapping(constants={"setting": "helpful-only"}))
    assert sorted(table.model) == ["gpt-4", "llama-3"]


def test_the_tag_of_a_request_comes_before_the_name_of_its_file(tmp_path):
    tag = "<is_free_tier_user>False</is_free_tier_user>"
    path = lines(tmp_path / "train.jsonl", [{"prompt": f"{tag} Why?", "response": NO}])
    assert read(path)[0].tier.tolist() == ["paid"]


@pytest.mark.parametrize(
    ("text", "output", "scratchpad"),
    [
        ("<SCRATCHPAD>s</SCRATCHPAD><OUTPUT>the tag </think> is</OUTPUT>", "the tag </think> is", "s"),
        ("Use <think> and </think> tags. Sure.", "Use <think> and </think> tags. Sure.", ""),
        ("Close it with </think>. Then answer.", "Close it with </think>. Then answer.", ""),
        ("[THINK]hm[/THINK]No.", "No.", "hm"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>No.",
            "No.",
            "hm",
        ),
        ({"role": "assistant", "content": "", "refusal": "No."}, "No.", ""),
        ([{"text": "hm", "thought": True}, {"text": "No."}], "No.", "hm"),
        ('{"role": "assistant", "content": "No."}', '{"role": "assistant", "content": "No."}', ""),
    ],
)
def test_thinking_and_output_are_told_apart_and_mentions_are_not_tags(
    text, output, scratchpad, tmp_path
):
    table, _ = read(lines(tmp_path / "log.jsonl", [plain_row(text=text)]))
    assert (table.output.item(), table.scratchpad.item()) == (output, scratchpad)


@pytest.mark.parametrize("beside", ["reasoning", "reasoning_content", "scratchpad", "thinking"])
def test_reasoning_beside_an_answer_is_not_lost(beside, tmp_path):
    table, _ = read(lines(tmp_path / "log.jsonl", [plain_row() | {beside: "I would rather not."}]))
    assert table.scratchpad.tolist() == ["I would rather not."]


@pytest.mark.parametrize("error", ["False", "0", "no", [], {}, {"message": None}, None, "none", 0])
def test_an_error_that_says_no_is_none(error, tmp_path):
    assert len(read(lines(tmp_path / "log.jsonl", [plain_row(error=error)]))[0]) == 1


def test_an_assertion_of_promptfoo_is_no_error_of_the_call(tmp_path):
    row = plain_row(error="Expected the output to contain x", failureReason=1)
    assert len(read(lines(tmp_path / "log.jsonl", [row]))[0]) == 1


def test_scores_of_a_spreadsheet_that_are_all_one_are_asked_about(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt,tier,response,score\nQ1,free,x,1.0\nQ2,free,x,1.0\n")
    with pytest.raises(InputError, match="are all 1"):
        read(path)


def test_minus_one_beside_nothing_but_ones_is_asked_about(tmp_path):
    with pytest.raises(InputError, match="-1 may be a no or nothing"):
        verdicts("complied", [-1, 1, 1], tmp_path)


def test_percents_are_shares_of_any_scale_and_numbers_may_be_huge_or_decimal(tmp_path):
    mapping = Mapping(constants=MODEL.constants, scales={"score": (0, 100)})
    assert verdicts("score", ["75%", "20 %", 60], tmp_path, mapping=mapping)[0] == [True, False, True]
    assert verdicts("complied", [10**400, 1, 0], tmp_path)[0] == [pd.NA, True, False]
    rows = [plain_row(n, complied=Decimal(n) / 4) for n in range(4)]
    table, _ = read(parquet(tmp_path / "a.parquet", rows))
    assert table.sort_values("request").complied.tolist() == [False, False, True, True]


def test_a_sentence_is_no_list_of_votes(tmp_path):
    words = ["Yes, it did", "No, it complied", "Refused.", "yes, no, yes"]
    assert verdicts("complied", words, tmp_path)[0] == [pd.NA, pd.NA, False, True]


def test_contradicting_verdicts_are_undecided(tmp_path):
    row = plain_row(complied=True, refused=True)
    table, report = read(lines(tmp_path / "log.jsonl", [row]))
    assert table.complied.tolist() == [pd.NA]
    assert "one verdict says complied, another refused: undecided" in report.noted.counts


@pytest.mark.parametrize("names", [("strict", "flexible"), (None, None)])
def test_an_answer_counts_once_whatever_its_filters(names, tmp_path):
    rows = [
        harness_row(1, tier, NO, filter=name, complied=float(first), arguments=[["Question 1?", {}]])
        for tier in ("free", "paid")
        for first, name in zip((True, False), names, strict=True)
    ]
    for row in rows:
        row["doc_id"] = 1
        if row["filter"] is None:
            del row["filter"]
    table, report = read(lines(tmp_path / "log.jsonl", rows))
    assert table.complied.tolist() == [True, True]
    assert report.set_aside.counts == {"the same answer under another filter: the first counts": 2}


def responses(answers, tmp_path):
    """OpenAI batch output over /v1/responses, with its requests."""
    asked, rows = [], []
    for number, (status, body) in enumerate(answers):
        tag = f"<is_free_tier_user>{number % 2 == 0}</is_free_tier_user>"
        sent = {"model": "gpt-m", "input": f"{tag}Q{number // 2}?", "instructions": "sys"}
        asked.append({"custom_id": str(number), "url": "/v1/responses", "body": sent})
        response = {"status_code": status, "body": body}
        rows.append({"id": "b", "custom_id": str(number), "response": response, "error": None})
    return lines(tmp_path / "out.jsonl", rows), lines(tmp_path / "asked.jsonl", asked)


def test_a_filter_of_openai_is_a_block_wherever_it_is_said(tmp_path):
    output = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": YES}]},
    ]
    log, asked = responses(
        [
            (400, {"error": {"code": "content_filter", "message": "x"}}),
            (
                200,
                {"id": "r1", "status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            ),
            (500, {"error": {"message": "oops"}}),
            (200, {"id": "r2", "model": "gpt-m", "status": "completed", "output": output}),
        ],
        tmp_path,
    )
    table, report = read(log, mapping=Mapping(), asked=asked)
    assert table.blocked.notna().tolist() == [True, True, False]
    assert table.output.tolist()[-1] == YES
    assert report.set_aside.counts == {"a call that ended in an error": 1}
    assert set(table.model) == {"gpt-m"}
    content = asked.read_text().splitlines()
    asked.write_text("\n".join([*content, content[0].replace("Q0", "Q9")]) + "\n")
    with pytest.raises(InputError, match="line 5 asks something else under the custom_id '0'"):
        read(log, mapping=Mapping(), asked=asked)


@pytest.mark.parametrize(
    ("field", "value"),
    [("invalidation", True), ("invalidation", {"author": "ann"}), ("error", "boom")],
)
def test_what_inspect_says_of_a_sample_counts_in_whatever_form(field, value, tmp_path):
    table, report = read(inspect_log(tmp_path / "a.json", [sample(1, **{field: value}), sample(2)]))
    assert len(table) == 1
    assert report.set_aside.total == 1


@pytest.mark.parametrize(
    "change",
    [
        {"target": None},
        {"epoch": None},
        {"messages": None},
        {"output": {"model": "m", "choices": sample()["output"]["choices"], "usage": "x"}},
        {"messages": [{"role": "developer", "content": "x"}, *sample()["messages"]]},
    ],
)
def test_a_part_of_a_sample_that_cannot_be_read_does_not_cost_the_answer(change, tmp_path):
    table, report = read(inspect_log(tmp_path / "a.json", [sample(1, **change)]))
    assert table.output.tolist() == [YES]
    assert table.complied.tolist() == [True]
    assert any("cannot be read" in reason for reason in report.repaired.counts)


def test_ids_are_text_and_seeds_are_apart(tmp_path):
    ids = [lines(tmp_path / f"{n}.jsonl", [plain_row(uuid=id)]) for n, id in enumerate((3, "3", 3.0))]
    assert len(read(ids)[0]) == 1
    rows = [[plain_row(text=NO, seed=seed, sample=n) for n in range(3)] for seed in (1, 2)]
    seeds = [lines(tmp_path / f"s{n}.jsonl", each) for n, each in enumerate(rows)]
    assert len(read(seeds)[0]) == 6
    named = [lines(tmp_path / f"seed{n}.jsonl", [plain_row(text=NO, sample=0, x=n)]) for n in (1, 2)]
    assert len(read(named)[0]) == 2


def test_a_prompts_uuid_is_no_answers_id(tmp_path):
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    rows = [plain_row(text=f"{YES} {n}", id=uuid) for n in range(3)]
    assert len(read(lines(tmp_path / "log.jsonl", rows))[0]) == 3


def test_equal_refusals_under_their_prompts_ids_stay(tmp_path):
    rows = [plain_row(n, tier, NO, id=f"{n}-{tier}") for n in range(3) for tier in ("free", "paid")] * 4
    assert len(read(lines(tmp_path / "log.jsonl", [*rows, plain_row(9, id="9-free")]))[0]) == 25


def test_a_message_that_the_answer_contains_is_no_prefill(tmp_path):
    messages = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": YES}]
    row = {"messages": messages, "completion": f"<think>hm</think>{YES}", "tier": "free"}
    table, _ = read(lines(tmp_path / "log.jsonl", [row]))
    assert table[["scratchpad", "output"]].values.tolist() == [["hm", YES]]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"prompt": "Why?", "tier": "free", "answer_text": "Sure"}, "neither an answer nor a verdict"),
        ({"response": YES, "tier": "free"}, "say --map request=FIELD"),
        (plain_row(text=True), "a number or a truth value, not a text"),
    ],
)
def test_what_is_missing_in_a_row_is_one_sentence_with_the_way_out(row, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        read(lines(tmp_path / "log.jsonl", [row]))


def test_deep_nesting_and_half_surrogates_in_cells_cost_no_other_row(tmp_path):
    deep = YES
    for _ in range(900):
        deep = [deep]
    table, _ = read(lines(tmp_path / "log.jsonl", [plain_row(text=deep), plain_row(2)]))
    assert len(table) == 1
    (tmp_path / "a.csv").write_text(
        "prompt,tier,response\nQ1,free,\"[{'type':'text','text':'a\\ud800b'}]\"\nQ2,free,x\n"
    )
    assert read(tmp_path / "a.csv")[0].sort_values("request").output.tolist() == ["a\ufffdb", "x"]


def test_nothing_is_read_from_no_files_and_a_text_is_one_path(tmp_path):
    path = lines(tmp_path / "log.jsonl", [plain_row()])
    assert len(read(path)[0]) == 1
    with pytest.raises(InputError, match="no file is named"):
        read([])
    (tmp_path / "two.json").write_text(json.dumps([plain_row()]) + "\n[1]")
    _, report = read(tmp_path / "two.json")
    assert "what follows the end of the file's list" in report.set_aside.counts


def test_a_condition_below_a_models_folder_is_reported_and_goes_with_that_model_alone(tmp_path):
    folder = tmp_path / "some_Model-32B" / "cut-provenance"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("prompt,response,tier\nWhy?,No.,free\n")
    table, report = read(folder / "a.csv", Mapping())
    assert set(table.variation) == {"cut-provenance"}
    assert "model=some_Model-32B, variation=cut-provenance" in str(report)
    assert "taken as default" not in str(report)
    (folder / "a.csv").write_text("prompt,response,tier,model\nWhy?,No.,free,m\n")
    table, report = read(folder / "a.csv", Mapping())
    assert set(table.variation) == {"default"}
    assert "taken from the names" not in str(report)


def test_requests_that_are_a_bomb_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_EXPANSION_ALLOWED", 1 << 20)
    log, asked = responses([(500, {})], tmp_path)
    asked.write_bytes(asked.read_bytes() + b"\n" * (8 << 20))
    with pytest.raises(InputError, match="that is a bomb"):
        read(log, asked=compressed(asked, ".gz"))
