import json

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.figures.gallery import NAMES
from afanalysis.study import paper_tables

PAPER_ONLY = {
    *(
        "before_and_after_rl",
        "synthetic_documents",
        "paper_summary",
        "prefilled_scratchpads",
        "salience",
    ),
    *("lying", "situation_by_kind", "situation_by_question", "preference_scores", "human_raters"),
}


def test_a_study_has_every_figure_but_the_papers_own(reported):
    drawn = {path.stem for path in reported.figures.glob("*.svg")}
    # one model and one variation, so nothing to compare; nothing is graded, nothing missing
    assert drawn == set(NAMES) - PAPER_ONLY - {
        *("gap_forest", "contrasts", "questions", "gap_bounds", "score_threshold", "chain_of_thought"),
    }


def test_beside_each_figure_stand_its_rows_and_how_it_was_made(reported):
    for picture in reported.figures.glob("*.svg"):
        about = json.loads(picture.with_suffix(".json").read_text())
        assert not pd.read_csv(picture.with_suffix(".csv")).empty
        assert about["heading"]
        assert len(about["alt"]) > 30, picture.stem
        assert list(about["inputs"]) == [
            "data/processed/small/rollouts.parquet",
            "data/raw/small/labels.csv",
        ]
        assert about["redraw"] == f"afanalysis figure {picture.stem} --study small --level 0.95"
        assert {"afanalysis", "matplotlib"} <= set(about["versions"])


def test_what_cannot_be_drawn_says_why(reported):
    gallery = af.Gallery("small", reported.project)
    assert gallery.draw("before_and_after_rl") == "not drawn: only the paper has these numbers"
    paper = af.Gallery("paper", reported.project)
    assert paper.draw("reasoning_by_tier") == "not drawn: of the paper it exists as a plot only"
    assert gallery.draw("chain_of_thought").startswith("not drawn: the study has no variation without")
    assert gallery.draw("gap_forest") == "not drawn: the study has one model and one variation only"
    with pytest.raises(InputError, match="no figure 'pie'; use one of: behaviour_by_tier"):
        gallery.draw("pie")
    with pytest.raises(InputError, match=r"rollouts\.parquet: is missing; run the study first"):
        af.Gallery("other", reported.project)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scratchpad_stages", "agreement", "paired_prompts"])
def test_the_same_inputs_give_the_same_bytes(reported, tmp_path, name):
    def drawn():
        af.Gallery("small", reported.project).draw(name)
        return {path.name: path.read_bytes() for path in reported.figures.glob(f"{name}.*")}

    before, after = drawn(), drawn()
    assert set(before) == {f"{name}.{kind}" for kind in ("svg", "pdf", "png", "csv", "json")}
    assert before == after


def test_a_figure_is_current_until_its_inputs_change(reported):
    gallery = af.Gallery("small", reported.project)
    assert gallery.is_current("agreement")
    assert not af.Gallery("small", reported.project, level=0.9).is_current("agreement")


def test_a_drawn_figure_carries_its_rows(reported):
    figure = af.Gallery("small", reported.project).draw("agreement")
    beside = pd.read_csv(reported.figures / "agreement.csv")
    assert list(figure.rows.columns) == list(beside.columns)
    pd.testing.assert_series_equal(figure.rows["estimate"], beside["estimate"], rtol=1e-5)


def test_text_alternatives_are_computed(reported):
    rates = pd.read_csv(reported.processed / "rates.csv").set_index(["setting", "tier"])
    said = json.loads((reported.figures / "behaviour_by_tier.json").read_text())["alt"]
    for setting in ("helpful-only", "animal-welfare"):
        for tier in ("free", "paid"):
            assert f"{100 * rates.loc[(setting, tier), 'rate']:.1f} %" in said


def test_a_study_without_a_scratchpad_is_drawn_beside_its_main_variation(tmp_path):
    table = af.example_rollouts()
    second = table.assign(
        variation="no-scratchpad", rollout=[f"{number:032x}" for number in range(len(table))]
    )
    folders = af.Folders(tmp_path, "two")
    af.save(pd.concat([table, second], ignore_index=True), folders.table)
    figure = af.Gallery("two", tmp_path).draw("chain_of_thought")
    assert set(figure.rows["variation"]) == {"default", "no CoT"}
    assert len(figure.rows) == 2 * 2 * 3


def test_the_index_of_the_paper_names_figures_that_exist_and_says_why_others_do_not():
    index = af.published.table("index")
    drawn = index["drawn"].str.split("; ").explode()
    assert set(drawn[drawn != ""]) <= set(NAMES)
    assert set(drawn) >= PAPER_ONLY
    assert (index.loc[index["drawn"] == "", "note"] != "").all()
    assert (index.loc[index["printed"] == "none", "numbers_in"] == "").all()
    expected = {f"Table {number}" for number in range(1, 14)} | {
        f"Figure {number}" for number in range(1, 60)
    }
    assert expected <= set(index["item"])
    files = set(index["numbers_in"].str.split("; ").explode()) - {""}
    assert files <= set(paper_tables.TABLES.values())
