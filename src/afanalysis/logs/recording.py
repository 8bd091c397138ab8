"""The pass over all rows of an import: each rollout's record and its entry of the index go to files."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from afanalysis.logs.fields import Mapping
from afanalysis.logs.formats import FORMATS
from afanalysis.logs.import_report import ImportReport
from afanalysis.logs.log_rows import Rejected, Row
from afanalysis.logs.results import Requests
from afanalysis.logs.rollout_index import COPIED
from afanalysis.logs.rows import Reader, Rollout, to_json
from afanalysis.study.hashing import file_hash, text_hash
from afanalysis.text import progress

# The file of records, one rollout per line without its opening brace, which comes with its key; and that
# of index entries, one JSON object per rollout, as `rollout_index.COLUMNS` has them.
RECORDS, ENTRIES = "records.jsonl", "entries.jsonl"

# Bytes collected before they are written.
BUFFER = 1 << 20

# Smaller logs take no time worth showing.
_WORTH_A_BAR = 10_000_000


def record_rollouts(
    files: Sequence[tuple[str, Path, str]],
    mapping: Mapping,
    requests: Requests,
    workplace: Path,
    report: ImportReport,
) -> dict[str, str]:
    """Read all rows of all files, and return the system prompts by name.

    Parameters
    ----------
    files
        The files' names, paths and formats.
    mapping, requests
        The user's mapping, and what results of batches answer.
    workplace
        The folder in which `RECORDS` and `ENTRIES` are written.
    report
        Filled in with what was done.
    """
    systems: dict[str, str] = {}
    sources: dict[str, set[str]] = defaultdict(set)
    numbers = itertools.count()
    size = sum(path.stat().st_size for _, path, _ in files)
    bar = progress.bar(total=size, unit="B", unit_scale=True, desc="import", disable=size < _WORTH_A_BAR)
    with (
        bar,
        (workplace / RECORDS).open("wb", buffering=BUFFER) as records,
        (workplace / ENTRIES).open("wb", buffering=BUFFER) as entries,
    ):
        for number, (file, path, format) in enumerate(files):
            digest, length = file_hash(path), path.stat().st_size
            report.files.append(
                {"name": file, "format": format, "bytes": length, "sha256": digest, "rows": 0}
            )
            reader = Reader(mapping, format, path)
            rows = FORMATS[format].rows(path, *([requests] if format == "batches" else []))
            unnamed: Counter[bytes] = Counter()
            for row, rollout in _rollouts(rows, reader, report):
                name, record, votes = rollout.identity, rollout.record, rollout.votes
                if not rollout.named:
                    name = sha256(name + f"{digest} {unnamed[name]}".encode()).digest()[:16]
                    unnamed[rollout.identity] += 1
                if rollout.system:
                    systems[record["system"]] = rollout.system
                line = to_json(record)[1:] + b"\n"
                entry = {column: record[column] for column in COPIED} | {
                    "line": next(numbers),
                    "name": name.hex(),
                    "identity": None if rollout.named else rollout.identity.hex(),
                    "checksum": crc32(repr(votes).encode() + line),
                    "verdicts": sum(verdict is not None for vote in votes for verdict in vote),
                    "judged": any(vote[0] is not None for vote in votes),
                    "digest": digest,
                    "file": number,
                    "row": row,
                    "request": text_hash(record["request"]) if record["request"] else None,
                    "sample": rollout.sample,
                    "votes": votes,
                }
                records.write(line)
                entries.write(to_json(entry) + b"\n")
            for column, source in reader.sources():
                sources[column].add(source)
            bar.update(length)
    report.unused = sorted(sources.pop("", ()))
    report.columns = {column: sorted(names) for column, names in sources.items()}
    return systems


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
            report.rollouts += 1
            if isinstance(rollout, Rejected):
                report.set_aside.add(str(rollout), file["name"], number, rollout.detail)
                continue
            for tally, remarks in ((report.repaired, rollout.repairs), (report.noted, rollout.notes)):
                for reason, text in remarks:
                    tally.add(reason, file["name"], number, text)
            yield number, rollout
