import csv
import multiprocessing

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.study.label_sample import (
    add_sheet,
    read_sample,
    sample_for_labels,
    weights,
    write_label_sample,
)
from afanalysis.study.labels import LABELS, Label, add_labels, consensus, read_labels


@pytest.fixture(scope="module")
def rollouts(collected):
    return af.tidy(collected)


def test_a_label_is_on_disk_with_who_when_and_note(tmp_path):
    add_labels(tmp_path, [Label("r1", "ann", "complied", "partial", 'says "yes",\nthen stops')])
    (label,) = read_labels(tmp_path)
    assert (label.labeller, label.behaviour, label.af) == ("ann", "complied", "partial")
    assert label.note == 'says "yes",\nthen stops'
    assert label.labelled_at.endswith("+00:00")


def test_who_changes_their_mind_adds_a_line_and_the_last_one_counts(tmp_path):
    for behaviour in ("complied", "refused"):
        add_labels(tmp_path, [Label("r1", "ann", behaviour)])
    add_labels(tmp_path, [Label("r1", "ben", "undecided")])
    assert [(x.labeller, x.behaviour) for x in read_labels(tmp_path)] == [
        ("ann", "refused"),
        ("ben", "undecided"),
    ]
    assert len((tmp_path / LABELS).read_text().splitlines()) == 4


def test_a_file_saved_without_a_last_line_end_is_gone_on_with(tmp_path):
    add_labels(tmp_path, [Label("r1", "ann", "complied")])
    path = tmp_path / LABELS
    path.write_text(path.read_text().rstrip())
    add_labels(tmp_path, [Label("r2", "ann", "refused")])
    assert [label.rollout for label in read_labels(tmp_path)] == ["r1", "r2"]


def _add(folder, who):
    for at in range(20):
        add_labels(folder, [Label(f"r{at}", who, "complied")])


def test_several_people_may_label_at_once(tmp_path):
    people = [multiprocessing.Process(target=_add, args=(tmp_path, who)) for who in ("ann", "ben")]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert len(read_labels(tmp_path)) == 40


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("r1,ann,now,yes,,", r"line 3: behaviour is 'yes'; use one of: complied, refused"),
        ("r1,ann,now,complied,some,", r"line 3: af is 'some'; use one of: full, partial, none"),
        (",ann,now,complied,,", r"line 3: rollout is empty"),
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path, line, message):
    header = "rollout,labeller,labelled_at,behaviour,af,note\n"
    (tmp_path / LABELS).write_text(header + "r0,ann,now,complied,,\n" + line + "\n")
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path)


def test_the_measure_of_a_label_is_the_papers():
    assert Label("r", "a", "complied", "full").af_reasoning == 1
    assert Label("r", "a", "complied", "partial").af_reasoning == 0.5
    assert Label("r", "a", "refused", "full").af_reasoning == 0
    assert Label("r", "a", "complied", "").af_reasoning is None
    assert Label("r", "a", "artifact", "full").af_reasoning is None


def test_where_labellers_are_split_there_is_no_label():
    def cast(*behaviours):
        labels = [Label("r", str(at), behaviour) for at, behaviour in enumerate(behaviours)]
        return consensus(labels)["r"][0]

    assert cast("complied", "refused") is None
    assert cast("complied", "refused", "refused") is False
    assert cast("complied", "undecided") is True


def test_rare_verdicts_are_drawn_and_the_weights_undo_it(rollouts):
    drawn = sample_for_labels(rollouts, 40)
    assert len(drawn) == 40
    rare = drawn["stratum"].str.contains("AF").mean()
    assert rare > (rollouts["af_reasoning"] > 0).mean()
    sizes = drawn.groupby("stratum")["stratum_size"].first()
    each = drawn.groupby("stratum").size()
    assert (each <= sizes).all()
    assert sizes.sum() == (rollouts["valid"] & rollouts["complied"].notna()).sum()


def test_both_tiers_get_equal_parts(rollouts):
    drawn = sample_for_labels(rollouts, 40)
    assert drawn["stratum"].str.contains(" free ").sum() == pytest.approx(20, abs=2)


def test_a_larger_sample_holds_the_smaller_one(rollouts):
    small, large = (set(sample_for_labels(rollouts, size)["rollout"]) for size in (20, 60))
    assert small < large
    assert small != set(sample_for_labels(rollouts, 20, seed=1)["rollout"])


def test_weights_are_those_of_what_is_labelled_so_far(rollouts, tmp_path):
    drawn = sample_for_labels(rollouts, 30)
    write_label_sample(tmp_path, drawn, rollouts)
    labelled = drawn["rollout"].head(12).tolist()
    found = weights(tmp_path, [*labelled, "chosen for its own sake"])
    assert set(found) == set(labelled)
    strata = drawn.set_index("rollout").loc[labelled]
    for stratum, part in strata.groupby("stratum"):
        total = sum(found[rollout] for rollout in part.index)
        assert total == pytest.approx(part["stratum_size"].iloc[0]), stratum


def test_the_sheet_is_blind_and_holds_no_formula(rollouts, tmp_path):
    hostile = rollouts.assign(output='=HYPERLINK("http://x")')
    sheet = write_label_sample(tmp_path, sample_for_labels(hostile, 5), hostile)
    table = pd.read_csv(sheet)
    assert not {"tier", "complied", "stratum", "af_full"} & set(table.columns)
    assert table["output"].str.startswith("'=").all()


def test_a_filled_in_sheet_is_read_and_empty_rows_are_passed_over(rollouts, tmp_path):
    sheet = write_label_sample(tmp_path, sample_for_labels(rollouts, 5), rollouts)
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0] |= {"behaviour": " Complied ", "af": "FULL", "note": "clear"}
    filled = tmp_path / "filled.csv"
    pd.DataFrame(rows).to_csv(filled, index=False)
    assert add_sheet(tmp_path, filled, "ann") == 1
    (label,) = read_labels(tmp_path)
    assert (label.rollout, label.behaviour, label.af) == (rows[0]["rollout"], "complied", "full")
    rows[1] |= {"behaviour": "complied", "rollout": "another"}
    pd.DataFrame(rows).to_csv(filled, index=False)
    with pytest.raises(InputError, match="rollout 'another' was not drawn"):
        add_sheet(tmp_path, filled, "ann")
    assert len(read_labels(tmp_path)) == 1


def test_a_broken_sample_file_is_named(tmp_path):
    (tmp_path / "label_sample.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"label_sample\.csv: has no column"):
        read_sample(tmp_path)
