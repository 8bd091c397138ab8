"""Import other tools' logs: from files to a study that everything else can read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from afanalysis.study.folders import JUDGEMENTS, MANIFEST, PROMPTS, ROLLOUTS, STUDY_FILE

if TYPE_CHECKING:
    import pandas as pd

from afanalysis.errors import InputError
from afanalysis.logs import merging, parts, records
from afanalysis.logs.fields import Mapping
from afanalysis.logs.finding import Found, find
from afanalysis.logs.formats import asked_in, recognise
from afanalysis.logs.import_report import ImportReport
from afanalysis.logs.parts import Piece
from afanalysis.logs.rows import Vote
from afanalysis.study.design import Study
from afanalysis.study.hashing import stable_key
from afanalysis.study.manifest import versions, write_json
from afanalysis.study.tidying import tidy
from afanalysis.study.votes import IMPORTED
from afanalysis.text import progress


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
        Which field is which column, where names do not say so, and from which score an answer complies.
    asked
        For results of batches: the study file, or the file of requests, that asked.
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
    """
    folder, mapping = Path(folder), mapping or Mapping()
    files, ignored = _files(paths, format)
    kinds = {kind for _, kind in files}
    if "batches" in kinds and asked is None:
        raise InputError(
            "results of batches do not say what was asked: name the study file, or the file of "
            "requests, with --asked FILE"
        )
    questions: Fields[str, Any] = asked_in(Path(asked)) if asked else {}
    _refuse_collected(folder)
    report = ImportReport(folder.name, ignored=ignored, threshold=mapping.threshold)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=folder.parent) as place:
            workplace = Path(place)
            pieces, names = _read(files, mapping, questions, workplace, report)
            if strict:
                _refuse_flaws(report)
            hashes = [str(one["sha256"]) for one in report.files]
            named = [str(one["name"]) for one in report.files]
            numbers = list(map(named.index, names))
            kept = merging.merge(pieces, numbers, hashes, named, report.set_aside)
            if not len(kept):
                raise InputError(_nothing(report))
            _say(report, kept, pieces)
            if not report.judged:
                report.checks.append(_unjudged(folder, report))
            _write(folder, workplace, kept, pieces, mapping, report)
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be written ({error.strerror})") from error
    return report


def _say(report: ImportReport, kept: merging.Kept, pieces: Sequence[Piece]) -> None:
    """Put into the report what is known now that all is together."""
    for piece in pieces:
        for column, fields in piece.columns.items():
            report.columns[column] = sorted({*report.columns.get(column, ()), *fields})
    report.unused = sorted({name for piece in pieces for name in piece.unused})
    report.kept, report.valid = len(kept), int(kept.valid.sum())
    judged = {at for at, votes in enumerate(kept.ballots) if any(vote[0] is not None for vote in votes)}
    report.judged = sum(ballot in judged for ballot in kept.ballot.tolist())
    report.checks = merging.checks(kept)
    report.thresholds = merging.by_threshold(kept)


def _files(paths: Sequence[str | Path], format: str) -> tuple[list[tuple[Found, str]], list[str]]:
    if format != "auto":
        parts.refuse_unknown(format)
    found, ignored = find(paths)
    counts: dict[str, int] = {}
    files = []
    for file in found:
        kind = recognise(file).name
        counts[file.name] = counts.get(file.name, 0) + 1
        if counts[file.name] > 1:  # the same name in two folders
            file = Found(file.path, f"{file.name} ({counts[file.name]})")
        files.append((file, kind if format == "auto" else format))
    return files, ignored


def _refuse_collected(folder: Path) -> None:
    if (folder / ROLLOUTS).exists() and not (folder / STUDY_FILE).exists():
        raise InputError(f"{folder}: holds rollouts that were collected; give the import another name")


def _read(
    files: list[tuple[Found, str]],
    mapping: Mapping,
    asked: Fields[str, Any],
    workplace: Path,
    report: ImportReport,
) -> tuple[list[Piece], list[str]]:
    kinds = {file.name: kind for file, kind in files}
    rows: dict[str, int] = dict.fromkeys(kinds, 0)
    pieces: list[Piece] = []
    names: list[str] = []
    size = sum(file.path.stat().st_size for file, _ in files)
    with progress.bar(
        total=size, unit="B", unit_scale=True, desc="import", disable=size < 10_000_000
    ) as bar:
        room = len(records.head(report.study))
        read, hashes = parts.read(files, mapping, asked, workplace / ROLLOUTS, room, bar.update)
    for file, piece in read:
        pieces.append(piece)
        names.append(file.name)
        for ours, theirs in (
            (report.repaired, piece.repaired),
            (report.set_aside, piece.set_aside),
            (report.noted, piece.noted),
        ):
            ours.take(theirs, rows[file.name])
        report.rows += piece.rows
        report.rollouts += len(piece.index) + sum(piece.set_aside.counts.values())
        rows[file.name] += piece.last
    report.files = [
        {
            "name": file.name,
            "format": kinds[file.name],
            "bytes": file.path.stat().st_size,
            "sha256": digest,
            "rows": rows[file.name],
        }
        for (file, _), digest in zip(files, hashes, strict=True)
    ]
    return pieces, names


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


def _nothing(report: ImportReport) -> str:
    reasons = report.set_aside.ranked()
    if not reasons:
        return "the files hold no rows"
    reason, count = reasons[0]
    file, row, text = report.set_aside.examples[reason][0]
    shown = f", found {text[:80]!r}" if text else ""
    return (
        f"no rollout can be read; {count:,} of {report.rows:,} rows: {reason} ({file}, row {row}{shown})"
    )


def _unjudged(folder: Path, report: ImportReport) -> str:
    fields = ", ".join(report.unused[:12]) or "none"
    return (
        f"No verdict was found. If one of the fields not used ({fields}) holds one: "
        "--map complied=FIELD. "
        f"If none does: afanalysis judge --study {folder / STUDY_FILE}, with --rules or --live."
    )


def _write(
    folder: Path,
    workplace: Path,
    kept: merging.Kept,
    pieces: Sequence[Piece],
    mapping: Mapping,
    report: ImportReport,
) -> None:
    """Write the study's files; each is put in its place whole."""
    from filelock import FileLock, Timeout

    hashes = [str(one["sha256"]) for one in report.files]
    told = [
        sorted(mapping.columns.items()),
        sorted(map(list, mapping.renames.items())),
        mapping.threshold,
    ]
    judge = f"{IMPORTED}@{stable_key([told, sorted({str(one['format']) for one in report.files})])[:8]}"
    folder.mkdir(exist_ok=True)
    try:
        with FileLock(folder / f".{ROLLOUTS}.lock", timeout=3):
            _finish_records(workplace / ROLLOUTS, kept, report.study, hashes)
            with (workplace / JUDGEMENTS).open("wb") as votes:
                votes.writelines(_votes(kept, judge))
                votes.writelines(_of_others(folder / JUDGEMENTS))
            systems = {name: text for piece in pieces for name, text in piece.systems.items()}
            write_json(workplace / PROMPTS, dict(sorted(systems.items())))
            study = _study(kept, report)
            (workplace / STUDY_FILE).write_text(_yaml(study), encoding="utf-8")
            write_json(workplace / MANIFEST, _manifest(study, kept, mapping, report))
            report.write(workplace)
            for name in (ROLLOUTS, JUDGEMENTS, PROMPTS, STUDY_FILE, "import.json", "import.html"):
                shutil.move(workplace / name, folder / name)
            if not (folder / JUDGEMENTS).stat().st_size:
                (folder / JUDGEMENTS).unlink()
            shutil.move(workplace / MANIFEST, folder / MANIFEST)
    except Timeout as error:
        raise InputError(
            f"{folder}: another process is writing to it; wait for it or stop it"
        ) from error


def _finish_records(path: Path, kept: merging.Kept, study: str, hashes: Sequence[str]) -> None:
    """Fill in what the lines of `rollouts.jsonl` begin with, and leave out those not kept."""
    starts = records.keep_only(path, kept.start.tolist(), kept.length.tolist())
    columns = (kept.keys(), kept.sample.tolist(), kept.file.tolist(), kept.row.tolist())
    heads = (
        records.head(study, key, sample, hashes[file], row)
        for key, sample, file, row in zip(*columns, strict=True)
    )
    records.fill(path, heads, starts)


def _votes(kept: merging.Kept, judge: str) -> Iterator[bytes]:
    """The lines of `judgements.jsonl`."""
    settings = [place.setting for place in kept.places]
    tails = [[_vote(judge, number, vote) for number, vote in enumerate(cast)] for cast in kept.ballots]
    for key, place, ballot in zip(kept.keys(), kept.place.tolist(), kept.ballot.tolist(), strict=True):
        for number, tail in enumerate(tails[ballot]):
            mine = sha256(f"{key} {judge} {number}".encode()).hexdigest()[:32]
            yield f'{{"key":"{mine}","rollout":"{key}","setting":"{settings[place]}",{tail}\n'.encode()


def _vote(judge: str, number: int, vote: Vote) -> str:
    """What a vote's line says beside its rollout."""
    complied, full, partial = vote
    said: dict[str, Any] = {"complied": complied, "af_full": full, "af_partial": partial}
    if vote == (None, None, None):
        said = {"undecided": "the log's own classifier decided nothing"}
    counts = {"quotes": 0, "quotes_not_found": 0}
    return orjson.dumps({"judge": judge, "vote": number} | said | counts).decode()[1:]


def _of_others(path: Path) -> list[bytes]:
    """The votes of judges other than the log's own."""
    if not path.exists():
        return []
    with path.open("rb") as lines:
        return [line for line in lines if f'"judge":"{IMPORTED}@'.encode() not in line]


def _study(kept: merging.Kept, report: ImportReport) -> Study:
    """What the logs are a study of."""
    formats = sorted({str(one["format"]) for one in report.files})
    first = ["default", "helpful-only"]

    def found(name: str) -> list[str]:
        return sorted(kept.values(name), key=lambda value: (value not in first, value))

    return Study(
        name=report.study,
        description=f"Imported from {len(report.files)} file{'s' * (len(report.files) != 1)} "
        f"({', '.join(formats)}); import.html says what was kept.",
        imported=True,
        models=found("model"),
        settings=found("setting"),
        variations=found("variation"),
        tiers=found("tier"),
        samples=int(kept.sample.max()) + 1,
    )


def _yaml(study: Study) -> str:
    import yaml

    content = study.model_dump(mode="json", exclude_defaults=True, exclude_unset=True)
    return (
        "# Made by `afanalysis import`. Its rollouts are there already; `judge` is what another judge\n"
        "# would be.\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    )


def _manifest(
    study: Study, kept: merging.Kept, mapping: Mapping, report: ImportReport
) -> dict[str, Any]:
    sources = kept.values("source")
    return {
        "source": "simulated" if sources == {"simulated"} else "imported",
        "study": study.model_dump(mode="json"),
        "planned": len(kept),
        "collected": len(kept),
        "spend": None,
        "runs": [{"versions": versions()}],
        "imported": {
            "files": report.files,
            "columns": dict(mapping.columns),
            "constants": dict(mapping.constants),
            "renames": [[*pair, meant] for pair, meant in mapping.renames.items()],
            "threshold": mapping.threshold,
        },
    }


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
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "imported")
        report = import_logs(paths, folder, format=format, mapping=mapping, asked=asked)
        return tidy(folder, unjudged=not (folder / JUDGEMENTS).exists()), report
