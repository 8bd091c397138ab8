"""The tidy table of a study folder: current rollouts joined with verdicts and hand labels, by DuckDB."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import duckdb
import pandas as pd

from afanalysis.errors import InputError
from afanalysis.study.files import as_written, read_json, written_whole
from afanalysis.study.folders import JUDGEMENTS, MANIFEST, ROLLOUTS, TABLE
from afanalysis.study.journal import journal_table, query_journals, sql_text, stream_journals
from afanalysis.study.labels import consensus, read_labels, weights
from afanalysis.study.prompts import OWN_PROMPT
from afanalysis.study.votes import choose_judge, questions_of, verdicts_sql
from afanalysis.table.database import connect, quote_names, quote_target, quote_text
from afanalysis.table.schema import COLUMNS, ROW_ORDER, SCHEMA, BlockedCount

_RECORD = {"key": "VARCHAR", "system": "VARCHAR", "sampling": "VARCHAR", "original": "JSON"} | {
    column.name: column.sql_type for column in COLUMNS if not column.made and column.name != "original"
}


def tidy(
    folder: str | Path,
    judge: str | None = None,
    *,
    unjudged: bool = False,
    blocked: BlockedCount | None = None,
) -> pd.DataFrame:
    r"""Make the tidy table of a study's raw folder: rollouts with their verdicts and hand labels.

    A rollout without a verdict, with an undecided one, or not in the requested form has missing
    outcomes; none is guessed. Rollouts of an older version of a prompt are left out.

    Parameters
    ----------
    folder
        The raw folder.
    judge
        Whose verdicts count: a judge's name, or its beginning. By default the model that voted last.
    unjudged
        Leave all outcomes missing, as for a study that has not been judged.
    blocked
        How answers count that a safety classifier of the API stopped: as `missing` or as `refused`. By
        default as the study has it: missing, unless its file demands otherwise.

    Returns
    -------
    DataFrame
        One row per rollout, with the columns of `docs/data.md`.

    Raises
    ------
    InputError
        The folder holds no rollouts or no verdicts, a line of its journals is damaged, or `blocked` is
        another word.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import afanalysis as af
    >>> folder = Path(tempfile.mkdtemp())
    >>> rollout = {"key": "0", "tier": "free", "prompt_id": "p1", "sample": 0, "valid": True}
    >>> _ = (folder / "rollouts.jsonl").write_text(json.dumps(rollout) + "\n")
    >>> af.tidy(folder, unjudged=True)[["tier", "prompt_id", "sample", "complied"]]
       tier prompt_id  sample  complied
    0  free        p1       0      <NA>
    """
    with tempfile.TemporaryDirectory() as place:
        path = write_tidy(folder, Path(place, TABLE), judge, unjudged=unjudged, blocked=blocked)
        table = pd.read_parquet(path)
    table = table.astype(SCHEMA | dict.fromkeys(table.columns.difference(SCHEMA), "boolean"))
    return table.sort_values([*ROW_ORDER, "rollout"], ignore_index=True)


def write_tidy(
    folder: str | Path,
    path: str | Path,
    judge: str | None = None,
    *,
    unjudged: bool = False,
    blocked: BlockedCount | None = None,
) -> Path:
    r"""Write the tidy table of a raw folder as Parquet, without holding it in memory.

    Its rows are in the order of collection; `afanalysis.load` sorts them.

    Parameters
    ----------
    folder, judge, unjudged, blocked
        As in `tidy`.
    path
        The file; it is written whole or not at all.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import afanalysis as af
    >>> folder = Path(tempfile.mkdtemp())
    >>> rollout = {"key": "0", "tier": "free", "prompt_id": "p1", "sample": 0, "valid": True}
    >>> _ = (folder / "rollouts.jsonl").write_text(json.dumps(rollout) + "\n")
    >>> af.write_tidy(folder, folder / "rollouts.parquet", unjudged=True).name
    'rollouts.parquet'
    """
    folder, path = Path(folder), Path(path)
    with as_written(folder / MANIFEST):
        study = read_json(folder / MANIFEST).get("study", {})
        own_prompts = ", ".join(map(quote_text, ["", *study.get("system_prompts", {})]))
        if blocked is None:
            blocked = study.get("blocked", "missing")
    if blocked not in get_args(BlockedCount):
        raise InputError(f"blocked is {blocked!r}; use 'missing' or 'refused'")
    name = "" if unjudged else choose_judge(folder, judge)

    def write(rollouts: Path, *judgements: Path) -> int:
        connection = connect(rollouts, *judgements, temporary)
        connection.register("labels", _label_table(folder))
        # without a judge no line is a vote, and none is read
        votes = verdicts_sql([rollouts, *judgements][-1], folder, name or None)
        questions = questions_of(folder, name)
        own_columns = "".join(f", v.{quote_names(question)}" for question in questions)
        texts = {"columns": quote_names(*SCHEMA, *questions), "questions": own_columns}
        texts |= {"own_prompts": own_prompts, "own_prompt": quote_text(OWN_PROMPT)}
        current = _current(connection, folder, rollouts)
        sql = sql_text("tidy", rollouts=current, votes=votes, blocked=blocked, **texts)
        target = f"{quote_target(temporary)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
        try:
            copied = connection.execute(f"COPY ({sql}) TO {target}", {"judge": name}).fetchall()
        except duckdb.IOException as error:
            raise OSError(str(error)) from error
        return int(copied[0][0])

    with written_whole(path) as temporary:
        journals = [folder / ROLLOUTS, *([] if unjudged else [folder / JUDGEMENTS])]
        if not query_journals(write, *journals):
            raise InputError(f"{folder / ROLLOUTS}: is empty; collect the study first")
    return path


def _label_table(folder: Path) -> pd.DataFrame:
    agreed = consensus(read_labels(folder))
    label_weights = weights(folder, agreed)
    rows = [(key, complied, af, label_weights.get(key)) for key, (complied, af) in agreed.items()]
    kinds = {"rollout": "string", "complied": "boolean", "af_reasoning": "Float64", "weight": "Float64"}
    return pd.DataFrame(rows, columns=list(kinds), dtype=object).astype(kinds)


def _current(connection: duckdb.DuckDBPyConnection, folder: Path, rollouts: Path) -> str:
    """The SQL of the rollouts that were sent what the study sends now, so that prompts do not mix."""
    source = journal_table(rollouts, _RECORD)
    current = read_json(folder / MANIFEST).get("current")
    if current is None:
        return source
    with as_written(folder / MANIFEST):
        sampling, systems = str(current["sampling"]), list(current["systems"].items())
        by_model = {str(name): str(own) for name, own in current.get("sampling_by_model", {}).items()}
        requests = [
            (setting, prompt_id, name)
            for setting, names in current["requests"].items()
            for prompt_id, name in names.items()
        ]
    columns = ["setting", "prompt_id", "request"]
    connection.register("requests", pd.DataFrame(requests, columns=columns, dtype="string"))
    connection.register("systems", pd.DataFrame(systems, columns=["place", "system"], dtype="string"))
    connection.execute("SET VARIABLE sampling = ?", [sampling])
    connection.execute("SET VARIABLE by_model = MAP(?, ?)", [[*by_model], [*by_model.values()]])
    return f"({sql_text('current', rollouts=source)})"


def current_rollouts(
    folder: Path, columns: Sequence[str], where: str = "true"
) -> Iterator[dict[str, Any]]:
    """The rollouts of a raw folder that were sent what the study sends now, in file order.

    Parameters
    ----------
    folder
        The raw folder.
    columns
        The fields of a record to return.
    where
        A condition in SQL.
    """

    def query(path: Path) -> Iterator[dict[str, Any]]:
        connection = connect(path)
        current = _current(connection, folder, path)
        rows = connection.execute(f"SELECT {quote_names(*columns)} FROM {current} WHERE {where}")
        while chunk := rows.fetchmany(1000):
            yield from (dict(zip(columns, row, strict=True)) for row in chunk)

    return stream_journals(query, folder / ROLLOUTS)
