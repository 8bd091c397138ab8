"""What an import did: rows read, kept, repaired and set aside, why, with examples."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from afanalysis.study.files import write_json, write_text
from afanalysis.text.pages import render
from afanalysis.text.untrusted import escape_invisible

_EXAMPLES = 3


@dataclass
class Tally:
    """How often something happened, by what it was, with the first examples (file, row, text)."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)

    def add(self, reason: str, file: str, row: int, text: str = "") -> None:
        """Count one more."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append((file, row, text))

    def ranked(self) -> list[tuple[str, int]]:
        """Reasons and counts, the most frequent first."""
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))

    def with_example(self, reason: str) -> str:
        """A reason with the place and the text of its first example."""
        file, row, text = self.examples[reason][0]
        shown = f": {escape_invisible(text, 60)!r}" if text else ""
        return f"{reason} ({file}, row {row}{shown})"


@dataclass
class ImportReport:
    """What an import did.

    Attributes
    ----------
    study
        The study's name.
    files
        Of each file: `name`, `format`, `bytes`, `sha256`, `rows`.
    ignored
        Files in given folders that are of no format known here.
    columns, unused
        Which fields filled which column, and which filled none.
    rows
        Rows read.
    rollouts
        How many rollouts they hold: in a wide table a row holds two.
    kept
        Rollouts kept, each once.
    valid, judged
        Of those, how many have the requested form, and how many have a verdict.
    repaired, set_aside, noted
        What was repaired; what was left out; what was kept as it is but should be known.
    checks
        What is odd about the rollouts as a whole.
    threshold
        From which graded score an answer complies.

    Examples
    --------
    >>> print(ImportReport("mine", rows=2, rollouts=2, kept=2, valid=2))
    2 rows of 0 files hold 2 rollouts: 2 kept (2 of the requested form, 0 with a verdict), 0 set aside.
    """

    study: str
    files: list[dict[str, Any]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    rows: int = 0
    rollouts: int = 0
    kept: int = 0
    valid: int = 0
    judged: int = 0
    repaired: Tally = field(default_factory=Tally)
    set_aside: Tally = field(default_factory=Tally)
    noted: Tally = field(default_factory=Tally)
    checks: list[str] = field(default_factory=list)
    threshold: float = 0.5

    def __str__(self) -> str:
        """The report as text, for a terminal."""
        lines = [
            f"{self.rows:,} rows of {len(self.files):,} file{'s' * (len(self.files) != 1)} hold "
            f"{self.rollouts:,} rollouts: {self.kept:,} kept ({self.valid:,} of the requested form, "
            f"{self.judged:,} with a verdict), {self.rollouts - self.kept:,} set aside."
        ]
        for title, tally in self.tallies().items():
            if tally.counts:
                lines.append(f"{title}:")
            for reason, count in tally.ranked():
                lines.append(f"  {count:>8,}  {tally.with_example(reason)}")
        if self.ignored:
            lines.append(f"Not read, of no format known here: {', '.join(self.ignored[:8])}")
        return escape_invisible("\n".join([*lines, *self.checks]), None)

    def tallies(self) -> dict[str, Tally]:
        """By title what happened to rows, in the order of how much it matters."""
        return {"Set aside": self.set_aside, "Repaired": self.repaired, "Kept, but noted": self.noted}

    def write(self, folder: Path) -> None:
        """Write `import.json` and `import.html` into a folder."""
        write_json(folder / "import.json", asdict(self))
        page = render("import.html.j2", report=self, visible=escape_invisible)
        write_text(folder / "import.html", page)
