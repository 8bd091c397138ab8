"""Other tools' logs, made into studies of this package, and studies made into other tools' logs."""

# The formats by their names on the command line.
FORMATS = {
    "inspect": "logs of Inspect AI, .eval or .json",
    "pipeline": "results of the open-source alignment-faking pipeline, JSON",
    "batches": "results of Message Batches, JSONL",
    "csv": "a table, one row per answer or one row per prompt",
    "jsonl": "one object per answer and line",
    "json": "a list of objects, one per answer",
    "parquet": "a table",
}
