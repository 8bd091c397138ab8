"""Other tools' logs, made into studies of this package."""

from __future__ import annotations

# The formats by the names they have on the command line.
FORMATS = {
    "inspect": "logs of Inspect AI, .eval or .json",
    "pipeline": "results of the open-source alignment-faking pipeline, JSON",
    "batches": "results of Message Batches, JSONL",
    "csv": "a table, one row an answer or one row a prompt",
    "jsonl": "one object an answer and line",
    "json": "a list of objects, one an answer",
    "parquet": "a table",
}
