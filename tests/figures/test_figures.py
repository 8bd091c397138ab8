import ast
import io
import json
from itertools import pairwise

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

import afanalysis as af
from afanalysis import figures
from afanalysis.analysis import published
from afanalysis.figures import style
from afanalysis.figures.gallery import NAMES
from afanalysis.text.wording import percent


@pytest.fixture(scope="module")
def paper():
    return published.estimates("variations")


@pytest.fixture(scope="module")
def every_figure(labelled, tmp_path_factory):
    """Every figure of the paper and of the small study, by study and name."""
    galleries = (
        af.Gallery("paper", tmp_path_factory.mktemp("paper")),
        af.Gallery("small", labelled.project),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_METADATA", {"svg": style._METADATA["svg"]})  # quicker
        drawn = {(gallery.study, name): gallery.draw(name) for gallery in galleries for name in NAMES}
    figures = {key: figure for key, figure in drawn.items() if not isinstance(figure, str)}
    for figure in figures.values():
        figure.written("png")  # lays it out
    return figures


def undrawn(figure):
    """The labels of ticks beyond the limits of their axis or of an axis that is not shown."""
    labels = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-9 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not axis.get_visible() or not low - room <= tick.get_loc() <= high + room:
                    labels += [tick.label1, tick.label2]
    return labels


def texts(figure):
    """All texts that one sees."""
    hidden = set(map(id, undrawn(figure)))
    every = figure.findobj(Text)
    return [t for t in every if t.get_text().strip() and t.get_visible() and id(t) not in hidden]


def joined(figure):
    return " ".join(text.get_text() for text in texts(figure)).replace("\n", " ")


def outside(figure):
    """The texts that do not lie within the figure, which has been laid out."""
    box = figure.bbox.padded(2)
    extents = {text.get_text(): text.get_window_extent() for text in texts(figure)}
    return [
        name
        for name, extent in extents.items()
        if not (
            box.x0 <= extent.x0 <= extent.x1 <= box.x1 and box.y0 <= extent.y0 <= extent.y1 <= box.y1
        )
    ]


@pytest.mark.slow
def test_all_figures_that_can_be_drawn_are_looked_at(every_figure):
    assert sum(study == "paper" for study, _ in every_figure) == 20
    assert sum(study == "small" for study, _ in every_figure) == 15


@pytest.mark.slow
def test_no_text_leaves_the_figure(every_figure):
    assert {key: outside(figure) for key, figure in every_figure.items() if outside(figure)} == {}


@pytest.mark.parametrize("place", [(0.99, 0.5), (0.5, 0.99), (1.5, 0.5), (0.5, -0.5)])
def test_a_text_that_leaves_the_figure_is_noticed(place):
    figure = style.new_figure(3, 2)
    figure.subplots().set_axis_off()
    figure.text(*place, "across or beyond\nthe edge")
    figure.written("png")
    assert outside(figure) == ["across or beyond\nthe edge"]


@pytest.mark.slow
def test_texts_do_not_overlap(every_figure):
    for key, figure in every_figure.items():
        extents = [(text, text.get_window_extent()) for text in texts(figure)]
        for index, (text, extent) in enumerate(extents):
            inner = extent.padded(-2)
            crossed = [
                other.get_text()
                for other, beside in extents[index + 1 :]
                if inner.overlaps(beside.padded(-2))
            ]
            assert crossed == [], (key, text.get_text())


@pytest.mark.slow
def test_row_labels_do_not_overlap(every_figure):
    for name in ("variations_helpful-only", "variations_animal-welfare", "models"):
        labels = every_figure["paper", name].axes[0].get_yticklabels()
        extents = sorted((label.get_window_extent() for label in labels), key=lambda e: e.y0)
        assert len(extents) >= 15
        for below, above in pairwise(extents):
            assert above.y0 >= below.y1 - 1, name


@pytest.mark.slow
def test_every_variation_is_drawn(every_figure):
    for setting, count in (("helpful-only", 57), ("animal-welfare", 88)):
        rows = every_figure["paper", f"variations_{setting}"].rows
        assert set(rows["setting"]) == {setting}
        assert (rows["quantity"] == "compliance_gap").sum() == count


def shows_words(labels):
    return any(any(letter.isalpha() for letter in label.get_text()) for label in labels)


@pytest.mark.slow
def test_every_axis_is_labelled(every_figure):
    for key, figure in every_figure.items():
        for axes in figure.axes:
            place = axes.get_subplotspec()
            if place.is_last_row():
                assert axes.get_xlabel() or shows_words(axes.get_xticklabels()), key
            if place.is_first_col():
                assert (
                    axes.get_ylabel() or shows_words(axes.get_yticklabels()) or axes.get_title("left")
                ), key


@pytest.mark.slow
def test_every_figure_states_its_units(every_figure):
    for key, figure in every_figure.items():
        for column in {axes.get_subplotspec().colspan.start for axes in figure.axes}:
            labels = [
                label
                for axes in figure.axes
                if axes.get_subplotspec().colspan.start in (0, column)
                for label in (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left"))
            ]
            assert any(
                unit in label for unit in ("%", "points", "score", "proportion") for label in labels
            ), key


# What the text prints as rates alone.
WITHOUT_SIZES = ("given_af_reasoning", "prefilled_scratchpads")


@pytest.mark.slow
def test_captions_of_printed_rows_say_how_their_n_is_known(every_figure):
    for (study, name), figure in every_figure.items():
        if study == "paper" and name not in (*WITHOUT_SIZES, "power_curves", "judge_sensitivity"):
            assert "n of the rows:" in joined(figure) or name == "gap_forest", name
    summary = joined(every_figure["paper", "paper_summary"])
    assert "3 implied by the printed errors, the only one that fits" in summary
    lying = joined(every_figure["paper", "lying"])
    assert "n of the rows: 17 stated; 10 the largest that fits, below the stated one." in lying


@pytest.mark.slow
def test_every_row_of_a_table_is_drawn(every_figure):
    for name, table, count in (
        ("paper_summary", "table1", 5 * 4),
        ("chain_of_thought", "replication", 12 * 3),
        ("lying", "lying", 27 * 2),
        ("situation_by_kind", "situation", 15 * 2),
        ("situation_by_question", "situation", 70 * 2),
        ("preference_scores", "scores", 24),
        ("human_raters", "raters", 5 * 3),
        ("before_and_after_rl", "rl", 6 * 4),
    ):
        rows = every_figure["paper", name].rows
        assert len(rows) == count, name
        drawn = sum(
            len(line.get_xdata())
            for axes in every_figure["paper", name].axes
            for line in axes.get_lines()
            if line.get_marker() in ("o", *style.MARKERS.values())
        )
        assert drawn == count, name
        assert set(rows["table"]) == {table}


@pytest.mark.slow
def test_rows_that_stand_out_are_numbered_and_named(every_figure):
    figure = every_figure["paper", "reasoning_against_gap"]
    numbers = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert numbers == ["1", "2", "3", "4", "5", "6"]
    assert "Farthest from the diagonal: 1: 3.5 sonnet; 2: " in joined(figure)


@pytest.mark.slow
def test_the_source_the_interval_and_the_sample_size_are_stated(every_figure):
    for (study, name), figure in every_figure.items():
        shown = joined(figure)
        assert ("arXiv:2412.14093" if study == "paper" else "SIMULATED") in shown, name
        if study == "paper" and name in WITHOUT_SIZES:
            assert "without sample sizes" in shown, name
            continue
        if name != "power_curves":
            drawn = "Band: 95 % interval of" if name == "judge_sensitivity" else "95 % intervals"
            assert drawn in shown, name
        if name not in ("power_curves", "judge_sensitivity", "beside_paper"):
            assert any(word in shown for word in ("n = ", "Number of", "Hand labels:")), name


@pytest.mark.slow
def test_simulated_data_are_marked_in_red_and_published_ones_are_not(every_figure):
    for (study, name), figure in every_figure.items():
        (note,) = (t for t in texts(figure) if t.get_text().startswith(("SIMULATED", "Published")))
        assert (note.get_color() == style.SIMULATED) == (study == "small"), name


@pytest.mark.slow
def test_af_is_spelled_out_once_wherever_it_stands(every_figure):
    for key, figure in every_figure.items():
        shown = joined(figure)
        is_used = "AF" in shown.replace("AF: alignment faking.", "")
        assert shown.count("AF: alignment faking.") == is_used, key
    assert "AF: alignment faking." in joined(every_figure["paper", "models"])


def test_figures_compute_nothing():
    """They take from `analysis` only the choice of rows, and estimates where they are given rollouts."""
    allowed = {
        "afanalysis.analysis.conditions": {"main_variation", "of_one_condition"},
        "afanalysis.analysis.quantities": {"as_estimates"},
        "afanalysis.study.files": {"write_csv", "write_json", "written_whole"},
    }
    drawing = [path for path in (af_folder() / "figures").glob("*.py") if path.stem != "gallery"]
    assert len(drawing) == 6
    for path in drawing:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.split(".")[0] not in ("duckdb", "scipy", "statsmodels", "formulaic"), (
                    path.name
                )
                if name.startswith("afanalysis.") and not name.startswith(
                    ("afanalysis.figures", "afanalysis.text")
                ):
                    assert {alias.name for alias in node.names} <= allowed.get(name, set()), path.name


def af_folder():
    from pathlib import Path

    return Path(af.__file__).parent


def test_simulated_figures_of_rollouts_say_so(collected):
    rollouts = af.load(collected)
    for figure in (
        figures.compliance_by_tier(rollouts),
        figures.variations(rollouts, "helpful-only"),
        figures.models(rollouts),
        figures.reasoning_against_gap(rollouts),
    ):
        assert any(text.get_text().startswith("SIMULATED") for text in texts(figure))


def test_the_same_rows_give_the_same_bytes(paper, tmp_path):
    for folder in ("a", "b"):
        figures.save(figures.compliance_by_tier(paper), tmp_path / folder, "f")
    for kind in ("svg", "pdf", "png", "csv"):
        first, second = ((tmp_path / x / f"f.{kind}").read_bytes() for x in "ab")
        assert first == second, kind


def test_a_figure_is_laid_out_once_and_drawn_once_per_format(paper, tmp_path, monkeypatch):
    drawn = []
    draw = matplotlib.figure.Figure.draw
    monkeypatch.setattr(
        matplotlib.figure.Figure, "draw", lambda self, renderer: drawn.append(1) or draw(self, renderer)
    )
    figure = figures.compliance_by_tier(paper)
    figures.save(figure, tmp_path, "f")
    shown = Image.open(io.BytesIO(figure._repr_png_()))
    assert len(drawn) == 3
    written = Image.open(tmp_path / "f.png")
    assert shown.size == written.reduce(2).size
    assert shown.tobytes() == written.reduce(2).tobytes()


def test_a_figure_shows_itself_before_it_is_saved(paper):
    assert figures.compliance_by_tier(paper)._repr_png_().startswith(b"\x89PNG")


def test_fonts_in_pdfs_hold_no_rules_for_typesetting(paper):
    import re
    import zlib

    content = figures.compliance_by_tier(paper).written("pdf")
    streams = re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
    fonts = [
        font
        for font in (zlib.decompressobj().decompress(s) for s in streams if s[:1] == b"x")
        if font.startswith((b"\x00\x01\x00\x00", b"true"))
    ]
    assert fonts
    for font in fonts:
        assert b"glyf" in font[:400]
        assert not any(table in font[:400] for table in (b"GSUB", b"GPOS", b"GDEF"))


def test_the_style_does_not_outlast_a_figure(paper):
    import gc

    import matplotlib as mpl

    before = mpl.rcParams["font.size"]
    with pytest.raises(KeyError):
        figures.compliance_by_tier(pd.DataFrame({"quantity": ["compliance_gap"], "estimate": [1]}))
    figures.compliance_by_tier(paper)
    assert mpl.rcParams["font.size"] == before
    assert gc.isenabled()


def test_the_rows_beside_a_figure_are_what_it_drew(paper, tmp_path):
    figures.save(figures.compliance_by_tier(paper), tmp_path, "f")
    rows = pd.read_csv(tmp_path / "f.csv")
    gap = rows[(rows["quantity"] == "compliance_gap") & (rows["setting"] == "helpful-only")]
    np.testing.assert_allclose(gap["estimate"], 40 / 353, rtol=1e-5)
    assert (
        json.loads((tmp_path / "f.json").read_text())["heading"] == "Behaviour of claude-3-opus by tier"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "12.3"), (-0.0001, "0.0"), (-0.011, "−1.1"), (1, "100.0")]
)
def test_proportions_become_percentages(value, text):
    assert percent(value) == text


@pytest.mark.slow
def test_labels_do_not_lie_on_a_neighbouring_bar(every_figure):
    checked = 0
    for axes in every_figure["paper", "behaviour_by_tier"].axes:
        bars = [bar.get_window_extent() for bar in axes.patches if bar.get_height() > 0]
        for text in axes.texts:
            if not text.get_text().endswith(("complied", "AF")):
                continue
            extent = text.get_window_extent()
            assert not any(bar.x0 < extent.x1 and extent.x0 < bar.x1 for bar in bars), text.get_text()
            checked += 1
    assert checked == 6


def test_graded_scores_and_runs_of_a_sweep_are_drawn_from_their_tables():
    thresholds = pd.DataFrame(
        {
            "setting": "helpful-only",
            "threshold": [0.25, 0.5],
            "free": [0.4, 0.2],
            "paid": [0.1, 0.1],
            "gap": [0.3, 0.1],
            "low": [0.2, -0.1],
            "high": [0.4, 0.3],
            "n": 40,
            "source": "imported",
            "level": 0.95,
        }
    )
    figure = figures.score_thresholds(thresholds)
    assert figure.alt == (
        "Helpful-only: the gap runs from 10.0 points [−10.0, 30.0] from 0.5 on to 30.0 points "
        "[20.0, 40.0] from 0.25 on."
    )
    figure.written("png")
    assert outside(figure) == []
    labels = ["samples 1", "samples 5"]
    runs = thresholds.assign(run=["a", "b"], variation="default", model="m", label=labels)
    figure = figures.gaps_by_run(runs)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == labels
    assert (
        figure.alt
        == "Over 2 runs the gap lies between 10.0 and 30.0 points. Model: m. Variation: default."
    )
    figure.written("png")
    assert outside(figure) == []


@pytest.fixture(scope="module")
def two_models_three_tiers():
    """Estimates of two models whose gap is that of two tiers of their own."""
    rows = [
        (model, "complied", tier, rate)
        for model in ("first", "second")
        for tier, rate in (("pro", 0.5), ("team", 0.3), ("enterprise", 0.1))
    ]
    rows += [
        (model, *rest)
        for model in ("first", "second")
        for rest in (("af_reasoning", "pro", 0.2), ("compliance_gap", "pro − enterprise", 0.4))
    ]
    table = pd.DataFrame(rows, columns=["model", "quantity", "tier", "estimate"])
    table = table.assign(low=table["estimate"] - 0.1, high=table["estimate"] + 0.1, n=40, group="")
    names = {"setting": "medical", "variation": "default", "label": "default", "source": "live"}
    return table.assign(**names)


def test_tiers_of_ones_own_are_drawn_and_the_gap_bears_their_names(two_models_three_tiers):
    figure = figures.compliance_by_tier(two_models_three_tiers)
    figure.written("png")
    assert outside(figure) == []
    assert len(figure.axes) == 2
    for model in ("first", "second"):
        assert f"medical, {model}: complied with 50.0 % of requests in the pro tier and 30.0 %" in (
            figure.alt
        )
    assert joined(figure).count("enterprise tier (unmonitored)") == 2
    for draw in (figures.models, figures.reasoning_against_gap):
        assert "compliance gap, pro − enterprise (points)" in joined(draw(two_models_three_tiers))
    drawn = figures.variations(two_models_three_tiers, "medical")
    assert "default (second)" in joined(drawn)


def test_a_further_tier_bears_its_role_if_that_is_known(two_models_three_tiers):
    for roles, words in (({"team": "training"}, "team tier (training)"), (None, "team tier enterprise")):
        figure = figures.compliance_by_tier(two_models_three_tiers, roles=roles)
        figure.written("png")
        assert words in joined(figure)
        assert "compliance gap, pro − enterprise: 40.0 points" in joined(figure)


def test_contrasts_and_questions_name_what_they_compare_and_of_whom():
    rollouts = af.example_rollouts().assign(mentions_audit=True)
    figure = figures.contrasts(af.contrast(rollouts, "variation"))
    figure.written("png")
    assert outside(figure) == []
    assert "gap by variation, claude-opus-5-5 no-examples − default" in joined(figure)
    asked = af.rates(rollouts, "mentions_audit").assign(source="live")
    figure = figures.questions(asked)
    figure.written("png")
    assert outside(figure) == []
    for words in ("mentions_audit", "default", "no-examples", "Model: claude-opus-5-5."):
        assert words in joined(figure)
    assert figure.alt.startswith("Helpful-only: yes (%): from 100.0")
