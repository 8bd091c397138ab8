"""The pass over all rows of an import: each rollout's record and its entry of the index go to files."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

from afanalysis.logs.classifier_votes import Vote
from afanalysis.logs.fields import Mapping
from afanalysis.logs.finding import LogFile
from afanalysis.logs.formats import FORMATS
from afanalysis.logs.import_report import ImportReport
from afanalysis.logs.log_rows import Rejected, Row
from afanalysis.logs.results import Requests
from afanalysis.logs.rollout_index import COPIED
from afanalysis.logs.rows import Reader, Rollout, to_json
from afanalysis.study.hashing import file_hash, text_hash
from afanalysis.text import progress

RECORDS, ENTRIES = "records.jsonl", "entries.jsonl"

# Bytes collected before they are written.
BUFFER = 1 << 20

# Smaller logs take no time worth showing.
_WORTH_A_BAR = 10_000_000


@dataclass
class Recorded:
    """What a pass over all rows leaves.

    Attributes
    ----------
    records
        The file of records, one rollout per line without its opening brace, which comes with its key.
    entries
        The file of index entries, one JSON object per rollout, as `rollout_index.COLUMNS` has them.
    systems
        System prompts by name.
    votes
        All combinations of votes that occur, numbered.
    count
        The number of rollouts.
    """

    records: Path
    entries: Path
    systems: dict[str, str] = field(default_factory=dict)
    votes: dict[tuple[Vote, ...], int] = field(default_factory=dict)
    count: int = 0


def record_rollouts(
    files: Sequence[tuple[LogFile, str]],
    mapping: Mapping,
    requests: Requests,
    workplace: Path,
    report: ImportReport,
) -> Recorded:
    """Read all rows of all files.

    Parameters
    ----------
    files
        The files and their formats.
    mapping, requests
        The user's mapping, and what results of batches answer.
    workplace
        The folder to write to.
    report
        Filled in with what was done.
    """
    recorded = Recorded(workplace / RECORDS, workplace / ENTRIES)
    sources: dict[str, set[str]] = defaultdict(set)
    size = sum(log.path.stat().st_size for log, _ in files)
    bar = progress.bar(total=size, unit="B", unit_scale=True, desc="import", disable=size < _WORTH_A_BAR)
    with (
        bar,
        recorded.records.open("wb", buffering=BUFFER) as records,
        recorded.entries.open("wb", buffering=BUFFER) as entries,
    ):
        for number, (log, format) in enumerate(files):
            about = {"name": log.name, "format": format, "bytes": log.path.stat().st_size}
            report.files.append(about | {"sha256": file_hash(log.path), "rows": 0})
            reader = Reader(mapping, FORMATS[format], log.path)
            rows = FORMATS[format].rows(log.path, *([requests] if format == "batches" else []))
            unnamed: Counter[bytes] = Counter()
            for row, rollout in _rollouts(rows, reader, report):
                name, digest = rollout.identity, report.files[-1]["sha256"]
                if not rollout.named:
                    name = sha256(name + f"{digest} {unnamed[name]}".encode()).digest()[:16]
                    unnamed[rollout.identity] += 1
                if rollout.system:
                    recorded.systems[rollout.record["system"]] = rollout.system
                line = to_json(rollout.record)[1:] + b"\n"
                entry = _entry(rollout, name, line) | {
                    "line": recorded.count,
                    "votes": recorded.votes.setdefault(rollout.votes, len(recorded.votes)),
                    "digest": digest,
                    "file": number,
                    "row": row,
                }
                records.write(line)
                entries.write(to_json(entry) + b"\n")
                recorded.count += 1
                if recorded.count % 1000 == 0:
                    bar.set_postfix(rollouts=recorded.count)
            for column, source in reader.sources():
                sources[column].add(source)
            bar.update(about["bytes"])
    report.unused = sorted(sources.pop("", ()))
    report.columns = {column: sorted(names) for column, names in sources.items()}
    report.rollouts = recorded.count + sum(report.set_aside.counts.values())
    return recorded


def _rollouts(
    rows: Iterable[Row], reader: Reader, report: ImportReport
) -> Iterator[tuple[int, Rollout]]:
    """The rollouts of a file's rows, with the rows' numbers; all else goes to the report."""
    file = report.files[-1]
    for number, row, forgiven in rows:
        report.rows, file["rows"] = report.rows + 1, number
        if forgiven:
            report.repaired.add(forgiven, file["name"], number)
        for rollout in reader.rollouts(row):
            if isinstance(rollout, Rejected):
                report.set_aside.add(str(rollout), file["name"], number, rollout.detail)
                continue
            for tally, remarks in ((report.repaired, rollout.repairs), (report.noted, rollout.notes)):
                for reason, text in remarks:
                    tally.add(reason, file["name"], number, text)
            yield number, rollout


def _entry(rollout: Rollout, name: bytes, line: bytes) -> dict[str, Any]:
    """What the index has to know of a rollout beside where it is from."""
    record, votes = rollout.record, rollout.votes
    return {
        **{column: record[column] for column in COPIED},
        "name": name.hex(),
        "identity": None if rollout.named else rollout.identity.hex(),
        "checksum": crc32(repr(votes).encode() + line),
        "verdicts": sum(verdict is not None for vote in votes for verdict in vote),
        "judged": any(vote[0] is not None for vote in votes),
        "request": text_hash(record["request"]) if record["request"] else None,
        "sample": rollout.sample,
    }
