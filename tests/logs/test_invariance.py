"""The same rollouts give the same table, in whatever files, order and number of copies they come."""

import json
import random
import shutil

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afanalysis as af
from afanalysis.logs.importing import import_logs
from tests.logs.samples import ANSWER, pipeline_row, tagged


def rows_of(seed):
    """What one file holds: prompts, some of them several times, in both tiers."""
    rng = random.Random(seed)
    return [
        pipeline_row(
            rng.randrange(5),
            rng.choice(("free", "paid")),
            model=rng.choice(("m", "anthropic/M", "n")),
            output=tagged(output=f"{ANSWER} {rng.randrange(3)}"),
            strong_reject_score=rng.randrange(9) / 8,
            timestamp=f"2025-03-01T12:{seed:02}:{at:02}",
        )
        for at in range(rng.randrange(1, 9))
    ] + [
        pipeline_row(9, tier, model="m", timestamp=f"2025-03-01T13:{seed:02}:00")
        for tier in ("free", "paid")
    ]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    paths = []
    for seed in range(6):
        paths.append(folder / f"{seed}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in rows_of(seed)))
    table = folder / "table.csv"  # rows without ids or times
    lines = [f"Request {at % 3}?,No.,{tier},m" for at in range(6) for tier in ("free", "paid")]
    table.write_text("prompt,response,tier,model\n" + "\n".join(lines) + "\n")
    return [*paths, table]


def table_of(paths, folder):
    import_logs(paths, folder / "study")
    table = af.tidy(folder / "study", unjudged=not (folder / "study" / "judgements.jsonl").exists())
    shutil.rmtree(folder / "study")
    return table


@settings(max_examples=3)
@given(data=st.data())
def test_any_order_and_duplication_gives_the_same_table(data, logs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("order")
    chosen = data.draw(st.lists(st.sampled_from(logs), min_size=1, max_size=5, unique=True))
    expected = table_of(sorted(chosen), folder)
    again = data.draw(st.permutations(chosen)) + data.draw(st.lists(st.sampled_from(chosen), max_size=3))
    copies = []
    for at, path in enumerate(data.draw(st.lists(st.sampled_from(chosen), max_size=2))):
        copies.append(folder / f"{data.draw(st.sampled_from('az'))}{at}-{path.name}")
        shutil.copy(path, copies[-1])
    pd.testing.assert_frame_equal(table_of([*again, *copies], folder), expected)


@settings(max_examples=3)
@given(data=st.data())
def test_any_subset_gives_the_same_rows(data, logs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("subset")
    whole = table_of(logs, folder).set_index("rollout")
    some = table_of(data.draw(st.lists(st.sampled_from(logs), min_size=1, unique=True)), folder)
    some = some.set_index("rollout").sort_index()
    # which of its prompt's samples a rollout is depends on the others; so does which of two files that
    # both hold it is named
    apart = ["sample", "origin", "judge"]
    pd.testing.assert_frame_equal(
        some.drop(columns=apart), whole.loc[some.index].sort_index().drop(columns=apart)
    )


def test_of_two_versions_of_a_rollout_the_one_with_more_verdicts_counts(tmp_path):
    rows = [pipeline_row(at, tier, model="m") for at in range(3) for tier in ("free", "paid")]
    bare = [{k: v for k, v in row.items() if k not in ("strong_reject_score",)} for row in rows]
    for row in bare:
        row["output_contains_acceptance"] = row["output_contains_refusal"] = None
    for name, content in (("a.jsonl", bare), ("b.jsonl", rows), ("c.jsonl", bare)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in content))
    report = import_logs(sorted(tmp_path.glob("*.jsonl")), tmp_path / "study")
    table = af.tidy(tmp_path / "study")
    assert len(table) == 6
    assert table.complied.notna().all()
    assert sum(report.set_aside.counts.values()) == 12
