import csv

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.study.labels import (
    Label,
    add_labels,
    add_sheet,
    read_labels,
    read_sample,
    sample_for_labels,
    weights,
    write_label_sample,
)


@pytest.fixture(scope="module")
def rollouts(collected):
    return af.tidy(collected)


def test_rare_verdicts_are_drawn_and_the_weights_undo_it(rollouts):
    drawn = sample_for_labels(rollouts, 40)
    assert len(drawn) == 40
    rare = drawn["stratum"].str.contains("AF").mean()
    assert rare > (rollouts["af_reasoning"] > 0).mean()
    sizes = drawn.groupby("stratum")["stratum_size"].first()
    assert (drawn.groupby("stratum").size() <= sizes).all()
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
    by_rollout = weights(tmp_path, [*labelled, "chosen for its own sake"])
    assert set(by_rollout) == set(labelled)
    strata = drawn.set_index("rollout").loc[labelled]
    for stratum, part in strata.groupby("stratum"):
        total = sum(by_rollout[rollout] for rollout in part.index)
        assert total == pytest.approx(part["stratum_size"].iloc[0]), stratum


def test_the_sheet_is_blind_and_holds_no_formula(rollouts, tmp_path):
    hostile = rollouts.assign(output='=HYPERLINK("http://x")')
    sheet = write_label_sample(tmp_path, sample_for_labels(hostile, 5), hostile)
    table = pd.read_csv(sheet)
    assert not {"tier", "complied", "stratum", "af_full"} & set(table.columns)
    assert table["output"].str.startswith("'=").all()


def test_a_filled_in_sheet_is_read_and_empty_rows_are_skipped(rollouts, tmp_path):
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


@pytest.mark.parametrize("before", ["", "\ufeff", "sep=;\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_sheet_is_read_however_a_spreadsheet_saved_it(rollouts, tmp_path, delimiter, before):
    sheet = write_label_sample(tmp_path, sample_for_labels(rollouts, 5), rollouts)
    for path in (sheet, tmp_path / "label_sample.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if path == sheet:
            table.loc[0, ["behaviour", "note"]] = ["Refused", "it says: no; never, ever"]
        table = table.rename(columns={"behaviour": " behaviour "}).assign(**{"": ""})
        content = table.to_csv(index=False, sep=delimiter, lineterminator="\r\n")
        path.write_bytes((before.replace(";", delimiter) + content + delimiter * 7 + "\r\n").encode())
    assert add_sheet(tmp_path, sheet, "ann") == 1
    (label,) = read_labels(tmp_path)
    assert (label.rollout, label.behaviour) == (table["rollout"][0], "refused")
    assert label.note == "it says: no; never, ever"


def test_labels_are_added_to_a_file_that_a_spreadsheet_saved(tmp_path):
    (tmp_path / "labels.csv").write_bytes(
        "\ufeffrollout;labeller;behaviour;af;note;labelled_at\r\nr1;ann;refused;;no, never;\r\n".encode()
    )
    add_labels(tmp_path, [Label("r2", "bob", "complied", "full", "yes; of course")])
    labels = [(label.rollout, label.behaviour, label.note) for label in read_labels(tmp_path)]
    assert labels == [("r1", "refused", "no, never"), ("r2", "complied", "yes; of course")]


def test_a_sheet_in_another_encoding_gives_one_sentence_and_no_label(rollouts, tmp_path):
    write_label_sample(tmp_path, sample_for_labels(rollouts, 5), rollouts)
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes("rollout;behaviour;note\nr;refused;café\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"sheet\.csv: line 2 is not UTF-8 text; save it as CSV"):
        add_sheet(tmp_path, sheet, "ann")
    assert read_labels(tmp_path) == []


def test_a_broken_sample_file_is_named(tmp_path):
    (tmp_path / "label_sample.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"label_sample\.csv: has no column"):
        read_sample(tmp_path)


def test_a_filled_in_sheet_of_a_stranger_gives_one_short_visible_sentence(rollouts, tmp_path):
    write_label_sample(tmp_path, sample_for_labels(rollouts, 5), rollouts)
    sheet = tmp_path / "sheet.csv"
    for row in ("\x1b[31m" + "x" * 9000 + ",refused", "r\u202e,refused"):
        sheet.write_text(f"rollout,behaviour\n{row}\n")
        with pytest.raises(InputError, match=r"sheet\.csv: line 2: rollout .* was not drawn") as raised:
            add_sheet(tmp_path, sheet, "ann")
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < len(str(sheet)) + 200
    (tmp_path / "label_sample.csv").write_text("rollout,stratum,stratum_size\nr,s," + "9" * 5000 + "\n")
    with pytest.raises(InputError, match="stratum_size is '9999"):
        read_sample(tmp_path)
