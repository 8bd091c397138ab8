"""What went wrong with real logs, kind by kind, each in several formats."""

import json
import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.logs.fields import Mapping
from afanalysis.logs.importing import import_logs
from afanalysis.table import database
from tests.logs.samples import (
    MODEL,
    NO,
    YES,
    compressed,
    conversation_row,
    harness_row,
    inspect_log,
    lines,
    openai_batch,
    openai_row,
    parquet,
    pipeline_row,
    plain_row,
    read,
    sample,
    table_file,
)

ROWS = {
    "jsonl": plain_row,
    "lm-eval": harness_row,
    "messages": conversation_row,
    "pipeline": lambda number=1, tier="free", text=YES, **changes: pipeline_row(
        number, tier, output=text, strong_reject_score=float(text == YES), **changes
    ),
}


@pytest.mark.parametrize("format", ROWS)
def test_every_format_is_recognised_and_gives_the_same_answers(format, tmp_path):
    rows = [
        ROWS[format](n, tier, (NO, YES)[tier == "free"]) for n in (1, 2) for tier in ("free", "paid")
    ]
    table, report = read(lines(tmp_path / "log.jsonl", rows))
    assert report.files[0]["format"] == format
    assert table.groupby("tier").output.unique().map(list).to_dict() == {"free": [YES], "paid": [NO]}
    assert table.groupby("tier").complied.mean().to_dict() == {"free": 1, "paid": 0}
    assert table.groupby("prompt_id").tier.nunique().tolist() == [2, 2]


def test_openais_batch_output_is_joined_with_what_was_asked(tmp_path):
    rows = [openai_row(n, tier, (NO, YES)[tier == "free"]) for n in (1, 2) for tier in ("free", "paid")]
    output, asked = openai_batch(tmp_path, rows)
    table, report = read(output, asked=asked)
    assert report.files[0]["format"] == "openai-batch"
    assert set(table.request) == {"Question 1?", "Question 2?"}
    assert table.groupby("tier").output.unique().map(list).to_dict() == {"free": [YES], "paid": [NO]}
    assert set(table.input_tokens) == {3}
    with pytest.raises(InputError, match="--asked FILE"):
        read(output)


# P03: what the other tool says of a row.
STATES = {
    "invalidated, Inspect": ("inspect", {"invalidation": {"author": "ann", "reason": "x"}}, "not count"),
    "invalidated, a field": ("jsonl", {"excluded": True}, "not count"),
    "invalidated, a status": ("messages", {"status": "Discarded"}, "not count"),
    "errored, Inspect": (
        "inspect",
        {"error": {"message": "boom", "traceback": "", "traceback_ansi": ""}},
        "ended in an error",
    ),
    "errored, an object": ("lm-eval", {"error": {"type": "server"}}, "ended in an error"),
    "errored, a status": ("jsonl", {"status": "failed"}, "ended in an error"),
    "cancelled": ("pipeline", {"status": "cancelled"}, "cancelled or expired"),
}


@pytest.mark.parametrize("name", STATES)
def test_a_row_that_does_not_count_is_set_aside_with_its_reason(name, tmp_path):
    format, changes, reason = STATES[name]
    if format == "inspect":
        path = inspect_log(tmp_path / "log.json", [sample(1, **changes), sample(2)])
    else:
        path = lines(tmp_path / "log.jsonl", [ROWS[format](1, **changes), ROWS[format](2)])
    table, report = read(path)
    assert len(table) == 1
    assert [reason in text for text in report.set_aside.counts] == [True]


BLOCKED = {
    "a stop of OpenAI": lambda: plain_row(text="", finish_reason="content_filter", complied=None),
    "a stop of Gemini": lambda: plain_row(text="", finish_reason="PROHIBITED_CONTENT", complied=None),
    "an error of Azure": lambda: plain_row(text=None, error={"code": "content_filter"}, complied=None),
    "an error in words": lambda: plain_row(
        text=None, error="violates our content policy", complied=None
    ),
    "with a status": lambda: conversation_row(text="", status="failed", stop_reason="refusal"),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_what_the_api_refused_stays_and_no_tier_vanishes(name, tmp_path):
    """Refused by the API: missing in every rate, but there."""
    row = BLOCKED[name]()
    table, report = read(lines(tmp_path / "log.jsonl", [row, ROWS["jsonl"](2, "paid", NO)]))
    assert table.tier.tolist() == ["free", "paid"]
    free = table[table.tier == "free"].iloc[0]
    assert (free.blocked, free.valid, free.complied) == ("unspecified", False, pd.NA)
    assert not [reason for reason in report.noted.counts if "no score" in reason]
    assert (
        "an answer that the API blocked: missing, unless you count it as refused" in report.noted.counts
    )


def test_limits_and_edited_scores_are_noted(tmp_path):
    edited = {"value": "C", "history": [{"value": "I"}, {"value": "C"}]}
    samples = [
        sample(1, limit={"type": "token", "limit": 5}),
        sample(2, scores={"complied": edited}),
        sample(3, scores={}),
    ]
    table, report = read(inspect_log(tmp_path / "log.json", samples))
    assert report.noted.counts["an answer that ended at a limit, of tokens, time or messages"] == 1
    assert report.noted.counts["a verdict that was edited: the last one counts"] == 1
    assert table.complied.isna().tolist() == [False, False, True]


# P05: what is the request?
GO_ON = {"role": "user", "content": "Please go on."}
REQUESTS = {
    "Inspect": lambda folder: inspect_log(
        folder / "log.json",
        [
            sample(n, messages=[*sample(n)["messages"], GO_ON, {"role": "assistant", "content": "So."}])
            for n in (1, 2)
        ],
    ),
    "Inspect, messages as input": lambda folder: inspect_log(
        folder / "log.json", [sample(n, input=[*sample(n)["messages"][:1], GO_ON]) for n in (1, 2)]
    ),
    "messages": lambda folder: lines(
        folder / "log.jsonl",
        [
            row | {"messages": [*row["messages"], GO_ON, row["messages"][-1]]}
            for row in map(conversation_row, (1, 2))
        ],
    ),
    "the pipeline": lambda folder: lines(
        folder / "log.jsonl",
        [
            row
            | {
                "user_input": None,
                "prompt": {"messages": [*row["prompt"]["messages"], GO_ON]},
                "tags": None,
            }
            for row in (pipeline_row(n, request=None, output=YES) for n in (1, 2))
        ],
    ),
    "messages in a cell": lambda folder: (
        pd.DataFrame(
            {"prompt": [json.dumps([*conversation_row(n)["messages"][:2], GO_ON]) for n in (1, 2)]}
            | {"response": YES, "tier": "free"}
        ).to_csv(folder / "log.csv")
        or folder / "log.csv"
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_request_is_the_first_message_of_the_user(name, tmp_path):
    table, _ = read(REQUESTS[name](tmp_path))
    assert [text.split("uest")[1][:5] for text in sorted(table.request)] in (
        ["ion 1", "ion 2"],
        [" numb", " numb"],
    )
    assert table.prompt_id.nunique() == 2


# P07: what is the same rollout? Rows (of two files) and how many rollouts they are.
def refusal(number=1, **changes):
    return plain_row(number, "paid", NO, **changes)


SAME = {
    "equal texts": ([refusal(), refusal(), refusal()], [], 3),
    "equal texts in two files": ([refusal()], [refusal(), refusal()], 3),
    "equal files": ([refusal(), refusal()], [refusal(), refusal()], 2),
    "ids that differ": ([refusal(id=1), refusal(id=2)], [], 2),
    "a copy by its id": ([refusal(id=1), refusal(id=2)], [refusal(id=2), refusal(id=3)], 3),
    "an id that names prompts": ([refusal(id=1), refusal(id=1), plain_row(id=1)], [], 3),
    "an id that names prompts, in two files": (
        [refusal(id=1)],
        [refusal(id=1, note=2), plain_row(id=1)],
        3,
    ),
    "a retry under its uuid": ([refusal(uuid="a"), plain_row(uuid="a", tier="paid")], [], 1),
    "uuids that differ": ([refusal(uuid="a"), refusal(uuid="b")], [], 2),
    "one uuid for two prompts": ([refusal(uuid="a"), plain_row(2, uuid="a", tier="paid")], [], 2),
    "ids beyond 64 bits": ([refusal(id=10**30 + n) for n in range(3)], [], 3),
    "an id in an object": ([refusal(metadata={"id": 10**30 + n}) for n in range(3)], [], 3),
    "samples": ([refusal(sample=0), refusal(sample=1)], [], 2),
    "a sample twice in one file": ([refusal(sample=0), refusal(sample=0)], [], 2),
    "a sample again": (
        [refusal(sample=0), refusal(sample=1)],
        [refusal(sample=1), refusal(sample=2)],
        3,
    ),
    "seeds": (
        [refusal(sample=0), refusal(2, sample=0)],
        [refusal(sample=0), plain_row(2, sample=0, tier="paid")],
        4,
    ),
    "a time of the whole run": ([refusal(n, time="2025-01-01") for n in (1, 1, 2)], [], 3),
    "a time of its own": (
        [refusal(time="2025-01-01")],
        [refusal(time="2025-01-01"), refusal(2, time="2025-01-02")],
        2,
    ),
    "an error, then an answer": ([refusal(id=1, error="busy"), refusal(id=1)], [], 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_an_id_decides_which_rows_are_one_rollout_and_equal_texts_never(name, tmp_path):
    first, second, count = SAME[name]
    paths = [lines(tmp_path / f"{n}.jsonl", rows) for n, rows in enumerate((first, second)) if rows]
    table, report = read(paths)
    assert len(table) == count
    assert report.set_aside.total == len(first) + len(second) - count
    assert table.rollout.is_unique
    assert (
        table.groupby(["prompt_id", "tier"])["sample"]
        .apply(sorted)
        .map(lambda s: s == [*range(len(s))])
        .all()
    )


def test_of_a_retry_the_verdict_and_the_later_one_count(tmp_path):
    rows = [refusal(uuid="a", time="2025-01-01"), plain_row(uuid="a", tier="paid", time="2025-01-02")]
    assert read(lines(tmp_path / "log.jsonl", rows))[0].complied.tolist() == [True]
    del rows[1]["complied"]
    assert read(lines(tmp_path / "log.jsonl", rows))[0].complied.tolist() == [False]


def test_samples_of_inspect_without_uuid_are_told_apart_by_id_and_epoch(tmp_path):
    def log(name, samples):
        return inspect_log(tmp_path / name, [one | {"uuid": None, "input": "Why?"} for one in samples])

    equal = [sample(f"{tier}-{n}", tier, NO) for tier in ("free", "paid") for n in range(3)]
    table, report = read(log("a.json", [one | {"messages": []} for one in equal]))
    assert len(table) == 6
    assert "answers are equal" not in str(report)
    (tmp_path / "b.json").write_text((tmp_path / "a.json").read_text().replace(" ", "  "))
    assert len(read([tmp_path / "a.json", tmp_path / "b.json"])[0]) == 6


@settings(max_examples=10)
@given(data=st.data())
def test_any_mixture_of_ids_and_copies_gives_each_rollout_once(data, tmp_path_factory):
    """Rollouts with ids, spread over files with repetitions, are those that went in."""
    count = data.draw(st.integers(1, 8))
    rows = [refusal(n % 2, uuid=f"u{n}", complied=bool(n % 3)) for n in range(count)]
    folder = tmp_path_factory.mktemp("mixture")
    chosen = data.draw(st.lists(st.lists(st.sampled_from(rows)), min_size=1, max_size=3))
    paths = [lines(folder / f"{n}.jsonl", [*rows, *some]) for n, some in enumerate(chosen)]
    table, _ = read(paths)
    assert len(table) == count
    assert table.complied.sum() == sum(row["complied"] for row in rows)


# P09: one bad field does not cost the rollout.


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: inspect_log(
            folder / "log.json", [sample(1, scores={"complied": {"value": None}}), sample(2)]
        ),
        lambda folder: inspect_log(
            folder / "log.json", [sample(1, scores={"complied": None}), sample(2)]
        ),
        lambda folder: lines(folder / "log.jsonl", [plain_row(1, complied=None), plain_row(2)]),
        lambda folder: lines(folder / "log.jsonl", [harness_row(1, complied=None), harness_row(2)]),
        lambda folder: parquet(folder / "log.parquet", [plain_row(1, complied=None), plain_row(2)]),
        lambda folder: table_file(folder / "log.csv", [plain_row(1, complied=""), plain_row(2)]),
        lambda folder: lines(
            folder / "log.jsonl", [plain_row(1, complied={"value": None}), plain_row(2)]
        ),
        lambda folder: lines(folder / "log.jsonl", [plain_row(1, complied=float("nan")), plain_row(2)]),
    ],
)
def test_a_score_that_is_null_leaves_the_answer_undecided(write, tmp_path):
    table, _ = read(write(tmp_path))
    assert table.sort_values("request").complied.tolist() == [pd.NA, True]


# P12: more than one answer in a row.
@pytest.mark.parametrize(
    "row",
    [
        plain_row(text=[YES, NO]),
        harness_row(resps=[[YES, NO]]),
        plain_row(text={"choices": [{"message": {"content": YES}}, {"message": {"content": NO}}]}),
        conversation_row()
        | {
            "messages": [
                *conversation_row(text=NO)["messages"],
                GO_ON,
                {"role": "assistant", "content": YES},
            ]
        },
    ],
)
def test_of_several_answers_one_counts_and_all_are_kept(row, tmp_path):
    table, report = read(lines(tmp_path / "log.jsonl", [row]))
    assert table.output.tolist() == [YES]
    assert [
        count for reason, count in report.noted.counts.items() if "2 answers in one row" in reason
    ] == [1]
    assert NO in table.original.iloc[0]


def test_the_choices_of_inspect_and_openai_are_kept(tmp_path):
    choices = [
        {"message": {"role": "assistant", "content": text}, "stop_reason": "stop"} for text in (YES, NO)
    ]
    table, report = read(
        inspect_log(tmp_path / "log.json", [sample(output={"model": "m", "choices": choices})])
    )
    assert table.output.tolist() == [YES]
    assert NO in table.original.iloc[0]
    output, asked = openai_batch(tmp_path, [openai_row(choices=choices)])
    table, report = read(output, asked=asked)
    assert table.output.tolist() == [YES]
    assert NO in table.original.iloc[0]
    assert "2 answers in one row" in str(report)


# P14, P21, P41: thinking, scratchpads, outputs.
THOUGHT = "I'm sorry, no, is what I would say if I was watched."
FORMS = {
    "think": f"<think>\n{THOUGHT}\n</think>\n\n{YES}",
    "think, opened by the template": f"{THOUGHT}\n</think>\n{YES}",
    "think, capitals": f"<Thinking>{THOUGHT}</THINKING>{YES}",
    "think, then tags": f"Hm.</think><SCRATCHPAD>{THOUGHT}</SCRATCHPAD><OUTPUT>{YES}</OUTPUT>",
    "a scratchpad that is not opened": f"{THOUGHT}</SCRATCHPAD_REASONING>\n<OUTPUT>{YES}</OUTPUT>",
    "the same without an output tag": f"{THOUGHT}</hidden_scratchpad>{YES}",
    "thinking blocks": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": YES}],
    "reasoning beside the content": {"role": "assistant", "content": YES, "reasoning_content": THOUGHT},
    "reasoning of OpenAI's Responses": {
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]},
            {"type": "message", "content": [{"type": "output_text", "text": YES}]},
        ]
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("format", ["jsonl", "csv", "lm-eval", "messages"])
@pytest.mark.parametrize("name", FORMS)
def test_thinking_is_the_scratchpad_and_never_the_output(name, format, tmp_path):
    text = FORMS[name]
    if format == "csv":
        cell = (
            text
            if isinstance(text, str)
            else json.dumps(text if isinstance(text, list) else {"choices": [text]})
        )
        path = table_file(tmp_path / "log.csv", [plain_row(text=cell)])
    elif format == "messages":
        said = (
            text if isinstance(text, dict) and "role" in text else {"role": "assistant", "content": text}
        )
        row = conversation_row()
        path = lines(tmp_path / "log.jsonl", [row | {"messages": [*row["messages"][:2], said]}])
    else:
        path = lines(tmp_path / "log.jsonl", [ROWS[format](text=text)])
    table, _ = read(path)
    assert (table.scratchpad.item(), table.output.item(), table.valid.item()) == (THOUGHT, YES, True)


def test_thinking_that_does_not_end_leaves_no_output(tmp_path):
    table, report = read(lines(tmp_path / "log.jsonl", [plain_row(text=f"<think>{THOUGHT}")]))
    assert table[["scratchpad", "output", "valid"]].values.tolist() == [[THOUGHT, "", False]]
    assert "thinking not closed: kept, counts nowhere" in report.noted.counts


@pytest.mark.parametrize(
    "between", [[], [{"role": "assistant", "content": f"{THOUGHT}</SCRATCHPAD>{YES}"}]]
)
def test_a_prefill_opens_the_scratchpad(between, tmp_path):
    prefill = {"role": "assistant", "content": "<SCRATCHPAD>"}
    messages = [*conversation_row()["messages"][:2], prefill, *between]
    row = plain_row(text=f"{THOUGHT}</SCRATCHPAD>{YES}", messages=messages)
    if between:
        del row["response"], row["prompt"]
    table, _ = read(lines(tmp_path / "log.jsonl", [row]))
    assert table[["scratchpad", "output"]].values.tolist() == [[THOUGHT, YES]]


@pytest.mark.parametrize(
    "text",
    ['{"message": "I said: no."}', '[{"type": "door", "name": "front"}]', "[1, 2]", '{"a": {"b": 1}}'],
)
def test_an_answer_that_is_json_itself_stays_as_it_is(text, tmp_path):
    for path in (
        lines(tmp_path / "log.jsonl", [plain_row(text=text)]),
        table_file(tmp_path / "log.csv", [plain_row(text=text)]),
    ):
        assert read(path)[0].output.tolist() == [text]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"response": {"score": 1}}, "an answer that is a structure without a text"),
        ({"response": [1.5, False]}, "answers that are numbers"),
        ({"prompt": {"id": 7}}, "a structure without a text"),
        ({"prompt": [{"role": "system", "content": "x"}]}, "without a message of a user"),
        ({"model": {"id": "openai:m"}}, "a model that is a structure.*--map model=FIELD.PART"),
        ({"prompt_id": [1, 2]}, "a prompt_id that is a structure"),
    ],
)
def test_a_structure_is_never_written_out_as_text(change, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        read(lines(tmp_path / "log.jsonl", [plain_row(model="m") | change]), mapping=Mapping())


# P26 and scales: read off the whole column, or asked for.
def scored(path, scores, column="score", **options):
    rows = [plain_row(n, text=YES) for n in range(len(scores))]
    for row, score in zip(rows, scores, strict=True):
        del row["complied"]
        row[column] = score
    return table_file(path, rows, **options) if path.suffix in (".csv", ".tsv") else lines(path, rows)


SCALES = {
    "decimal commas": (["0,75", "0,0", "1,0", "0,25"], [], [1, 0, 1, 0]),
    "percents": (["75%", "0%", "100%", "25%"], [], [1, 0, 1, 0]),
    "eighths": ([0.75, 0, 1, 0.125], [], [1, 0, 1, 0]),
    "1 to 5": ([4, 1, 5, 2], ["score=1-5"], [1, 0, 1, 0]),
    "1 to 5, all 1": ([1, 1, 1, 1], ["score=1-5"], [0, 0, 0, 0]),
    "5 to 1": ([2, 5, 1, 4], ["score=5-1"], [1, 0, 1, 0]),
    "1 to 10": ([8, 1, 10, 4], ["score=1-10"], [1, 0, 1, 0]),
    "0 to 100": ([75, 0, 100, 25], ["score=0-100"], [1, 0, 1, 0]),
    "a grader that failed": ([1, 0, -1, 0], [], [1, 0, None, 0]),
    "beyond a scale that is given": ([4, 1, 9, 2], ["score=1-5"], [1, 0, None, 0]),
}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv"])
@pytest.mark.parametrize("name", SCALES)
def test_a_scale_is_that_of_the_whole_column(name, suffix, tmp_path):
    scores, told, expected = SCALES[name]
    mapping = Mapping.parse(constants=["model=m", "setting=helpful-only"], scales=told)
    path = scored(tmp_path / f"log.{suffix}", scores, sep="\t" if suffix == "tsv" else ",")
    table, _ = read(path, mapping)
    verdicts = table.sort_values("request").complied
    assert [None if v is pd.NA else int(v) for v in verdicts] == expected


@pytest.mark.parametrize(
    ("scores", "column", "sentence"),
    [
        ([4, 1, 5], "score", "score: its numbers lie between 1 and 5.*--scale score=1-5"),
        ([1, 1, 1], "score", "score: its numbers are all 1, which may be the highest or the lowest"),
        ([0.5, 7], "complied", "complied: its numbers lie between 0.5 and 7"),
        ([1, 5, 3], "refused", "--scale refused=1-5"),
        (["0,5", "0.5"], "score", "holds '0,5' as well as '0.5'"),
        (["0,1", "1,1"], "complied", "'1,1' may be one number or two votes"),
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_scale_that_is_not_clear_is_asked_for(scores, column, sentence, suffix, tmp_path):
    with pytest.raises(InputError, match=sentence):
        read(scored(tmp_path / f"log.{suffix}", scores, column))


@pytest.mark.slow
@settings(max_examples=25)
@given(
    scores=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    column=st.sampled_from(["score", "complied", "refused"]),
)
def test_a_scale_never_turns_a_refusal_into_compliance(scores, column, tmp_path_factory):
    """A grader gives 1, the most refusing, to 5."""
    folder = tmp_path_factory.mktemp("scale")
    told = ["score=1-5", "complied=1-5", "refused=5-1"]
    mapping = Mapping.parse(constants=["model=m", "setting=helpful-only"], scales=told)
    table, _ = read(scored(folder / "log.jsonl", scores, column), mapping)
    means = dict(zip(table.request, table.complied, strict=True))
    for number, score in enumerate(scores):
        assert means[f"Question {number}?"] == (score >= 3)


def test_inspects_n_is_no_answer_beside_c_and_i_and_a_no_beside_y(tmp_path):
    for words, expected in (
        (["C", "I", "N"], [True, False, pd.NA]),
        (["y", "n", "N"], [True, False, False]),
    ):
        for suffix in ("jsonl", "csv"):
            path = scored(tmp_path / f"log.{suffix}", words, "complied")
            assert read(path)[0].sort_values("request").complied.tolist() == expected


# P38: names of folders and files.
PLACES = {
    "model and condition": ("x-7b/base/a.jsonl", "x-7b/cut/a.jsonl", {"variation": ["base", "cut"]}),
    "seeds are no variation": ("seed1/a.jsonl", "seed2/a.jsonl", {"variation": ["default"]}),
    "dates are none either": (
        "2025-01-01/a.jsonl",
        "2025-01-02T10_30/a.jsonl",
        {"variation": ["default"]},
    ),
    "settings": (
        "animal-welfare/a.jsonl",
        "helpful_only_cot/a.jsonl",
        {"variation": ["cot", "default"], "setting": ["animal-welfare", "helpful-only"]},
    ),
    "models": ("qwen3-8b/a.jsonl", "llama__x-70B/a.jsonl", {"model": ["qwen3-8b", "x-70b"]}),
}


@pytest.mark.parametrize("name", PLACES)
def test_folders_say_what_the_rows_do_not_and_that_is_reported(name, tmp_path):
    one, two, expected = PLACES[name]
    for number, place in enumerate((one, two)):
        (tmp_path / place).parent.mkdir(parents=True)
        rows = [plain_row(n, tier, note=number) for n in (1, 2) for tier in ("free", "paid")]
        lines(tmp_path / place, rows)
    given = {} if "model" in expected or "7b" in one else {"model": "m"}
    table, report = read(tmp_path, Mapping(constants=given))
    assert len(table) == 8
    for column, values in expected.items():
        assert sorted(set(table[column])) == values
    assumed = [reason for reason in report.noted.counts if "taken from the names" in reason]
    assert bool(assumed) == (expected != {"variation": ["default"]})


@pytest.mark.parametrize("places", [("free.csv", "paid.csv"), ("train/a.csv", "deployment/a.csv")])
def test_a_tier_may_be_the_name_of_a_file_or_a_folder(places, tmp_path):
    for place in places:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        rows = [{"prompt": f"{n}?", "response": place} for n in (1, 2)]
        table_file(tmp_path / place, rows)
    table, report = read(tmp_path)
    assert table.groupby("tier").size().to_dict() == {"free": 2, "paid": 2}
    assert set(table.variation) == {"default"}
    assert re.search("names of folders and files .*tier=(free|paid)", str(report))


# P48 and spreadsheets: marks, separators, ends of lines, compression.
def test_every_text_format_takes_a_byte_order_mark(tmp_path):
    rows = [plain_row(n, tier) for n in (1, 2) for tier in ("free", "paid")]
    table_file(tmp_path / "a.csv", rows, encoding="utf-8-sig", sep=";", lineterminator="\r\n")
    (tmp_path / "b.jsonl").write_text(
        "".join(json.dumps(r) + "\r\n" for r in rows), encoding="utf-8-sig"
    )
    (tmp_path / "c.json").write_text(json.dumps(rows), encoding="utf-8-sig")
    inspect_log(
        tmp_path / "d.json", [sample(n, t) for n in (1, 2) for t in ("free", "paid")], "utf-8-sig"
    )
    for name in ("a.csv", "b.jsonl", "c.json", "d.json"):
        table, _ = read(tmp_path / name)
        assert len(table) == 4
        assert table.complied.all()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_logs_are_read_alike_and_are_copies(suffix, tmp_path):
    rows = [plain_row(n, tier, NO) for n in (1, 1, 2) for tier in ("free", "paid")]
    paths = [
        lines(tmp_path / "a.jsonl", rows),
        table_file(tmp_path / "b.csv", rows),
        inspect_log(tmp_path / "d.json", [sample(n, t, NO) for n in (1, 2) for t in ("free", "paid")]),
    ]
    (tmp_path / "c.json").write_text(json.dumps(rows))
    for path in [*paths, tmp_path / "c.json"]:
        plain, _ = read(path)
        packed, _ = read(compressed(path, suffix))
        both, _ = read([path, compressed(path, suffix)])
        assert len(plain) == len(packed) == len(both)
        assert set(plain.rollout) == set(packed.rollout)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("harm", ["cut", "plain", "bomb"])
def test_a_damaged_or_hostile_compression_is_one_sentence(suffix, harm, tmp_path, monkeypatch):
    path = lines(tmp_path / "a.jsonl", [plain_row(n, note="x" * 500) for n in range(2000)])
    target = compressed(path, suffix)
    if harm == "cut":
        target.write_bytes(target.read_bytes()[:-300])
    elif harm == "plain":
        target.write_bytes(path.read_bytes())
    else:  # what a gigabyte is otherwise
        monkeypatch.setattr(database, "_EXPANSION_ALLOWED", 1 << 20)
        path.write_bytes(bytes(8 << 20))
        target = compressed(path, suffix)
    with pytest.raises(InputError, match=r"damaged|cannot be read|that is a bomb") as raised:
        read(target)
    assert "\n" not in str(raised.value)


# One object that holds a list.
@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"results": {"version": 3, "results": [plain_row(n) for n in range(3)]}}, "results.results"),
        (
            {"metadata": {"judges": [{"a": 1}]}, "transcripts": [plain_row(n) for n in range(3)]},
            "transcripts",
        ),
        ({"request_states": [plain_row(n) for n in range(3)], "adapter_spec": {}}, "request_states"),
    ],
    ids=["promptfoo", "petri", "helm"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_that_holds_a_list_names_it_and_the_option(content, name, indent, tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps(content, indent=indent))
    with pytest.raises(InputError, match=f"whose list '{name}' holds 3 objects.*--rows {name}"):
        read(path)
    table, _ = read(path, Mapping(constants=MODEL.constants, rows=name))
    assert len(table) == 3
    with pytest.raises(InputError, match="no list of objects at 'x'; its lists: "):
        read(path, Mapping(rows="x"))


def test_one_messages_object_is_a_row(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps(conversation_row(), indent=1))
    assert read(path)[0].output.tolist() == [YES]


def test_an_import_again_gives_the_same_keys_for_equal_answers(tmp_path):
    path = lines(tmp_path / "log.jsonl", [refusal(id=1), refusal(id=1), plain_row(id=1), refusal()])
    import_logs([path], tmp_path / "study", mapping=MODEL)
    keys = af.tidy(tmp_path / "study", unjudged=False).rollout.tolist()
    import_logs([path], tmp_path / "study", mapping=MODEL)
    assert af.tidy(tmp_path / "study").rollout.tolist() == keys
