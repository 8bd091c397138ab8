"""Import other tools' logs: from files to a study that everything else can read.

One pass over all rows writes each rollout's record to a temporary file and what has to be known of it to
an index; the index then decides which rollouts are kept and numbers them; a second pass writes these.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson

from afanalysis.errors import InputError
from afanalysis.logs.batch_results import Requests, read_requests
from afanalysis.logs.classifier_votes import Vote
from afanalysis.logs.fields import Mapping
from afanalysis.logs.finding import LogFile, find_logs
from afanalysis.logs.formats import FORMATS, Format, recognise
from afanalysis.logs.import_checks import checks, gaps_by_threshold
from afanalysis.logs.import_report import ImportReport
from afanalysis.logs.log_rows import Rejected
from afanalysis.logs.rollout_index import Entry, RolloutIndex
from afanalysis.logs.rows import Reader, Rollout, to_json
from afanalysis.study.design import Study
from afanalysis.study.folders import JUDGEMENTS, MANIFEST, PROMPTS, ROLLOUTS, STUDY_FILE
from afanalysis.study.hashing import file_hash, stable_key, text_hash
from afanalysis.study.journal import PATIENCE, write_json
from afanalysis.study.manifest import versions
from afanalysis.study.tidying import tidy
from afanalysis.study.votes import IMPORTED
from afanalysis.text import progress

if TYPE_CHECKING:
    import pandas as pd

# Files of all rollouts' records, before it is known which are kept.
_RECORDS = "records.jsonl"

# The folders in which imports work, beside the study's.
_WORKPLACE = ".import-"

_LOCK = ".lock"

# Smaller logs take no time worth showing.
_WORTH_A_BAR = 10_000_000


def import_logs(
    paths: Sequence[str | Path],
    folder: str | Path,
    *,
    format: str = "auto",
    mapping: Mapping | None = None,
    asked: str | Path | None = None,
    strict: bool = False,
) -> ImportReport:
    """Import logs of other tools as a study.

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
        `inspect`, `pipeline`, `batches`, `csv`, `jsonl`, `json`, `parquet`, or `auto` to recognise each
        file.
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
    >>> _ = (folder / "answers.csv").write_text(f"{header}\\n{row}\\n")
    >>> import_logs([folder / "answers.csv"], folder / "mine").kept
    1
    """
    folder, mapping = Path(folder), mapping or Mapping()
    files, ignored = _files(paths, format)
    if asked is None and any(format.name == "batches" for _, format in files):
        raise InputError(
            "results of batches do not say what was asked: name the study file, or the file of "
            "requests, with --asked FILE"
        )
    requests = read_requests(Path(asked)) if asked else {}
    if (folder / ROLLOUTS).exists() and not (folder / STUDY_FILE).exists():
        raise InputError(f"{folder}: holds rollouts that were collected; give the import another name")
    report = ImportReport(folder.name, ignored=ignored, threshold=mapping.threshold)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _workplace(folder.parent) as workplace, RolloutIndex(workplace / "index.duckdb") as index:
            read = _read(files, mapping, requests, workplace / _RECORDS, index, report)
            if strict:
                _refuse_flaws(report)
            _keep_each_once(index, folder, report)
            new = workplace / folder.name
            new.mkdir()
            _write_study(new, workplace / _RECORDS, index, read, mapping, report)
            _put_in_place(new, folder)
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be written ({error.strerror})") from error
    return report


def read_logs(
    paths: Sequence[str | Path],
    *,
    format: str = "auto",
    mapping: Mapping | None = None,
    asked: str | Path | None = None,
) -> tuple[pd.DataFrame, ImportReport]:
    """The tidy table of other tools' logs, without making a study of them, and what was done for it.

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
    >>> _ = path.write_text(f"{header}\\n{row}\\n")
    >>> table, report = read_logs([path])
    >>> table[["tier", "output", "complied"]].values.tolist()
    [['paid', 'No.', False]]
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "imported")
        report = import_logs(paths, folder, format=format, mapping=mapping, asked=asked)
        return tidy(folder, unjudged=not (folder / JUDGEMENTS).exists()), report


def _files(paths: Sequence[str | Path], format: str) -> tuple[list[tuple[LogFile, Format]], list[str]]:
    if format not in (*FORMATS, "auto"):
        raise InputError(
            f"there is no format {format!r}; use one of: {', '.join(FORMATS)}, or auto"
        )
    logs, ignored = find_logs(paths)
    occurrences: Counter[str] = Counter()
    files = []
    for log in logs:
        recognised = recognise(log.path)
        occurrences[log.name] += 1
        if occurrences[log.name] > 1:  # the same name in two folders
            log = LogFile(log.path, f"{log.name} ({occurrences[log.name]})")
        files.append((log, recognised if format == "auto" else FORMATS[format]))
    return files, ignored


@contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    """A folder to work in, held by a lock; those that killed imports have left behind are removed."""
    from filelock import FileLock, Timeout

    for leftover in parent.glob(f"{_WORKPLACE}*"):
        with suppress(Timeout), FileLock(leftover / _LOCK, timeout=0):
            shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_WORKPLACE, dir=parent) as place:
        with FileLock(Path(place, _LOCK)):
            yield Path(place)


@dataclass
class _Read:
    """What was read beside the rollouts: system prompts by name, and all combinations of votes."""

    systems: dict[str, str] = field(default_factory=dict)
    votes: dict[tuple[Vote, ...], int] = field(default_factory=dict)


def _read(
    files: Sequence[tuple[LogFile, Format]],
    mapping: Mapping,
    requests: Requests,
    records: Path,
    index: RolloutIndex,
    report: ImportReport,
) -> _Read:
    """Read all rows: records go to a file, what decides on them to the index, the rest to the report."""
    read = _Read()
    columns: dict[str, set[str]] = {}
    unused: set[str] = set()
    sizes = [log.path.stat().st_size for log, _ in files]
    bar = progress.bar(
        total=sum(sizes),
        unit="B",
        unit_scale=True,
        desc="import",
        disable=sum(sizes) < _WORTH_A_BAR,
    )
    with bar, records.open("wb") as lines:
        for number, ((log, format), size) in enumerate(zip(files, sizes, strict=True)):
            digest = file_hash(log.path)
            reader = Reader(mapping, format.usual, format.place(log.path))
            unnamed: Counter[bytes] = Counter()
            last = 0
            for last, row, forgiven in format.rows(log.path, requests):
                report.rows += 1
                if forgiven:
                    report.repaired.add(forgiven, log.name, last, "")
                for rollout in [row] if isinstance(row, Rejected) else reader.rollouts(row):
                    if isinstance(rollout, Rejected):
                        report.set_aside.add(str(rollout), log.name, last, rollout.detail)
                        continue
                    for reason, text in rollout.repairs:
                        report.repaired.add(reason, log.name, last, text)
                    for reason, text in rollout.notes:
                        report.noted.add(reason, log.name, last, text)
                    if rollout.system:
                        read.systems[rollout.record["system"]] = rollout.system
                    name = rollout.identity
                    if not rollout.named:
                        nth = f"{digest} {unnamed[name]}".encode()
                        unnamed[rollout.identity] += 1
                        name = sha256(name + nth).digest()[:16]
                    line = to_json(rollout.record)[1:] + b"\n"  # its opening brace comes with its key
                    lines.write(line)
                    votes = read.votes.setdefault(rollout.votes, len(read.votes))
                    index.add(_entry(rollout, index.size, name, line, votes, digest, number, last))
            for column, names in reader.sources()[0].items():
                columns.setdefault(column, set()).update(names)
            unused |= reader.sources()[1]
            about = {"name": log.name, "format": format.name, "bytes": size}
            report.files.append(about | {"sha256": digest, "rows": last})
            bar.update(size)
    report.columns = {column: sorted(names) for column, names in columns.items()}
    report.unused = sorted(unused)
    report.rollouts = index.size + sum(report.set_aside.counts.values())
    return read


def _entry(
    rollout: Rollout,
    number: int,
    name: bytes,
    line: bytes,
    votes: int,
    digest: str,
    file: int,
    row: int,
) -> Entry:
    record = rollout.record
    verdicts, judged, checksum = _summed(rollout.votes)
    return Entry(
        line=number,
        name=name.hex(),
        identity=rollout.identity.hex(),
        named=rollout.named,
        checksum=crc32(line, checksum),
        verdicts=verdicts,
        judged=judged,
        digest=digest,
        file=file,
        row=row,
        setting=record["setting"],
        variation=record["variation"],
        model=record["model"],
        tier=record["tier"],
        prompt_id=record["prompt_id"],
        source=record["source"],
        request=text_hash(record["request"]) if record["request"] else None,
        sample=rollout.sample,
        score=record["score"],
        valid=record["valid"],
        votes=votes,
    )


@lru_cache(maxsize=1 << 12)
def _summed(votes: tuple[Vote, ...]) -> tuple[int, bool, int]:
    """How many verdicts votes hold, whether one of them is on compliance, and their checksum."""
    verdicts = sum(verdict is not None for vote in votes for verdict in vote)
    return verdicts, any(vote[0] is not None for vote in votes), crc32(repr(votes).encode())


def _refuse_flaws(report: ImportReport) -> None:
    flaws = [
        (*examples[0], reason)
        for tally in (report.set_aside, report.repaired)
        for reason, examples in tally.examples.items()
    ]
    if flaws:
        file, row, text, reason = min(flaws)
        shown = f" ({text[:80]!r})" if text else ""
        raise InputError(f"{file}, row {row}: {reason}{shown}; without --strict it is reported")


def _keep_each_once(index: RolloutIndex, folder: Path, report: ImportReport) -> None:
    """Choose the rollouts to keep, and report on them."""
    names = [str(file["name"]) for file in report.files]
    for reason, file, row, prompt_id in index.keep_each_once():
        report.set_aside.add(reason, names[file], row, prompt_id)
    [(report.kept, report.valid, report.judged)] = index.rows(
        "SELECT count(*), count_if(valid), count_if(judged) FROM kept"
    )
    if not report.kept:
        raise InputError(_nothing_kept(report))
    report.checks, report.thresholds = checks(index), gaps_by_threshold(index)
    if not report.judged:
        fields = ", ".join(report.unused[:12]) or "none"
        report.checks.append(
            f"No verdict was found. If one of the fields not used ({fields}) holds one: "
            f"--map complied=FIELD. If none does: afanalysis judge --study {folder / STUDY_FILE}, with "
            "--rules or --live."
        )


def _nothing_kept(report: ImportReport) -> str:
    reasons = report.set_aside.ranked()
    if not reasons:
        return "the files hold no rows"
    reason, count = reasons[0]
    file, row, text = report.set_aside.examples[reason][0]
    shown = f", found {text[:80]!r}" if text else ""
    return (
        f"no rollout can be read; {count:,} of {report.rows:,} rows: {reason} ({file}, row {row}{shown})"
    )


def _write_study(
    folder: Path,
    records: Path,
    index: RolloutIndex,
    read: _Read,
    mapping: Mapping,
    report: ImportReport,
) -> None:
    """Write the study's files into a new folder."""
    formats = sorted({str(file["format"]) for file in report.files})
    told = [
        sorted(mapping.columns.items()),
        sorted(map(list, mapping.renames.items())),
        mapping.threshold,
    ]
    judge = f"{IMPORTED}@{stable_key([told, formats])[:8]}"
    study = _study(index, formats, report)
    _write_journals(folder, records, index, read, judge, report)
    write_json(folder / PROMPTS, dict(sorted(read.systems.items())))
    (folder / STUDY_FILE).write_text(_yaml(study), encoding="utf-8")
    report.write(folder)
    manifest = {
        "source": "simulated" if index.values("source") == {"simulated"} else "imported",
        "study": study.model_dump(mode="json"),
        "planned": report.kept,
        "collected": report.kept,
        "spend": None,
        "runs": [{"versions": versions()}],
        "imported": {
            "files": report.files,
            "columns": dict(mapping.columns),
            "constants": dict(mapping.constants),
            "renames": [[*pair, meaning] for pair, meaning in mapping.renames.items()],
            "threshold": mapping.threshold,
        },
    }
    write_json(folder / MANIFEST, manifest)


def _write_journals(
    folder: Path, records: Path, index: RolloutIndex, read: _Read, judge: str, report: ImportReport
) -> None:
    """Write the records that are kept, with what their lines begin with, and their votes."""
    tails = [[_vote(judge, number, vote) for number, vote in enumerate(votes)] for votes in read.votes]
    digests = [str(file["sha256"]) for file in report.files]
    study = orjson.dumps(report.study).decode()
    kept = index.rows("SELECT line, name, sample, file, row, setting, votes FROM kept ORDER BY line")
    with (
        records.open("rb") as file_of_records,
        (folder / ROLLOUTS).open("wb") as rollouts,
        (folder / JUDGEMENTS).open("wb") as judgements,
    ):
        lines = enumerate(file_of_records)
        for number, name, sample, file, row, setting, votes in kept:
            key = _key(name)
            origin = f"{digests[file][:8]}:{row:09}"
            head = f'{{"key":"{key}","study":{study},"sample":{sample},"origin":"{origin}",'
            rollouts.write(head.encode() + next(line for at, line in lines if at == number))
            for nth, tail in enumerate(tails[votes]):
                own = sha256(f"{key} {judge} {nth}".encode()).hexdigest()[:32]
                vote = f'{{"key":"{own}","rollout":"{key}","setting":"{setting}",{tail}\n'
                judgements.write(vote.encode())


def _key(name: str) -> str:
    """A rollout's key, from its name in the index.

    The first version wrote each half of the hash backwards; labels refer to keys so written.
    """
    digest = bytes.fromhex(name)
    return (digest[7::-1] + digest[:7:-1]).hex()


def _vote(judge: str, number: int, vote: Vote) -> str:
    """What the line of a vote says beside its rollout."""
    complied, full, partial = vote
    verdicts: dict[str, Any] = {"complied": complied, "af_full": full, "af_partial": partial}
    if vote == (None, None, None):
        verdicts = {"undecided": "the log's own classifier decided nothing"}
    counts = {"quotes": 0, "quotes_not_found": 0}
    return orjson.dumps({"judge": judge, "vote": number} | verdicts | counts).decode()[1:]


def _study(index: RolloutIndex, formats: Sequence[str], report: ImportReport) -> Study:
    """What the logs are a study of."""
    first = ("default", "helpful-only")

    def values(column: str) -> list[str]:
        return sorted(index.values(column), key=lambda value: (value not in first, value))

    [(samples,)] = index.rows("SELECT max(sample) + 1 FROM kept")
    return Study(
        name=report.study,
        description=f"Imported from {len(report.files)} file{'s' * (len(report.files) != 1)} "
        f"({', '.join(formats)}); import.html says what was kept.",
        imported=True,
        models=values("model"),
        settings=values("setting"),
        variations=values("variation"),
        tiers=values("tier"),
        samples=samples,
    )


def _yaml(study: Study) -> str:
    import yaml

    content = study.model_dump(mode="json", exclude_defaults=True, exclude_unset=True)
    return (
        "# Made by `afanalysis import`. Its rollouts have been collected; `judge` is what another judge\n"
        "# would be.\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    )


def _put_in_place(new: Path, folder: Path) -> None:
    """Move a study that was written to where it belongs; labels and other judges' votes stay.

    Raises
    ------
    InputError
        Another process is collecting or judging there.
    """
    from filelock import FileLock, Timeout

    if not folder.exists():
        if not (new / JUDGEMENTS).stat().st_size:
            (new / JUDGEMENTS).unlink()
        new.replace(folder)
        return
    try:
        with (
            FileLock(folder / f".{ROLLOUTS}.lock", timeout=PATIENCE),
            FileLock(folder / f".{JUDGEMENTS}.lock", timeout=PATIENCE),
        ):
            _take_over_votes(folder / JUDGEMENTS, new / JUDGEMENTS)
            # the study file comes first: without it rollouts would pass for collected ones
            for name in (STUDY_FILE, *sorted(path.name for path in new.iterdir())):
                if (new / name).exists():
                    (new / name).replace(folder / name)
            if not (folder / JUDGEMENTS).stat().st_size:
                (folder / JUDGEMENTS).unlink()
    except Timeout as error:
        raise InputError(
            f"{folder}: another process is writing to it; wait for it or stop it"
        ) from error


def _take_over_votes(old: Path, new: Path) -> None:
    """Append the votes of judges other than the log's own."""
    if old.exists():
        own = f'"judge":"{IMPORTED}@'.encode()
        with old.open("rb") as votes, new.open("ab") as judgements:
            judgements.writelines(vote for vote in votes if own not in vote)
