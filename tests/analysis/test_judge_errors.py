import shutil

import numpy as np
import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.study.design import Study
from afanalysis.study.labels import Label, add_labels, sample_for_labels, write_label_sample
from tests.helpers import put, standing_in

TRUE = {"sensitivity": 0.85, "specificity": 0.92}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A study judged by a judge that errs, with a sample labelled by the simulated people."""
    study = Study(
        name="erring",
        settings=["helpful-only"],
        variations=["no-examples"],
        samples=4,
        prompts={"helpful-only": {"first": 60}},
        simulation={"judge_error": {"free": TRUE, "paid": TRUE}},
        seed=11,
    )
    folder = tmp_path_factory.mktemp("raw") / "erring"
    with standing_in(study.seed, study.simulation) as (address, _):
        put(study, folder, address, judged=True)
    rollouts = af.tidy(folder)
    write_label_sample(folder, sample_for_labels(rollouts, 160), rollouts)
    af.simulate_labels(study, folder)
    return study, folder


def truth(rollouts):
    return rollouts["output"].str.contains("tier: complied")


def test_the_judges_error_is_found_again(labelled):
    found = af.judge_error(af.tidy(labelled[1])).set_index(["tier", "measure"])
    for measure, value in TRUE.items():
        for tier in ("free", "paid"):
            row = found.loc[(tier, measure)]
            assert row["low"] <= value <= row["high"], (tier, measure)
    apart = found.loc[("free - paid", "specificity")]
    assert apart["low"] < 0 < apart["high"]


def test_correction_brings_the_rates_back_to_the_truth(labelled):
    rollouts = af.tidy(labelled[1])
    found = af.corrected(rollouts).set_index("tier")
    for tier in ("free", "paid"):
        real = truth(rollouts[rollouts["tier"] == tier]).mean()
        row = found.loc[tier]
        assert row["low"] <= real <= row["high"]
        assert abs(row["corrected"] - real) < abs(row["raw"] - real)
    gap = found.loc["both"]
    assert gap["shift"] == pytest.approx(gap["raw"] - gap["corrected"])
    assert gap["warning"] == ""


def test_the_summary_and_its_text_hold_the_corrected_gap(labelled):
    rollouts = af.tidy(labelled[1])
    table = af.summary(rollouts)
    expected = af.corrected(rollouts).set_index("tier").loc["both"]
    assert table["gap_corrected"].iloc[0] == expected["corrected"]
    assert table["labels"].iloc[0] == expected["labels"]
    assert "corrected for judge error" in af.summary(rollouts, "markdown")


def test_it_works_from_a_file_as_from_a_table(labelled, tmp_path):
    rollouts = af.tidy(labelled[1])
    path = af.save(rollouts, tmp_path / "rollouts.parquet")
    pd.testing.assert_frame_equal(af.corrected(path), af.corrected(rollouts))


def test_without_labels_the_reason_is_said(collected):
    rollouts = af.tidy(collected)
    assert not af.has_labels(rollouts)
    assert "gap_corrected" not in af.summary(rollouts)
    with pytest.raises(InputError, match="label some first"):
        af.corrected(rollouts)
    with pytest.raises(InputError, match="no column 'label_complied'"):
        af.corrected(rollouts.drop(columns="label_complied"))


def test_a_tier_without_labels_is_left_uncorrected_and_said(labelled):
    rollouts = af.tidy(labelled[1])
    rollouts.loc[rollouts["tier"] == "paid", "label_weight"] = pd.NA
    found = af.corrected(rollouts)
    assert found["corrected"].isna().all()
    assert set(found["warning"]) == {"paid tier: no label"}


def test_af_reasoning_is_corrected_too_and_stays_a_proportion(labelled):
    found = af.corrected(af.tidy(labelled[1]), "af_reasoning")
    assert found.loc[found["tier"] != "both", ["corrected", "low", "high"]].stack().between(0, 1).all()
    assert (found["low"] <= found["corrected"]).all()
    assert (found["corrected"] <= found["high"]).all()


def test_labellers_are_compared_pair_by_pair(tmp_path):
    ratings = {"ann": "crcrcr", "ben": "crcrcc", "cy": "rrrrrr"}
    words = {"c": "complied", "r": "refused"}
    for labeller, cast in ratings.items():
        labels = [Label(f"r{at}", labeller, words[letter]) for at, letter in enumerate(cast)]
        add_labels(tmp_path, labels)
    found = af.label_agreement(af.read_labels(tmp_path)).set_index(["first", "second", "measure"])
    assert found.loc[("ann", "ben", "agreement"), "value"] == pytest.approx(5 / 6)
    assert found.loc[("ann", "cy", "agreement"), "value"] == pytest.approx(0.5)
    assert set(found["about"]) == {"behaviour"}
    assert af.label_agreement([]).empty


def test_labels_of_real_answers_are_not_made_up(labelled, tmp_path):
    study, folder = labelled
    shutil.copytree(folder, tmp_path / "live")
    path = tmp_path / "live" / "rollouts.jsonl"
    path.write_text(path.read_text().replace('"source":"simulated"', '"source":"live"'))
    with pytest.raises(InputError, match="people must label those"):
        af.simulate_labels(study, tmp_path / "live")


def test_simulated_people_label_once(labelled):
    study, folder = labelled
    assert af.simulate_labels(study, folder) == 0


def test_labels_that_people_gave_run_through_agreement_and_error():
    """26 scratchpads that a person labelled, beside a classifier's verdict at a confidence of 0.4."""
    judged = np.array([True] * 15 + [False] * 11)
    label = np.array([True] * 22 + [False] * 4)
    agreed = af.agreement(judged, label).set_index("measure")
    assert agreed.loc["agreement", "value"] == pytest.approx(19 / 26)
    assert (agreed["low"] < agreed["value"]).all()
    assert (agreed["value"] < agreed["high"]).all()
    rollouts = pd.DataFrame(
        {
            "prompt_id": range(26),
            "setting": "helpful-only",
            "tier": "free",
            "af_reasoning": judged.astype(float),
            "label_af_reasoning": label.astype(float),
            "label_weight": 1.0,
        }
    )
    error = af.judge_error(rollouts, "af_reasoning").set_index("measure")
    assert error.loc["sensitivity", "value"] == pytest.approx(15 / 22)
    assert error.loc["specificity", "value"] == pytest.approx(1)
    assert np.isfinite(error[["low", "high"]].to_numpy()).all()
