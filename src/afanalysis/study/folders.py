"""The names and places of a study's files."""

import re
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.text.untrusted import excerpt

# The name under which the paper's published tables are treated as a study.
PAPER = "paper"

# The files of a raw folder, and the table made from them.
ROLLOUTS = "rollouts.jsonl"
JUDGEMENTS = "judgements.jsonl"
LEDGER = "ledger.jsonl"
JUDGES = "judges.json"
MANIFEST = "manifest.json"
PROMPTS = "prompts.json"
LABELS = "labels.csv"
LABEL_SAMPLE = "label_sample.csv"
LABEL_SHEET = "label_sheet.csv"
STUDY_FILE = "study.yaml"
JUDGE_CHECK = "judge_check"
TABLE = "rollouts.parquet"

# The runs of a sweep, in its processed folder.
RUNS = "runs.csv"

# Names of studies are names of folders, on any system.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"


class Folders:
    """The folders of one study in a project.

    Parameters
    ----------
    project
        The folder that holds `notebooks/`, `data/` and `figures/`.
    study
        The study's name.

    Attributes
    ----------
    raw
        What was collected and judged; append-only.
    processed
        Tables made from the raw files; safe to delete.
    figures
        Figures, each beside the rows that it draws.
    table, report, latex
        The tidy table, the report, and the folder of files for LaTeX.
    notebooks, record
        The executed notebooks, and the record of which are up to date.
    study_file
        The study's file, if a sweep made it.

    Raises
    ------
    InputError
        The name is not one that a study and its folders can have.

    Examples
    --------
    >>> import afanalysis as af
    >>> af.Folders("..", "demo").raw.as_posix()
    '../data/raw/demo'
    """

    def __init__(self, project: str | Path, study: str) -> None:
        if not re.fullmatch(NAME, study):
            right = "use letters, digits, '.', '_', '-' (at most 200)"
            raise InputError(f"{excerpt(study)} is not a study name; {right}")
        self.project, self.study = Path(project), study
        self.raw = self.project / "data" / "raw" / study
        self.processed = self.project / "data" / "processed" / study
        self.figures = self.project / "figures" / study
        self.table = self.processed / TABLE
        self.report = self.processed / "report.html"
        self.latex = self.processed / "paper"
        self.notebooks = self.processed / "notebooks"
        self.study_file = self.processed / STUDY_FILE
        self.record = self.processed / ".done.json"
