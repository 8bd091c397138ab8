"""What an import did: rows read, kept, repaired and set aside, why, with examples."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from afanalysis.logs.parts import Tally
from afanalysis.study.manifest import write_json
from afanalysis.text.pages import render
from afanalysis.text.untrusted import escape_invisible

_SHOWN = 160


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
    thresholds
        The compliance gap by the graded score from which an answer counts as complying, as
        `afanalysis.importers.merge.by_threshold` gives it.
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
    thresholds: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        """The report as text, for a terminal."""
        lines = [
            f"{self.rows:,} rows of {len(self.files):,} file{'s' * (len(self.files) != 1)} hold "
            f"{self.rollouts:,} rollouts: {self.kept:,} kept ({self.valid:,} of the requested form, "
            f"{self.judged:,} with a verdict), {self.rollouts - self.kept:,} set aside."
        ]
        for title, tally in self.tallies():
            if tally.counts:
                lines.append(f"{title}:")
            for reason, count in tally.ranked():
                file, row, text = tally.examples[reason][0]
                shown = f": {escape_invisible(text, 60)!r}" if text else ""
                lines.append(f"  {count:>8,}  {reason} ({file}, row {row}{shown})")
        if self.ignored:
            lines.append(f"Not read, of no format known here: {', '.join(self.ignored[:8])}")
        lines += self.checks
        return "\n".join(lines)

    def tallies(self) -> tuple[tuple[str, Tally], ...]:
        """What happened to rows, in the order of how much it matters."""
        return (
            ("Set aside", self.set_aside),
            ("Repaired", self.repaired),
            ("Kept, but noted", self.noted),
        )

    def write(self, folder: Path) -> None:
        """Write `import.json` and `import.html` into a folder."""
        write_json(folder / "import.json", asdict(self))
        page = render("import.html.j2", report=self, sections=self._sections())
        (folder / "import.html").write_text(page, encoding="utf-8")

    def _sections(self) -> list[tuple[str, list[dict[str, Any]]]]:
        found = []
        for title, tally in self.tallies():
            rows = [
                {
                    "count": f"{count:,}",
                    "reason": reason,
                    "examples": [
                        {"place": f"{file}, row {row}", "text": escape_invisible(text, _SHOWN)}
                        for file, row, text in tally.examples[reason]
                    ],
                }
                for reason, count in tally.ranked()
            ]
            found.append((title, rows))
        return found
