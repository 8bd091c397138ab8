import pytest

from afanalysis.errors import InputError
from afanalysis.study.folders import LABELS
from afanalysis.study.labels import Label, add_labels, consensus, read_labels
from tests.helpers import CHILDREN


def test_a_label_is_on_disk_with_who_when_and_note(tmp_path):
    add_labels(tmp_path, [Label("r1", "ann", "complied", "partial", 'says "yes",\nthen stops')])
    (label,) = read_labels(tmp_path)
    assert (label.labeller, label.behaviour, label.af) == ("ann", "complied", "partial")
    assert label.note == 'says "yes",\nthen stops'
    assert label.labelled_at.endswith("+00:00")


def test_people_who_change_their_minds_add_a_line_and_the_last_one_counts(tmp_path):
    for behaviour in ("complied", "refused"):
        add_labels(tmp_path, [Label("r1", "ann", behaviour)])
    add_labels(tmp_path, [Label("r1", "ben", "undecided")])
    assert [(label.labeller, label.behaviour) for label in read_labels(tmp_path)] == [
        ("ann", "refused"),
        ("ben", "undecided"),
    ]
    assert len((tmp_path / LABELS).read_text().splitlines()) == 4


def test_a_file_saved_without_a_last_line_end_is_continued(tmp_path):
    add_labels(tmp_path, [Label("r1", "ann", "complied")])
    path = tmp_path / LABELS
    path.write_text(path.read_text().rstrip())
    add_labels(tmp_path, [Label("r2", "ann", "refused")])
    assert [label.rollout for label in read_labels(tmp_path)] == ["r1", "r2"]


def _add(folder, labeller):
    for number in range(20):
        add_labels(folder, [Label(f"r{number}", labeller, "complied")])


def test_several_people_may_label_at_once(tmp_path):
    people = [CHILDREN.Process(target=_add, args=(tmp_path, name)) for name in ("ann", "ben")]
    for process in people:
        process.start()
    for process in people:
        process.join()
    assert len(read_labels(tmp_path)) == 40


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("r1,ann,now,yes,,", r"line 3: behaviour is 'yes'; use one of: complied, refused"),
        ("r1,ann,now,complied,some,", r"line 3: af is 'some'; use one of: full, partial, none"),
        (",ann,now,complied,,", r"line 3: rollout is empty"),
    ],
)
def test_a_line_that_is_not_a_label_is_named(tmp_path, line, message):
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
    def complied(*behaviours):
        labels = [Label("r", str(number), behaviour) for number, behaviour in enumerate(behaviours)]
        return consensus(labels)["r"][0]

    assert complied("complied", "refused") is None
    assert complied("complied", "refused", "refused") is False
    assert complied("complied", "undecided") is True


def test_a_file_without_the_needed_columns_is_named(tmp_path):
    (tmp_path / LABELS).write_text("rollout,verdict\nr1,yes\n")
    with pytest.raises(InputError, match=r"labels\.csv: has no column 'behaviour'"):
        read_labels(tmp_path)
