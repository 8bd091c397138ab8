"""The names and places of a study's files."""

import re
from dataclasses import dataclass
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

# Names of studies are names of folders, on any system.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"


@dataclass(frozen=True)
class Folders:
    """The folders of one study in a project.

    Parameters
    ----------
    project
        The folder that holds `notebooks/`, `data/` and `figures/`.
    study
        The study's name.

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

    project: Path
    study: str

    def __init__(self, project: str | Path, study: str) -> None:
        if not re.fullmatch(NAME, study):
            raise InputError(
                f"{excerpt(study)} is not a study name; use letters, digits, '.', '_', '-' (at most 200)"
            )
        object.__setattr__(self, "project", Path(project))
        object.__setattr__(self, "study", study)

    @property
    def raw(self) -> Path:
        """What was collected and judged; append-only."""
        return self.project / "data" / "raw" / self.study

    @property
    def processed(self) -> Path:
        """Tables made from the raw files; safe to delete."""
        return self.project / "data" / "processed" / self.study

    @property
    def figures(self) -> Path:
        """Figures, each beside the rows that it draws."""
        return self.project / "figures" / self.study

    @property
    def table(self) -> Path:
        """The tidy table."""
        return self.processed / TABLE

    @property
    def report(self) -> Path:
        """The report."""
        return self.processed / "report.html"

    @property
    def latex(self) -> Path:
        """The folder of files for LaTeX."""
        return self.processed / "paper"

    @property
    def notebooks(self) -> Path:
        """The executed notebooks."""
        return self.processed / "notebooks"

    @property
    def record(self) -> Path:
        """The record of which notebooks are up to date."""
        return self.processed / ".done.json"
