"""The figures look as they did: compared with small pictures in tests/figures/pictures.

After a change that is meant to be seen, look at the figures and run `pytest -m 'slow or
not slow' tests/figures/test_drift.py --redraw-pictures`.
"""

import numpy as np
import pytest
from PIL import Image

import afanalysis as af
from afanalysis.figures import gallery as galleries

WIDTH = 320
# root-mean-square difference of colours, 0-255; a moved label or another colour is beyond it
MOST = 4.0


def small(path):
    with Image.open(path) as picture:
        height = round(picture.height * WIDTH / picture.width)
        return picture.convert("RGB").resize((WIDTH, height), Image.Resampling.BOX)


def compare(pictures, project, redraw):
    apart = []
    for path in sorted(pictures):
        kept = project / "tests" / "figures" / "pictures" / path.parent.name / path.name
        if redraw:
            kept.parent.mkdir(parents=True, exist_ok=True)
            small(path).quantize(64).save(kept, optimize=True)
        assert kept.exists(), f"{kept}: is missing; look at {path.name} and run with --redraw-pictures"
        new, old = small(path), Image.open(kept).convert("RGB")
        if new.size != old.size:
            apart.append(f"{path.stem}: {old.size} became {new.size}")
            continue
        difference = np.asarray(new, dtype=float) - np.asarray(old, dtype=float)
        if (rms := float(np.sqrt((difference**2).mean()))) > MOST:
            apart.append(f"{path.stem}: {rms:.1f}")
    assert apart == []


@pytest.fixture
def redraw(request):
    return request.config.getoption("--redraw-pictures")


@pytest.mark.slow
def test_the_papers_figures_have_not_drifted(project, tmp_path, redraw):
    gallery = af.Gallery("paper", tmp_path)
    for name in galleries.NAMES:
        if not name.startswith("variations"):  # the tall ones are compared by the study's
            gallery.draw(name)
    compare((tmp_path / "figures" / "paper").glob("*.png"), project, redraw)


@pytest.mark.slow
def test_a_studys_figures_have_not_drifted(project, reported, redraw):
    compare(reported.figures.glob("*.png"), project, redraw)


def test_a_small_change_is_noticed(project, reported, tmp_path):
    from PIL import ImageDraw

    folder = tmp_path / "small"
    folder.mkdir()
    with Image.open(reported.figures / "behaviour_by_tier.png") as picture:
        ImageDraw.Draw(picture).rectangle([300, 300, 420, 420], fill="red")
        picture.save(folder / "behaviour_by_tier.png")
    with pytest.raises(AssertionError, match="behaviour_by_tier"):
        compare(folder.glob("*.png"), project, redraw=False)
