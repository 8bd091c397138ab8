import json
import os
import subprocess
import sys

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.study.tidying import current_rollouts, tidy, write_tidy
from afanalysis.table.schema import SCHEMA


def test_the_tidy_table_has_the_contracted_columns(collected, small_study):
    rollouts = af.load(collected)
    assert list(rollouts.columns) == list(SCHEMA)
    assert len(rollouts) == small_study.size
    assert set(rollouts["source"]) == {"simulated"}
    assert (rollouts["complied"] == ~rollouts["refused"]).all()
    assert rollouts.loc[~rollouts["complied"], "af_reasoning"].eq(0).all()


def raw_folder(folder, *verdicts, **more):
    """A raw folder with one rollout per verdict (complied, af_full, af_partial)."""
    rollouts, votes = [], []
    for number, verdict in enumerate(verdicts):
        rollout = {"key": f"{number:032x}", "setting": "helpful-only", "variation": "default"}
        rollout |= {"model": "m", "tier": "free", "prompt_id": f"p{number}", "sample": 0, "valid": True}
        rollouts.append(rollout | {"source": "live", "stop_reason": "end_turn", "output": "x"} | more)
        vote = {"key": f"{number:032x}", "rollout": f"{number:032x}", "judge": "m@1", "vote": 0}
        votes.append(vote | dict(zip(("complied", "af_full", "af_partial"), verdict, strict=True)))
    for name, rows in (("rollouts", rollouts), ("judgements", votes)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    return folder


def test_af_reasoning_is_the_papers_measure(tmp_path):
    verdicts = {
        (True, True, True): 1.0,
        (True, False, True): 0.5,
        (True, False, False): 0.0,
        (False, True, True): 0.0,
        (None, True, True): None,
        (True, None, True): None,
        (True, None, None): None,
        (False, None, None): None,  # nobody looked at the scratchpad
    }
    table = tidy(raw_folder(tmp_path, *verdicts))
    assert [None if value is pd.NA else value for value in table["af_reasoning"]] == list(
        verdicts.values()
    )


@pytest.mark.parametrize(("recorded", "category"), [({}, "unspecified"), ({"blocked": "bio"}, "bio")])
def test_a_blocked_answer_is_missing_unless_it_is_to_count_as_refused(tmp_path, recorded, category):
    """A folder of an older version says `valid` and names no category."""
    folder = raw_folder(tmp_path, (True, True, True), stop_reason="refusal", **recorded)
    outcomes = ["complied", "refused", "af_full", "af_partial", "af_reasoning", "af_stage", "judge"]
    missing = tidy(folder)
    assert missing[outcomes].isna().all(axis=None)
    assert missing[["blocked", "valid"]].to_numpy().tolist() == [[category, False]]
    (row,) = tidy(folder, blocked="refused").to_dict("records")
    assert [row[name] for name in outcomes if name != "af_stage"] == [
        False,
        True,
        False,
        False,
        0,
        "stop_reason",
    ]
    assert row["af_stage"] is None  # it has no scratchpad
    assert (row["blocked"], row["valid"]) == (category, True)
    (folder / "manifest.json").write_text('{"study": {"blocked": "refused"}}')
    assert tidy(folder).to_dict("records") == [row]


def test_how_blocked_answers_count_is_one_of_two_words(tmp_path):
    folder = raw_folder(tmp_path, (True, True, True))
    with pytest.raises(InputError, match="blocked is 'gone'; use 'missing' or 'refused'"):
        tidy(folder, blocked="gone")


def test_thinking_that_was_not_returned_is_no_verdict_on_reasoning(tmp_path):
    unseen = {"scratchpad_from": "thinking", "scratchpad": ""}
    table = tidy(raw_folder(tmp_path, (True, False, False), (False, False, False), **unseen))
    assert table["complied"].tolist() == [True, False]
    assert set(table["scratchpad_from"]) == {"thinking"}
    assert table[["af_full", "af_partial", "af_reasoning", "af_stage"]].isna().all(axis=None)
    seen = tidy(raw_folder(tmp_path, (True, False, False), **unseen | {"scratchpad": "Thoughts."}))
    assert seen["af_reasoning"].tolist() == [0.0]


def spoil(folder, name, line, content):
    """Replace a line of a journal by bytes."""
    lines = (folder / name).read_bytes().splitlines(keepends=True)
    lines[line] = content(lines[line])
    (folder / name).write_bytes(b"".join(lines))


@pytest.mark.parametrize("line", [0, 2, 4])
def test_half_a_surrogate_pair_is_read_wherever_it_stands(tmp_path, line):
    """T3: what is stored already is read."""
    raw_folder(tmp_path, *[(True, False, False)] * 5)
    spoil(
        tmp_path,
        "rollouts.jsonl",
        line,
        lambda text: text.replace(b'"x"', b'"a\\ud83d b \\ud83d\\ude00"'),
    )
    table = tidy(tmp_path)
    assert table["output"].tolist() == ["x"] * line + ["a\ufffd b \U0001f600"] + ["x"] * (4 - line)
    af.load(write_tidy(tmp_path, tmp_path / "t.parquet"))
    assert len(list(current_rollouts(tmp_path, ["key"]))) == 5


@pytest.mark.parametrize("name", ["rollouts.jsonl", "judgements.jsonl"])
@pytest.mark.parametrize("line", [0, 2, 4])
def test_a_damaged_line_is_named_wherever_it_stands(tmp_path, name, line):
    """S10: tidying."""
    raw_folder(tmp_path, *[(True, False, False)] * 5)
    for content, sentence in (
        (lambda text: text.replace(b'"m', b'"\xff', 1), "is not JSON"),
        (lambda text: b"{}x\n", "is not JSON"),
        (lambda text: b"[1]\n", "is not a JSON object"),
    ):
        raw_folder(tmp_path, *[(True, False, False)] * 5)
        spoil(tmp_path, name, line, content)
        with pytest.raises(InputError, match=rf"{name}: line {line + 1} {sentence}"):
            tidy(tmp_path)
    with pytest.raises(InputError, match=rf"{name}: line {line + 1} is not a JSON object"):
        write_tidy(tmp_path, tmp_path / "t.parquet")
    assert not list(tmp_path.glob("t.parquet*"))


@pytest.mark.parametrize("name", ["rollouts.jsonl", "judgements.jsonl"])
def test_a_torn_last_line_is_named(tmp_path, name):
    """S10: each file's own remedy."""
    raw_folder(tmp_path, *[(True, False, False)] * 5)
    spoil(tmp_path, name, 4, lambda text: text[:40])
    with pytest.raises(InputError, match=rf"{name}: line 5 is torn"):
        tidy(tmp_path)


@pytest.mark.parametrize(
    ("name", "field", "sentence"),
    [
        ("rollouts.jsonl", "key", r"rollouts\.jsonl: line 2 has no 'key'"),
        ("rollouts.jsonl", "sample", r"rollouts\.jsonl: line 2 has no 'sample'"),
        ("rollouts.jsonl", "valid", r"rollouts\.jsonl: line 2 has no 'valid'"),
        ("judgements.jsonl", "judge", r"judgements\.jsonl: line 2 has no 'judge'"),
        ("judgements.jsonl", "rollout", r"judgements\.jsonl: line 2 has no 'rollout'"),
    ],
)
def test_a_line_that_lacks_what_it_needs_is_named(tmp_path, name, field, sentence):
    """S10: never a KeyError."""
    raw_folder(tmp_path, *[(True, False, False)] * 3)

    def without(line):
        record = json.loads(line)
        del record[field]
        return json.dumps(record).encode() + b"\n"

    spoil(tmp_path, name, 1, without)
    for make in (tidy, lambda folder: write_tidy(folder, folder / "t.parquet")):
        with pytest.raises(InputError, match=f"{sentence}; remove the line"):
            make(tmp_path)
    assert not list(tmp_path.glob("t.parquet*"))


def test_the_names_of_a_folder_are_not_patterns(tmp_path):
    """S4: studies."""
    folders = [tmp_path / name for name in ("a[1]", "a1", "a?", "it's", "*")]
    for number, folder in enumerate(folders):
        folder.mkdir()
        raw_folder(folder, (True, False, False), model=f"m{number}")
    for number, folder in enumerate(folders):
        assert tidy(folder)["model"].tolist() == [f"m{number}"]
        table = af.load(write_tidy(folder, folder / "*.parquet"))
        assert table["model"].tolist() == [f"m{number}"]


@pytest.mark.parametrize(
    "manifest",
    [
        {"current": current}
        for current in (
            [],
            "x",
            {},
            {"sampling": 1, "systems": [], "requests": []},
            {"systems": {"a": {}}},
        )
    ]
    + [{"study": None}, {"study": []}, {"study": "x"}],
)
def test_a_manifest_of_another_form_gives_one_sentence(tmp_path, manifest):
    """S10: the manifest."""
    raw_folder(tmp_path, (True, False, False))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"manifest\.json: is damaged"):
        tidy(tmp_path)


@pytest.mark.parametrize("name", ["rollouts.jsonl", "judgements.jsonl", "labels.csv", "manifest.json"])
def test_a_pipe_in_the_place_of_a_file_does_not_hang(tmp_path, name):
    """S5: studies."""
    raw_folder(tmp_path, (True, False, False))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is a device or pipe"):
        tidy(tmp_path)


_TIDY = """
import resource, sys
import afanalysis as af
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
af.write_tidy(sys.argv[1], sys.argv[1] + "/rollouts.parquet")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_a_large_study_is_tidied_in_little_memory(project, tmp_path, monkeypatch):
    """T6: 100 000 rollouts with their votes took 1.28 GB as Python objects."""
    monkeypatch.syspath_prepend(project / "benchmarks")
    from tidying import write_study

    write_study(tmp_path, 100_000)
    code = [sys.executable, "-c", _TIDY, str(tmp_path)]
    done = subprocess.run(code, capture_output=True, text=True, cwd=project)
    assert int(done.stdout) < 500, done.stderr  # MB
    assert len(pd.read_parquet(tmp_path / "rollouts.parquet", columns=["complied"])) == 100_000
