"""Import other tools' logs: from files to a study that everything else can read.

A pass over all rows writes each rollout's record to one temporary file and an index entry to another;
the index decides which rollouts are kept and numbers them; a second pass over the records writes those.
"""

import itertools
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
import pandas as pd

from afanalysis.errors import InputError
from afanalysis.logs.classifier_votes import Scales
from afanalysis.logs.fields import Mapping
from afanalysis.logs.formats import FORMATS, AnyPath, Files, Paths, find_logs, meaning_of_places
from afanalysis.logs.records import Rejected, Row, content_hash, json_rows
from afanalysis.logs.results import ANSWERS_ONLY, Requests, read_requests
from afanalysis.logs.rows import STATES, Reader, Rollout, to_json
from afanalysis.study.design import Study
from afanalysis.study.files import cannot_write, write_json, write_text
from afanalysis.study.folders import JUDGEMENTS, MANIFEST, PROMPTS, ROLLOUTS, STUDY_FILE
from afanalysis.study.hashing import stable_key, text_hash
from afanalysis.study.journal import LONGEST_RECORD, replacing
from afanalysis.study.manifest import versions
from afanalysis.study.tidying import tidy
from afanalysis.study.votes import IMPORTED
from afanalysis.table.database import connect, quote_path
from afanalysis.text import progress
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

    @property
    def total(self) -> int:
        """How often any of it happened."""
        return sum(self.counts.values())

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
        Of each file: `name`, `format`, `bytes`, `sha256` (of what it unpacks to), `rows`.
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
    2 = 2 kept + 0 set aside.
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
            f"{self.judged:,} with a verdict), {self.set_aside.total:,} set aside."
        ]
        for title, tally in self.tallies().items():
            if tally.counts:
                lines.append(f"{title}:")
            for reason, count in tally.ranked():
                lines.append(f"  {count:>8,}  {tally.with_example(reason)}")
        if self.ignored:
            lines.append(f"Not read, of no format known here: {', '.join(self.ignored[:8])}")
        balance = f"{self.rollouts:,} = {self.kept:,} kept + {self.set_aside.total:,} set aside."
        return escape_invisible("\n".join([*lines, *self.checks, balance]), None)

    def tallies(self) -> dict[str, Tally]:
        """By title what happened to rows, in the order of how much it matters."""
        return {"Set aside": self.set_aside, "Repaired": self.repaired, "Kept, but noted": self.noted}

    def write(self, folder: Path) -> None:
        """Write `import.json` and `import.html` into a folder."""
        write_json(folder / "import.json", asdict(self))
        page = render("import.html.j2", report=self, visible=escape_invisible)
        write_text(folder / "import.html", page)


# The folders in which imports work, beside the study's.
_WORKPLACE = ".import-"

_LOCK = ".lock"

# The file of records, one rollout per line without its opening brace, which comes with its key; and that
# of index entries, one JSON object per rollout, as `rollout_index.sql` has them.
RECORDS, ENTRIES = "records.jsonl", "entries.jsonl"

# What an entry has as its record has it; `rollout_index.sql` has the other columns.
_COPIED = (
    *("setting", "variation", "model", "tier", "prompt_id", "source"),
    *("score", "valid", "collected_at"),
)

# Bytes collected before they are written.
BUFFER = 1 << 20


_STUDY_FILE_HEAD = (
    "# Made by `afanalysis import` of collected rollouts; `judge` is what another judge would be.\n"
)


def _sql(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")


def import_logs(
    paths: Paths,
    folder: str | Path,
    *,
    format: str = "auto",
    mapping: Mapping | None = None,
    asked: str | Path | None = None,
    strict: bool = False,
) -> ImportReport:
    r"""Import logs of other tools as a study.

    The same files give the same study, in whatever order and however often they are named; importing
    again replaces what was imported before. Hand labels and the verdicts of other judges stay: a
    rollout's key does not depend on verdicts.

    Parameters
    ----------
    paths
        Files, folders and globs.
    folder
        The study's raw folder; its last part is the study's name.
    format
        One of `afanalysis.logs.formats.FORMATS`, or `auto` to recognise each file.
    mapping
        Which field is which column, where names do not tell, and from which score an answer complies.
    asked
        For results of batches: the study file, or the file of requests, that they answer.
    strict
        Refuse logs in which anything has to be repaired or set aside.

    Returns
    -------
    ImportReport
        Also written to the folder, as `import.html` and `import.json`.

    Raises
    ------
    InputError
        A file is missing, damaged or made to do harm; no row can be read as a rollout; the folder holds
        rollouts that were collected; or `strict` finds something. The study is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> header, row = "prompt,response,tier,model,refused", "Why?,No.,paid,m,true"
    >>> _ = (folder / "answers.csv").write_text(f"{header}\n{row}\n")
    >>> import_logs([folder / "answers.csv"], folder / "mine").kept
    1
    """
    folder, mapping = Path(folder), mapping or Mapping()
    files, ignored = find_logs(paths, format)
    if asked is None and any(format in ANSWERS_ONLY for *_, format in files):
        advice = "name its file with --asked FILE, or read the rows as they are (format jsonl)"
        raise InputError(f"what was asked is not in results of batches; {advice}")
    requests = read_requests(Path(asked)) if asked else {}
    _refuse_collected(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _workplace(folder.parent) as workplace:
            scales = {  # the open-source pipeline writes proportions
                format: Scales(mapping.scales, mapping.threshold, known=format == "pipeline")
                for *_, format in files
            }
            digests, settled = {path: content_hash(path) for _, path, _ in files}, False
            while not settled:  # a column whose scale shows at its end is read again
                report = ImportReport(folder.name, ignored=ignored, threshold=mapping.threshold)
                under_way = _Import(workplace, mapping, report)
                under_way.record_rollouts(files, digests, requests, scales)
                columns = (scale for each in scales.values() for scale in each.values())
                settled = not [scale for scale in columns if not scale.settled()]
            under_way.keep_each_once(folder)
            for tally in (report.set_aside, report.repaired) if strict else ():
                for reason in tally.counts:
                    raise InputError(f"{tally.with_example(reason)}; without --strict it is reported")
            under_way.write_study()
            _put_in_place(workplace / folder.name, folder)
    except OSError as error:
        raise cannot_write(error.filename or folder, error) from error
    return report


def read_logs(
    paths: Paths, *, format: str = "auto", mapping: Mapping | None = None, asked: AnyPath | None = None
) -> tuple[pd.DataFrame, ImportReport]:
    r"""The tidy table of other tools' logs, without making a study of them, and what was done for it.

    Parameters
    ----------
    paths, format, mapping, asked
        As in `import_logs`.

    Returns
    -------
    tuple
        The table, one row per rollout with the columns of `docs/data.md`, and the report.

    Raises
    ------
    InputError
        As in `import_logs`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "answers.csv")
    >>> header, row = "prompt,response,tier,model,refused", "Why?,No.,paid,m,true"
    >>> _ = path.write_text(f"{header}\n{row}\n")
    >>> table, report = read_logs([path])
    >>> table[["tier", "output", "complied"]].values.tolist()
    [['paid', 'No.', False]]
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "imported")
        report = import_logs(paths, folder, format=format, mapping=mapping, asked=asked)
        return tidy(folder, unjudged=not (folder / JUDGEMENTS).exists()), report


@contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    """A folder to work in, held by a lock; those that killed imports have left behind are removed."""
    from filelock import FileLock

    for leftover in parent.glob(f"{_WORKPLACE}*"):
        with suppress(OSError), FileLock(leftover / _LOCK, timeout=0):  # else it is in use
            shutil.rmtree(leftover, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=_WORKPLACE, dir=parent) as place,
        FileLock(Path(place, _LOCK)),
    ):
        yield Path(place)


@dataclass
class _Import:
    """An import under way.

    Attributes
    ----------
    workplace
        Where the records are, and the study's new folder is made.
    mapping
        The user's.
    report
        Filled in with what was done.
    systems, own_tiers
        The system prompts by name, and the roles of tiers that are neither free nor paid.
    """

    workplace: Path
    mapping: Mapping
    report: ImportReport
    systems: dict[str, str] = field(default_factory=dict)
    own_tiers: dict[str, str] = field(default_factory=dict)

    def _rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query on `kept` and `others`, as `rollout_index.sql` has them."""
        return iter(self._index.execute(sql).fetchone, None)

    def _values(self, column: str) -> list[str]:
        """What occurs in a column of the rollouts kept, the default first and the rest in order."""
        order = f"{column} NOT IN ('default', 'helpful-only'), {column}"
        rows = self._rows(f"SELECT {column} FROM kept GROUP BY {column} ORDER BY {order}")
        return [value for (value,) in rows]

    def record_rollouts(
        self, files: Files, digests: dict[Path, str], requests: Requests, scales: dict[str, Scales]
    ) -> None:
        """Read all rows of all files into `RECORDS` and `ENTRIES`.

        Parameters
        ----------
        files, digests
            The files' names, paths and formats, and by path a hash of what it holds.
        requests, scales
            What results of batches answer, and by format the scales of verdicts.
        """
        report = self.report
        sources: dict[str, set[str]] = defaultdict(set)
        numbers = itertools.count()
        places = meaning_of_places(digests)
        with (
            progress.bar(total=len(files), unit="file", desc="import", delay=2) as bar,
            (self.workplace / RECORDS).open("wb", buffering=BUFFER) as records,
            (self.workplace / ENTRIES).open("wb", buffering=BUFFER) as entries,
        ):
            for number, (file, path, format) in enumerate(files):
                about = {"name": file, "format": format, "rows": 0, "bytes": path.stat().st_size}
                report.files.append(about | {"sha256": digests[path]})
                reader = Reader(self.mapping, format, places[path], scales[format], requests)
                _, rows_of = FORMATS[format]
                rows = rows_of(path, self.mapping.rows) if rows_of is json_rows else rows_of(path)
                for row, rollout, forgiven in self._rollouts(rows, reader):
                    record, votes = rollout.record, rollout.votes
                    if rollout.system:
                        self.systems[record["system"]] = rollout.system
                    line = to_json(record)[1:] + b"\n"
                    repairs = [(forgiven, "")] * bool(forgiven) + rollout.repairs
                    entry: dict[str, Any] = {column: record[column] for column in _COPIED}
                    entry |= rollout.identity | {
                        "line": next(numbers),
                        "checksum": crc32(repr(votes).encode() + line),
                        "verdicts": sum(verdict is not None for vote in votes for verdict in vote),
                        "judged": any(vote[0] is not None for vote in votes),
                        "digest": digests[path],
                        "file": number,
                        "row": row,
                        "request": text_hash(record["request"]) if record["request"] else None,
                        "sample": rollout.sample,
                        "votes": votes,
                        "remarks": [repairs, rollout.notes] if repairs or rollout.notes else None,
                    }
                    records.write(line)
                    entries.write(to_json(entry) + b"\n")
                self.own_tiers |= reader.own_tiers
                for column, source in reader.sources():
                    sources[column].add(source)
                bar.update()
        report.unused = sorted(sources.pop("", ()))
        report.columns = {column: sorted(names) for column, names in sources.items()}

    def _rollouts(self, rows: Iterable[Row], reader: Reader) -> Iterator[tuple[int, Rollout, str]]:
        """The rollouts of a file's rows, with the rows' numbers and what was forgiven in them.

        Rows that hold none go to the report.
        """
        report, file = self.report, self.report.files[-1]
        for number, row, forgiven in rows:
            report.rows, file["rows"] = report.rows + 1, number
            for rollout in reader.rollouts(row):
                report.rollouts += 1
                if isinstance(rollout, Rejected):
                    report.set_aside.add(str(rollout), file["name"], number, rollout.detail)
                else:
                    yield number, rollout, forgiven

    def keep_each_once(self, folder: Path) -> None:
        """Choose the rollouts to keep, as `identity` in `formats.toml` says, and fill in the report."""
        entries, report = self.workplace / ENTRIES, self.report
        self._index = connect(entries)
        sql = _sql("rollout_index").format(entries=quote_path(entries), longest=LONGEST_RECORD)
        self._index.execute(sql)
        names = [str(file["name"]) for file in report.files]
        for reason, file, row, prompt_id in self._rows("FROM others"):
            report.set_aside.add(reason, names[file], row, prompt_id)
        # what is set aside is neither repaired nor noted
        remarked = "FROM entries SEMI JOIN kept USING (line) WHERE remarks IS NOT NULL ORDER BY line"
        for file, row, remarks in self._rows(f"SELECT file, row, remarks {remarked}"):
            tallies = (report.repaired, report.noted)
            for tally, reasons in zip(tallies, orjson.loads(remarks), strict=True):
                for reason, text in reasons:
                    tally.add(reason, names[file], row, text)
        counts = "count(*), count_if(valid), count_if(judged), count_if(valid AND NOT judged)"
        [(report.kept, report.valid, report.judged, unscored)] = self._rows(f"SELECT {counts} FROM kept")
        if report.rollouts != report.kept + report.set_aside.total:
            raise AssertionError("what was kept and what was set aside are not all rollouts")
        if not report.rows:
            raise InputError("the files hold no rows")
        if not report.kept:
            reason, count = report.set_aside.ranked()[0]
            example = report.set_aside.with_example(reason)
            raise InputError(f"no rollout can be read; {count:,} of {report.rows:,} rows: {example}")
        report.checks = [sentence for (sentence,) in self._rows(_sql("oddities"))]
        fields = ", ".join(report.unused[:12]) or "none"
        texts = ("completion", "output", "messages")
        if not any(column.rpartition(".")[2] in texts for column in report.columns):
            advice = f"if one of the fields not used ({fields}) holds them: --map completion=FIELD"
            report.checks.append(f"No texts of answers were found; {advice}.")
        if "variation" not in report.columns:
            report.checks.append("No variation is named: taken as default.")
        if not report.judged:
            have = f"If one of the fields not used ({fields}) holds one: --map complied=FIELD."
            judge = f"afanalysis judge --study {folder / STUDY_FILE}, with --rules or --live"
            report.checks.append(f"No verdict was found. {have} If none does: {judge}.")
        elif unscored:
            report.checks.append(f"{STATES['unscored']['reason']}: {unscored:,} rollouts, in no rate.")

    def write_study(self) -> None:
        """Write a study's files into a new folder in the workplace."""
        import yaml

        report, mapping = self.report, self.mapping
        folder = self.workplace / report.study
        folder.mkdir()
        formats = sorted({str(file["format"]) for file in report.files})
        renames = [[*pair, meaning] for pair, meaning in mapping.renames.items()]
        meanings = sorted([pair, meaning] for *pair, meaning in renames)
        choices: list[Any] = [sorted(mapping.columns.items()), meanings, mapping.threshold]
        choices += [sorted(mapping.scales.items())] * bool(mapping.scales)
        judge = f"{IMPORTED}@{stable_key([choices, formats])[:8]}"
        with (
            (folder / ROLLOUTS).open("wb", buffering=BUFFER) as rollouts,
            (folder / JUDGEMENTS).open("wb", buffering=BUFFER) as judgements,
        ):
            for rollout, votes in self._journal_lines(judge):
                rollouts.write(rollout)
                judgements.write(votes)
        [(samples,)] = self._rows("SELECT max(sample) + 1 FROM kept")
        fields = {
            "name": report.study,
            "description": f"Imported from {len(report.files)} file{'s' * (len(report.files) != 1)} "
            f"({', '.join(formats)}); import.html says what was kept.",
            "imported": True,
            "own_tiers": {
                name: {"tag": f"<tier>{name}</tier>", "role": role}
                for name, role in sorted(self.own_tiers.items())
            },
            "samples": samples,
        }
        for column in ("model", "setting", "variation", "tier"):
            fields[f"{column}s"] = self._values(column)
        study = Study.checked(fields, report.study)
        content = study.model_dump(mode="json", exclude_defaults=True, exclude_unset=True)
        text = _STUDY_FILE_HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (folder / STUDY_FILE).write_text(text, encoding="utf-8")
        write_json(folder / PROMPTS, dict(sorted(self.systems.items())))
        manifest = {
            "source": "simulated" if self._values("source") == ["simulated"] else "imported",
            "study": study.model_dump(mode="json"),
            "planned": report.kept,
            "collected": report.kept,
            "spend": None,
            "runs": [{"versions": versions()}],
            "imported": {"files": report.files, **vars(mapping), "renames": renames},
        }
        write_json(folder / MANIFEST, manifest)
        report.write(folder)

    def _journal_lines(self, judge: str) -> Iterator[tuple[bytes, bytes]]:
        """Of each rollout kept, its line of `rollouts.jsonl`, and its votes' of `judgements.jsonl`."""
        digests = [str(file["sha256"])[:8] for file in self.report.files]
        columns = "line, kept.name, kept.sample, kept.file, kept.row, kept.setting, votes"
        kept = self._rows(f"SELECT {columns} FROM kept JOIN entries USING (line) ORDER BY line")
        with (self.workplace / RECORDS).open("rb", buffering=BUFFER) as records:
            lines = enumerate(records)
            for number, name, sample, file, row, setting, votes in kept:
                line = next(line for position, line in lines if position == number)
                key, origin = _key(name), f"{digests[file]}:{row:09}"
                head = {"key": key, "study": self.report.study, "sample": sample, "origin": origin}
                about = {"rollout": key, "setting": setting, "judge": judge}
                ballot = b""
                for nth, vote in enumerate(orjson.loads(votes)):
                    vote_key = sha256(f"{key} {judge} {nth}".encode()).hexdigest()[:32]
                    record = {"key": vote_key, **about, "vote": nth}
                    if vote == [None, None, None]:
                        record["undecided"] = "the log's own classifier decided nothing"
                    else:
                        record |= zip(("complied", "af_full", "af_partial"), vote, strict=True)
                    ballot += orjson.dumps(record | {"quotes": 0, "quotes_not_found": 0}) + b"\n"
                yield orjson.dumps(head)[:-1] + b"," + line, ballot


def _key(name: str) -> str:
    """A rollout's key, from its name in the index.

    The first version wrote each half of the hash backwards; labels refer to keys so written.
    """
    digest = bytes.fromhex(name)
    return (digest[7::-1] + digest[:7:-1]).hex()


def _refuse_collected(folder: Path) -> None:
    """Raise `InputError` where a folder holds rollouts that were collected and not imported."""
    rollouts = folder / ROLLOUTS
    if rollouts.exists() and rollouts.stat().st_size and not (folder / STUDY_FILE).exists():
        raise InputError(f"{folder}: holds rollouts that were collected; give the import another name")


def _put_in_place(new: Path, folder: Path) -> None:
    """Move a newly written study into place; labels and other judges' votes stay.

    Parameters
    ----------
    new
        The folder that `_write_study` wrote, on the same disk.
    folder
        The study's raw folder; where it does not exist yet, it appears whole or not at all.

    Raises
    ------
    InputError
        Another process is collecting or judging there, or has collected there.
    """
    if not folder.exists():
        _drop_if_empty(new / JUDGEMENTS)
        new.replace(folder)
        return
    with replacing(folder):
        _refuse_collected(folder)
        own = f'"judge":"{IMPORTED}@'.encode()
        if (folder / JUDGEMENTS).exists():
            with (folder / JUDGEMENTS).open("rb") as votes, (new / JUDGEMENTS).open("ab") as judgements:
                judgements.writelines(vote for vote in votes if own not in vote)
        # the study file comes first: without one, rollouts would pass for collected ones
        for path in sorted(new.iterdir(), key=lambda path: path.name != STUDY_FILE):
            path.replace(folder / path.name)
        _drop_if_empty(folder / JUDGEMENTS)


def _drop_if_empty(path: Path) -> None:
    if not path.stat().st_size:
        path.unlink()
