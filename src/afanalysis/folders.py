"""Where a study's files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# The study that stands for the paper's published tables.
PAPER = "paper"


@dataclass(frozen=True)
class Folders:
    """The folders of one study in a project.

    Parameters
    ----------
    project
        The folder that holds `notebooks/`, `data/` and `figures/`.
    study
        The study's name.

    Examples
    --------
    >>> Folders(Path(".."), "demo").raw.as_posix()
    '../data/raw/demo'
    """

    project: Path
    study: str

    def __init__(self, project: str | Path, study: str) -> None:
        object.__setattr__(self, "project", Path(project))
        object.__setattr__(self, "study", study)

    @property
    def raw(self) -> Path:
        """What was collected and judged; append-only."""
        return self.project / "data" / "raw" / self.study

    @property
    def processed(self) -> Path:
        """Tables made from the raw files; may be deleted at any time."""
        return self.project / "data" / "processed" / self.study

    @property
    def figures(self) -> Path:
        """Figures, each beside the rows that it drew."""
        return self.project / "figures" / self.study
