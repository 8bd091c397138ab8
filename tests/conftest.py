from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# What fixtures need they import themselves: the process that only hands out the tests is up sooner.
if TYPE_CHECKING:
    from afanalysis.study.design import Study

collect_ignore = ["fixtures"]  # its script runs against an old version of the package

settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")


def pytest_addoption(parser):
    parser.addoption("--redraw-pictures", action="store_true", help="keep the figures as they are now")


# What one worker runs: the notebooks, which go on from each other, and what needs the same long fixture.
TOGETHER = {
    "notebooks": ("notebooks/",),
    "reported": (
        "tests/figures/test_drift.py",
        "tests/figures/test_gallery.py",
        "tests/logs/test_exporting.py",
        "tests/logs/test_inspect.py",
        "tests/reporting/test_latex.py",
        "tests/reporting/test_report.py",
    ),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One worker runs the tests of a file, and of the files that belong together."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return next((name for name, files in TOGETHER.items() if file.startswith(files)), file)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def small_study() -> Study:
    from afanalysis.study.design import Study

    return Study(
        name="small",
        samples=2,
        prompts={"helpful-only": {"first": 12}, "animal-welfare": {"first": 12}},
        sampling={"max_tokens": 4000},
        judge={"max_tokens": 2000},
        seed=7,
    )


@pytest.fixture(scope="session")
def standin():
    from afanalysis.standin.serving import running

    with running(seed=7) as address:
        yield address


@pytest.fixture
def faulty():
    """A stand-in with shares of faults: `with faulty(rate_limited=0.3) as address`."""
    from tests.helpers import standing_in

    @contextlib.contextmanager
    def run(**faults):
        with standing_in(**faults) as (address, _):
            yield address

    return run


@pytest.fixture(scope="session")
def collected(small_study, standin, tmp_path_factory) -> Path:
    """The raw folder of the small study, collected and judged."""
    from tests.helpers import put

    folder = tmp_path_factory.mktemp("raw") / "small"
    put(small_study, folder, standin, judged=True)
    return folder


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, driven by Playwright, whose event loop must end with the module."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("this machine has no Chromium (on Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def labelled(small_study, collected, tmp_path_factory):
    """A project in which the small study was collected, judged, labelled and tidied."""
    import afanalysis as af
    from afanalysis.study.labels import sample_for_labels, write_label_sample

    folders = af.Folders(tmp_path_factory.mktemp("project"), small_study.name)
    shutil.copytree(collected, folders.raw)
    rollouts = af.tidy(folders.raw)
    write_label_sample(folders.raw, sample_for_labels(rollouts, 60), rollouts)
    af.simulate_labels(small_study, folders.raw)
    af.save(af.tidy(folders.raw), folders.table)
    return folders


@pytest.fixture(scope="session")
def reported(labelled, small_study, tmp_path_factory):
    """The same project, drawn and reported."""
    import afanalysis as af

    folders = af.Folders(tmp_path_factory.mktemp("project"), small_study.name)
    shutil.copytree(labelled.project / "data", folders.project / "data")
    rates = af.rates(folders.processed / "rollouts.parquet", "complied")
    rates.to_csv(folders.processed / "rates.csv", index=False)
    gallery = af.Gallery(small_study.name, folders.project)
    with pytest.MonkeyPatch.context() as patch:
        kinds = {kind: af.figures.style._METADATA[kind] for kind in ("svg", "png")}
        patch.setattr("afanalysis.figures.style._METADATA", kinds)  # quicker
        af.write_report(gallery)
    af.write_latex(gallery)
    return folders
