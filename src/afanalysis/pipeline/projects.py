"""Projects: folders that hold notebooks, studies, data and figures."""

import json
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.study.design import Study
from afanalysis.study.files import write_text
from afanalysis.study.folders import PAPER, Folders

STEPS = ("01_collect", "02_judge", "03_rates", "04_robustness", "05_figures")
_DEMO = "studies/demo.yaml"
_TEMPLATES = {"README.md": "README.md", "gitignore": ".gitignore", "study.yaml": "studies/NAME.yaml"}


def nearest_project(start: str | Path = ".") -> Path | None:
    """The project that a folder belongs to: the nearest one upwards with the numbered notebooks."""
    here = Path(start).resolve()
    folders = (here, *here.parents)
    return next((each for each in folders if (each / "notebooks" / f"{STEPS[0]}.ipynb").exists()), None)


def find_project(start: str | Path = ".") -> Path:
    """The project that a folder belongs to, as `nearest_project` finds it.

    Raises
    ------
    InputError
        No folder upwards is a project.
    """
    if project := nearest_project(start):
        return project
    problem = f"neither this folder nor one above it holds notebooks/{STEPS[0]}.ipynb"
    raise InputError(f"{Path(start).resolve()}: {problem}; make a project with: afanalysis new NAME")


def open_study(study: str | Path, project: str | Path | None = None) -> tuple[Study, Folders]:
    """Read a study and find its folders, from wherever a notebook runs.

    Parameters
    ----------
    study
        The study file; a relative path is one below the current folder, or else below the project.
        `paper` for the paper's published tables.
    project
        The folder that holds `data/` and `figures/`; by default the project that the current folder
        belongs to, or else the one that the study file belongs to.

    Returns
    -------
    tuple of (Study, Folders)
        The study, and where its files are.

    Raises
    ------
    InputError
        There is no such study, or no project.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import afanalysis as af
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "mine.yaml").write_text("name: mine")
    >>> design, folders = af.open_study("mine.yaml", folder)
    >>> folders.raw == folder / "data" / "raw" / "mine"
    True
    """
    path = Path(study)
    place = Path(project) if project else nearest_project() or nearest_project(path.parent)
    if place is None or not place.is_dir():
        problem = f"{place} is not a folder" if place else f"{Path.cwd()} belongs to no project"
        raise InputError(f"{problem}; give its folder (project) or a study's full path (study)")
    paper = str(study) == PAPER
    file = path if path.exists() else place / path
    design = Study(name=PAPER, imported=True) if paper else Study.from_yaml(file)
    return design, Folders(place, design.name)


def default_study(project: Path) -> Path:
    """The study of a project that is run if none is named: the demo, or the only one.

    Raises
    ------
    InputError
        It has no study, or several.
    """
    files = sorted((project / "studies").glob("*.yaml"))
    candidates = [file for file in files if file == project / _DEMO] or files
    if len(candidates) != 1:
        names = ", ".join(file.name for file in files) or "no study"
        raise InputError(f"{project / 'studies'}: holds {names}; name one with: --study FILE")
    return candidates[0]


def new_project(folder: Path) -> Folders:
    """Make a project: notebooks, a study of the folder's name, and folders for data and figures.

    Raises
    ------
    InputError
        The folder exists and is not empty, cannot be written, or its name is not a study's.
    """
    folder = folder.resolve()
    made = Folders(folder, folder.name)
    if folder.name == PAPER:
        raise InputError(f"{folder}: {PAPER!r} stands for the published tables; choose another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not an empty folder; choose another name")
    package = Path(__file__).resolve().parents[1]
    places = (package / "notebooks", package.parents[1] / "notebooks")  # in a wheel, in a checkout
    for notebook in sorted(next(filter(Path.is_dir, places)).glob("0*.ipynb")):
        text = without_outputs(notebook).replace(_DEMO, f"studies/{folder.name}.yaml")
        write_text(folder / "notebooks" / notebook.name, text)
    for template, target in _TEMPLATES.items():
        text = (Path(__file__).with_name("new_project") / template).read_text(encoding="utf-8")
        write_text(folder / target.replace("NAME", folder.name), text.replace("NAME", folder.name))
    for parent in (made.raw.parent, made.processed.parent, made.figures.parent):
        parent.mkdir(parents=True)
    return made


def without_outputs(notebook: Path) -> str:
    """The content of a notebook without its outputs."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(content, indent=1)
