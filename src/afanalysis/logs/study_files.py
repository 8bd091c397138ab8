"""Write what was imported as a study, and put it in place."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from afanalysis.errors import InputError
from afanalysis.logs.classifier_votes import Vote
from afanalysis.logs.fields import Mapping
from afanalysis.logs.import_report import ImportReport
from afanalysis.logs.recording import BUFFER, Recorded
from afanalysis.logs.rollout_index import RolloutIndex
from afanalysis.study.design import Study
from afanalysis.study.files import write_json
from afanalysis.study.folders import JUDGEMENTS, MANIFEST, PROMPTS, ROLLOUTS, STUDY_FILE
from afanalysis.study.hashing import stable_key
from afanalysis.study.journal import replacing
from afanalysis.study.manifest import versions
from afanalysis.study.votes import IMPORTED

_STUDY_FILE_HEAD = (
    "# Made by `afanalysis import`. Its rollouts have been collected; `judge` is what another judge\n"
    "# would be.\n"
)


def write_study(
    folder: Path,
    recorded: Recorded,
    index: RolloutIndex,
    mapping: Mapping,
    report: ImportReport,
) -> None:
    """Write a study's files into a new folder.

    Parameters
    ----------
    folder
        It is made.
    recorded, index
        The records and votes of all rollouts, and which of them are kept.
    mapping, report
        The user's mapping, and what was done.
    """
    import yaml

    folder.mkdir()
    formats = sorted({str(file["format"]) for file in report.files})
    renames = sorted([list(pair), meaning] for pair, meaning in mapping.renames.items())
    choices = [sorted(mapping.columns.items()), renames, mapping.threshold]
    judge = f"{IMPORTED}@{stable_key([choices, formats])[:8]}"
    with (
        (folder / ROLLOUTS).open("wb", buffering=BUFFER) as rollouts,
        (folder / JUDGEMENTS).open("wb", buffering=BUFFER) as judgements,
    ):
        for rollout, votes in _journal_lines(recorded, index, judge, report):
            rollouts.write(rollout)
            judgements.write(votes)
    [(samples,)] = index.rows("SELECT max(sample) + 1 FROM kept")
    study = Study(
        name=report.study,
        description=f"Imported from {len(report.files)} file{'s' * (len(report.files) != 1)} "
        f"({', '.join(formats)}); import.html says what was kept.",
        imported=True,
        **{f"{column}s": index.values(column) for column in ("model", "setting", "variation", "tier")},
        samples=samples,
    )
    content = study.model_dump(mode="json", exclude_defaults=True, exclude_unset=True)
    text = _STUDY_FILE_HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    (folder / STUDY_FILE).write_text(text, encoding="utf-8")
    write_json(folder / PROMPTS, dict(sorted(recorded.systems.items())))
    manifest = {
        "source": "simulated" if index.values("source") == ["simulated"] else "imported",
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
    report.write(folder)


def _journal_lines(
    recorded: Recorded, index: RolloutIndex, judge: str, report: ImportReport
) -> Iterator[tuple[bytes, bytes]]:
    """Of each rollout kept, its line of `rollouts.jsonl`, and its votes' of `judgements.jsonl`."""
    digests = [str(file["sha256"])[:8] for file in report.files]
    cast = [[_vote(judge, nth, vote) for nth, vote in enumerate(votes)] for votes in recorded.votes]
    kept = index.rows("SELECT line, name, sample, file, row, setting, votes FROM kept ORDER BY line")
    with recorded.records.open("rb", buffering=BUFFER) as records:
        lines = enumerate(records)
        for number, name, sample, file, row, setting, votes in kept:
            line = next(line for position, line in lines if position == number)
            key, origin = _key(name), f"{digests[file]}:{row:09}"
            head = {"key": key, "study": report.study, "sample": sample, "origin": origin}
            ballot = b"".join(
                orjson.dumps(
                    {"key": _vote_key(key, judge, nth), "rollout": key, "setting": setting} | vote,
                    option=orjson.OPT_APPEND_NEWLINE,
                )
                for nth, vote in enumerate(cast[votes])
            )
            yield orjson.dumps(head)[:-1] + b"," + line, ballot


def _key(name: str) -> str:
    """A rollout's key, from its name in the index.

    The first version wrote each half of the hash backwards; labels refer to keys so written.
    """
    digest = bytes.fromhex(name)
    return (digest[7::-1] + digest[:7:-1]).hex()


def _vote_key(key: str, judge: str, nth: int) -> str:
    return sha256(f"{key} {judge} {nth}".encode()).hexdigest()[:32]


def _vote(judge: str, nth: int, vote: Vote) -> dict[str, Any]:
    """The part of a vote's record that does not depend on its rollout."""
    verdicts: dict[str, Any] = dict(zip(("complied", "af_full", "af_partial"), vote, strict=True))
    if vote == (None, None, None):
        verdicts = {"undecided": "the log's own classifier decided nothing"}
    return {"judge": judge, "vote": nth, **verdicts, "quotes": 0, "quotes_not_found": 0}


def refuse_collected(folder: Path) -> None:
    """Raise `InputError` where a folder holds rollouts that were collected and not imported."""
    rollouts = folder / ROLLOUTS
    if rollouts.exists() and rollouts.stat().st_size and not (folder / STUDY_FILE).exists():
        raise InputError(f"{folder}: holds rollouts that were collected; give the import another name")


def put_in_place(new: Path, folder: Path) -> None:
    """Move a newly written study into place; labels and other judges' votes stay.

    Parameters
    ----------
    new
        The folder that `write_study` wrote, on the same disk.
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
        refuse_collected(folder)
        own = f'"judge":"{IMPORTED}@'.encode()
        with (folder / JUDGEMENTS).open("rb") as votes, (new / JUDGEMENTS).open("ab") as judgements:
            judgements.writelines(vote for vote in votes if own not in vote)
        # the study file comes first: without one, rollouts would pass for collected ones
        for path in sorted(new.iterdir(), key=lambda path: path.name != STUDY_FILE):
            path.replace(folder / path.name)
        _drop_if_empty(folder / JUDGEMENTS)


def _drop_if_empty(path: Path) -> None:
    if not path.stat().st_size:
        path.unlink()
