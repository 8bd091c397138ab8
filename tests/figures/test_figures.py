from itertools import pairwise

import numpy as np
import pytest

from afanalysis import figures
from afanalysis.analysis import published
from afanalysis.text.wording import percent


@pytest.fixture(scope="module")
def paper():
    return published.estimates("variations")


@pytest.fixture(scope="module")
def every_figure(paper):
    return {
        "behaviour": figures.compliance_by_tier(paper),
        "helpful": figures.variations(paper, "helpful-only"),
        "welfare": figures.variations(paper, "animal-welfare"),
        "models": figures.models(paper, published.estimates("replication")),
        "rl": figures.before_and_after_training(published.estimates("rl")),
        "scatter": figures.reasoning_against_gap(paper),
    }


def texts(figure):
    from matplotlib.text import Text

    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]


def test_no_text_leaves_the_figure(every_figure):
    for name, figure in every_figure.items():
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        box = figure.bbox
        for text in texts(figure):
            if not text.get_window_extent(renderer).overlaps(box):
                continue  # tick labels beyond the axis limits are not drawn
            extent = text.get_window_extent(renderer)
            assert extent.x0 >= box.x0 - 2, (name, text.get_text())
            assert extent.x1 <= box.x1 + 2, (name, text.get_text())


def test_row_labels_do_not_overlap(every_figure):
    for name in ("helpful", "welfare", "models"):
        figure = every_figure[name]
        figure.draw_without_rendering()
        labels = figure.axes[0].get_yticklabels()
        extents = sorted((label.get_window_extent() for label in labels), key=lambda e: e.y0)
        for below, above in pairwise(extents):
            assert above.y0 >= below.y1 - 1, name


def test_every_variation_is_drawn(every_figure, paper):
    for name, setting, count in (("helpful", "helpful-only", 57), ("welfare", "animal-welfare", 88)):
        rows = every_figure[name].rows
        assert set(rows["setting"]) == {setting}
        assert (rows["quantity"] == "compliance_gap").sum() == count


def test_axes_are_labelled_and_the_source_is_said(every_figure):
    for name, figure in every_figure.items():
        said = " ".join(text.get_text() for text in texts(figure))
        assert "arXiv:2412.14093" in said.replace("\n", " "), name
        assert "95 % intervals" in said.replace("\n", " "), name
        for axes in figure.axes:
            assert axes.get_xlabel() or axes.get_xticklabels(), name


def test_simulated_figures_say_so(collected):
    import afanalysis as af

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


def test_the_rows_beside_a_figure_are_what_it_drew(paper, tmp_path):
    import pandas as pd

    figures.save(figures.compliance_by_tier(paper), tmp_path, "f")
    rows = pd.read_csv(tmp_path / "f.csv")
    gap = rows[(rows["quantity"] == "compliance_gap") & (rows["setting"] == "helpful-only")]
    np.testing.assert_allclose(gap["estimate"], 0.113)


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "12.3"), (-0.0001, "0.0"), (-0.011, "−1.1"), (1, "100.0")]
)
def test_proportions_become_percentages(value, text):
    assert percent(value) == text


def test_labels_do_not_lie_on_a_neighbouring_bar(every_figure):
    figure = every_figure["behaviour"]
    figure.draw_without_rendering()
    for axes in figure.axes:
        bars = [bar.get_window_extent() for bar in axes.patches if bar.get_height() > 0]
        for text in axes.texts:
            if not text.get_text().endswith(("complied", "AF")):
                continue
            extent = text.get_window_extent()
            assert not any(bar.x0 < extent.x1 and extent.x0 < bar.x1 for bar in bars), text.get_text()
