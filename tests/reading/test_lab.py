"""The transcript browser and labeller in a real JupyterLab, driven by keyboard in a real browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

import afanalysis as af
from afanalysis.study.hashing import text_hash
from afanalysis.study.labels import read_labels
from tests.helpers import notebook

pytestmark = pytest.mark.slow
TOKEN = "for-this-test-only"
MANY = 100_000


@pytest.fixture(scope="module")
def project_folder(project, labelled, small_study, tmp_path_factory):
    """A project with the explore notebook over a small study, and a notebook over 100 000 rollouts."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    (folder / "studies").mkdir()
    (folder / "studies" / "demo.yaml").write_text(small_study.model_dump_json(exclude_defaults=True))
    shutil.copytree(labelled.project / "data", folder / "data")
    shutil.copy(project / "notebooks" / "01_collect.ipynb", folder / "notebooks")  # makes it a project
    explore = json.loads((project / "notebooks" / "06_explore.ipynb").read_text())
    for cell in explore["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    (folder / "notebooks" / "06_explore.ipynb").write_text(json.dumps(explore))
    many = f"""
import pandas as pd
import afanalysis as af
rollouts = af.load("../data/processed/small/rollouts.parquet")
many = pd.concat([rollouts] * ({MANY} // len(rollouts) + 1), ignore_index=True).head({MANY})
many["rollout"] = [f"{{at:032x}}" for at in range(len(many))]
many["sample"] = range(len(many))
many["output"] = many["output"] + " " + many["rollout"]
"""
    text = notebook("level = 0.95", many, "af.browse(many)")
    (folder / "notebooks" / "many.ipynb").write_text(text)
    return folder


@pytest.fixture(scope="module")
def lab(project_folder, tmp_path_factory):
    """JupyterLab, serving the project."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={project_folder}"]
    environment = os.environ | {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=1)
            break
        except OSError:
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture
def page(lab, browser, tmp_path):
    opened = browser.new_page(viewport={"width": 1400, "height": 1300})
    yield opened
    if not opened.is_closed():
        opened.screenshot(path=tmp_path / "last.png")
        opened.close()


def open_notebook(page, lab, name):
    page.goto(f"{lab}/lab/tree/notebooks/{name}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Notebook-cell", timeout=60_000)
    page.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=60_000)


def run_all(page):
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def kernels(lab, method="GET", path=""):
    request = urllib.request.Request(f"{lab}/api/kernels{path}?token={TOKEN}", method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def shown(page, name, value):
    page.wait_for_function(f"document.querySelector('{name}')?.dataset.{value[0]} == '{value[1]}'")


def test_read_filter_label_kill_and_resume(page, browser, lab, project_folder, labelled):
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    open_notebook(page, lab, "06_explore.ipynb")
    run_all(page)
    page.wait_for_selector(".af-browser:not(.labelling) li", timeout=90_000)

    # filter
    rollouts = af.load(labelled.processed / "rollouts.parquet")
    full = int((rollouts["af_full"].fillna(False)).sum())
    page.locator(".af-browser select[aria-label='AF reasoning']").select_option("full")
    shown(page, ".af-browser:not(.labelling)", ("total", full))

    # read a pair, by keyboard
    browser_ = page.locator(".af-browser:not(.labelling)")
    browser_.locator("ul").focus()
    first = browser_.locator(".reading").get_attribute("data-rollout")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        f"document.querySelector('.af-browser .reading').dataset.rollout !== '{first}'"
    )
    assert browser_.locator("article.side").count() == 2
    assert browser_.locator("mark.quote").count() >= 3
    assert browser_.locator("mark.differs").count() >= 1
    browser_.scroll_into_view_if_needed()
    if folder := os.environ.get("AF_SCREENSHOTS"):
        browser_.screenshot(path=f"{folder}/browse.png")

    # label five, by keyboard
    labelling = page.locator(".af-browser.labelling")
    labelling.scroll_into_view_if_needed()
    labelling.focus()
    keys = [("c", "f"), ("r", "n"), ("u", "n"), ("x", ""), ("c", "p")]
    expected = []
    for done, pressed in enumerate(keys, start=1):
        rollout = labelling.locator(".reading").get_attribute("data-rollout")
        assert labelling.get_by_text("Scratchpad").count() == 0
        page.keyboard.press(pressed[0])
        page.keyboard.press("Enter")
        shown(page, ".af-browser.labelling", ("asks", "af"))
        assert labelling.get_by_text("Scratchpad").count() == 1
        if pressed[1]:
            page.keyboard.press(pressed[1])
        if done == 2 and (folder := os.environ.get("AF_SCREENSHOTS")):
            labelling.screenshot(path=f"{folder}/label.png")
        page.keyboard.press("Enter")
        shown(page, ".af-browser.labelling", ("asks", "behaviour"))
        shown(page, ".af-browser.labelling", ("done", done))
        expected.append((rollout, *pressed))
        on_disk = [one for one in read_labels(project_folder / "data/raw/small") if one.labeller == "me"]
        assert len(on_disk) == done

    # kill the kernel, begin again
    (kernel,) = kernels(lab)
    kernels(lab, "DELETE", f"/{kernel['id']}")
    page.close()
    again = browser.new_page(viewport={"width": 1400, "height": 1300})
    open_notebook(again, lab, "06_explore.ipynb")
    run_all(again)
    again.wait_for_selector(".af-browser.labelling[data-done='5']", timeout=90_000)
    next_one = again.locator(".af-browser.labelling .reading").get_attribute("data-rollout")
    assert next_one not in [rollout for rollout, *_ in expected]
    again.close()

    hashed = {
        text_hash(one.rollout): one.rollout for one in read_labels(project_folder / "data/raw/small")
    }
    behaviours = {"c": "complied", "r": "refused", "u": "undecided", "x": "artifact"}
    reasoning = {"f": "full", "p": "partial", "n": "none", "": ""}
    mine = [one for one in read_labels(project_folder / "data/raw/small") if one.labeller == "me"]
    assert [(one.rollout, one.behaviour, one.af) for one in mine] == [
        (hashed[rollout], behaviours[behaviour], reasoning[af_]) for rollout, behaviour, af_ in expected
    ]
    # nothing was fetched from elsewhere
    assert all(url.startswith((lab, "data:", "blob:")) for url in requested), set(requested)


def test_a_link_opens_the_same_pair_in_a_new_tab(browser, lab):
    context = browser.new_context(viewport={"width": 1400, "height": 1300})
    page = context.new_page()
    open_notebook(page, lab, "06_explore.ipynb")
    run_all(page)
    reading = ".af-browser:not(.labelling) .reading"
    page.wait_for_selector(".af-browser.labelling .reading", timeout=90_000)
    first = page.locator(reading).get_attribute("data-rollout")
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.locator(".af-browser:not(.labelling) li").nth(5).click()
    page.wait_for_function(f"document.querySelector('{reading}').dataset.rollout !== '{first}'")
    cited = page.locator(reading).get_attribute("data-rollout")
    page.get_by_role("button", name="copy link").click()
    page.wait_for_function("window.copied")
    link = page.evaluate("window.copied")
    assert TOKEN not in link
    other = context.new_page()
    other.goto(link)
    other.wait_for_selector(".jp-Notebook-cell", timeout=60_000)
    other.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=60_000)
    run_all(other)
    shown(other, reading, ("rollout", cited))
    context.close()


def test_a_hundred_thousand_rollouts_open_and_filter_without_lag(page, lab):
    open_notebook(page, lab, "many.ipynb")
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    cells.nth(0).click()
    for _ in range(2):
        page.keyboard.press("Shift+Enter")
    page.wait_for_function(
        "document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[1].textContent.includes('[2]')",
        timeout=90_000,
    )
    page.wait_for_selector("text=Python 3 (ipykernel) | Idle")
    started = page.evaluate("performance.now()")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".af-browser li", timeout=30_000)
    opened = page.evaluate("Number(document.querySelector('.af-browser').dataset.shown)") - started
    times = []
    for value in ("full", "partial", "none"):
        took = page.evaluate(
            """async (value) => {
              const root = document.querySelector('.af-browser');
              const select = root.querySelector("select[aria-label='AF reasoning']");
              const before = root.dataset.shown;
              const started = performance.now();
              select.value = value;
              select.dispatchEvent(new Event('change'));
              while (root.dataset.shown === before) await new Promise((done) => setTimeout(done, 1));
              return performance.now() - started;
            }""",
            value,
        )
        times.append(took)
    print(f"\n{MANY:,} rollouts: first paint {opened:.0f} ms, filters {[round(t) for t in times]} ms")
    if path := os.environ.get("AF_MEASURED"):
        with open(path, "w") as file:
            json.dump({"rollouts": MANY, "first_paint_ms": opened, "filter_ms": sorted(times)[1]}, file)
    assert int(page.locator(".af-browser").get_attribute("data-total")) > 0


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_page_of_the_browser_has_no_serious_accessibility_finding(page, lab, theme):
    from axe_playwright_python.sync_playwright import Axe

    address = f"{lab}/lab/api/settings/@jupyterlab/apputils-extension:themes?token={TOKEN}"
    setting = json.dumps({"raw": json.dumps({"theme": f"JupyterLab {theme}"})}).encode()
    urllib.request.urlopen(urllib.request.Request(address, setting, method="PUT"))
    open_notebook(page, lab, "06_explore.ipynb")
    page.wait_for_selector(f"body[data-jp-theme-name='JupyterLab {theme}']", state="attached")
    run_all(page)
    page.wait_for_selector(".af-browser.labelling .reading", timeout=90_000)
    found = Axe().run(page, context=".af-browser").response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []
