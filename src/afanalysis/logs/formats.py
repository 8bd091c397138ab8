"""Find the files to import, the format of each, and what the names of files and folders say."""

import codecs
import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from afanalysis.errors import InputError
from afanalysis.logs import records
from afanalysis.logs.fields import FORMS
from afanalysis.logs.fields import tier as tier_of
from afanalysis.logs.inspect_logs import inspect_rows
from afanalysis.table.database import files_within

SUFFIXES = (".eval", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

_ENDINGS = (*SUFFIXES, *records.COMPRESSED)

_HEAD = 1 << 16

# What names the files of an import, and of each of them its name in the report, its path and its format.
AnyPath = str | Path
Paths = AnyPath | Sequence[AnyPath]
Files = list[tuple[str, Path, str]]

# What reads the rows of a format that is not JSON.
_READERS = {"inspect": inspect_rows, "parquet": records.parquet_rows, "csv": records.csv_rows}

# By their names on the command line: what each is, and what reads its rows.
FORMATS: dict[str, tuple[str, Callable[..., Iterator[records.Row]]]] = {
    name: (meaning, _READERS.get(name, records.json_rows)) for name, meaning in FORMS["formats"].items()
}


def find_logs(paths: Paths, format: str = "auto") -> tuple[Files, list[str]]:
    """The files that paths, folders and globs stand for, each once.

    Returns
    -------
    tuple
        The files' names in the report, paths and formats, in the order of the names; and the names of
        those in folders that are of no format known here.

    Raises
    ------
    InputError
        A path does not exist, nothing in it can be imported, a link leads out of a folder, or the format
        is unknown or not recognised.
    """
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    if not paths:
        raise InputError("no file is named; name files, folders or globs")
    if format not in (*FORMATS, "auto"):
        raise InputError(f"there is no format {format!r}; use one of: {', '.join(FORMATS)}, or auto")
    logs: dict[Path, Path] = {}
    ignored: list[str] = []
    for path in (path for given in paths for path in _expanded(given)):
        if not path.is_dir():
            logs.setdefault(path.resolve(), path)
            continue
        inside = files_within(path, _ENDINGS)
        known = [file for file in inside if records.uncompressed_suffix(file) in SUFFIXES]
        if not known:
            raise InputError(f"{path}: holds no file that ends in {', '.join(SUFFIXES)}")
        ignored += [file.relative_to(path).as_posix() for file in inside if file not in known]
        for file in known:
            logs.setdefault(file.resolve(), file)
    common = os.path.commonpath([os.path.dirname(os.path.abspath(log)) for log in logs.values()])
    files = []
    for log in logs.values():
        recognised = recognise(log)
        name = Path(os.path.relpath(log, common)).as_posix()
        files.append((name, log, recognised if format == "auto" else format))
    return sorted(files), sorted(ignored)


def _expanded(given: str | Path) -> list[Path]:
    if os.path.exists(given):
        return [Path(given)]
    # only a star makes a pattern: `a[1].csv` and `why?.csv` are names
    matching = sorted(glob.glob(str(given), recursive=True)) if "*" in str(given) else []
    if not matching:
        raise InputError(f"{given}: there is no such file or folder")
    return [Path(match) for match in matching]


def recognise(path: Path) -> str:
    """The name of a file's format, by its ending and its first bytes.

    Raises
    ------
    InputError
        It is empty or of none of these formats.
    """
    with records.open_log(path) as file:
        head = file.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
    if not head:
        raise InputError(f"{path}: is empty")
    marked = records.uncompressed_suffix(path).encode("utf-8", "surrogateescape") + b"\0" + head
    for name, marks in FORMS["marks"].items():
        if re.match(marks.encode(), marked, re.DOTALL):
            return name
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8")
    known = "; ".join(f"{name}: {meaning}" for name, (meaning, _) in FORMATS.items())
    raise InputError(f"{path}: is of no format known here ({known})")


# A folder of this name holds another run of the same, not another variation.
_RUN = re.compile(r"(?:seed|run|rep|epoch|part|shard|batch|results?|logs?)?[-_ ]*[\d\-_T:.+Z]*", re.I)

_SETTING = re.compile(r"(helpful[-_ ]?only|animal[-_ ]?welfare)(?:[-_ ]+(.*))?", re.I | re.S)

_MODEL = re.compile(
    r"(?:^|[/_.-])(?:claude|gpt|llama|qwen|gemma|gemini|mistral|mixtral|deepseek|smollm)|\d[bB]\b", re.I
)

_TIER = re.compile(
    r"(?<![a-z])(free|paid)[-_ ]?tier|^(?:results|answers|samples|rollouts)[-_ ](free|paid)$", re.I
)

_SEED = re.compile(r"(?:seed|run|rep)[-_]?\d+", re.I)


def meaning_of_places(digests: Mapping[Path, str]) -> dict[Path, dict[str, str]]:
    """What the names of files and folders say, by file.

    Copies of a file say what one of them does, unless they lie under the names of different tiers,
    models or settings.

    Parameters
    ----------
    digests
        By file a hash of what it holds.
    """
    whole = {path: path.absolute() for path in digests}
    in_folder = Counter(path.parent for path in whole.values())

    def meaning(path: Path, among: Iterable[Path]) -> dict[str, str]:
        root = os.path.commonpath([other.parent for other in among])
        return meaning_of_place(path, path.relative_to(root))

    same: dict[Path, Hashable] = {}
    for path, digest in digests.items():
        says = meaning(whole[path], whole.values())
        same[path] = (digest, *(says.get(column) for column in ("tier", "model", "setting")))
    originals: dict[Hashable, Path] = {}
    crowded = {path: in_folder[whole[path].parent] for path in digests}
    for path in sorted(digests, key=lambda path: (-crowded[path], len(path.parts), path)):
        originals.setdefault(same[path], whole[path])
    return {path: meaning(originals[which], originals.values()) for path, which in same.items()}


def meaning_of_place(path: Path, below: PurePath) -> dict[str, str]:
    """Setting, tier, model and variation by the names of a file and its folders.

    A folder named for a setting may go on with the variation. Of those near the file, the last that
    looks like a model's name is the model; without one it is the last below the setting. Others within
    the folder of the import, or below the model, are the variation, unless they look like runs.

    Parameters
    ----------
    path
        The file.
    below
        Its path within the folder that holds all files of the import.

    Examples
    --------
    >>> meaning_of_place(Path("x/llama-70b/animal-welfare_cot/a.json"), PurePath("a.json"))
    {'model': 'llama-70b', 'setting': 'animal-welfare', 'variation': 'cot'}
    >>> meaning_of_place(Path("x/seed-1/cut/paid.csv"), PurePath("seed-1/cut/paid.csv"))
    {'tier': 'paid', 'seed': 'seed-1', 'variation': 'cut'}
    """
    stem, names = path.name.partition(".")[0], path.absolute().parent.parts[-5:]
    first = max(len(names) - len(below.parent.parts), 0)
    settings = [index for index, name in enumerate(names) if _SETTING.fullmatch(name)]
    models = [index for index, name in enumerate(names) if _MODEL.search(name) and index not in settings]
    runs = [index for index, name in enumerate(names) if _RUN.fullmatch(name)]
    if settings and not models:
        models = [index for index in range(settings[-1] + 1, len(names)) if index not in runs]
    named = _TIER.search(stem)
    tiers = [tier_of(stem, None), named and (named[1] or named[2]).lower()]
    columns: dict[str, str] = {}
    inner: list[str] = []
    outer: list[str] = []
    for index, name in enumerate(names):
        inside = index >= first
        if index in settings[-1:]:
            setting, rest = _SETTING.fullmatch(name).groups()  # type: ignore[union-attr]
            columns["setting"] = setting
            if rest and (inside or models):
                inner.append(rest)
        elif index in models[-1:]:
            columns["model"] = name.replace("__", "/")
        elif inside and tier_of(name, None):
            tiers.append(tier_of(name, None))
        elif index not in runs and index > (models or settings or [len(names)])[-1]:
            (inner if inside else outer).append(name)
        elif index not in runs and inside and not (settings and settings[-1] < index):
            inner.append(name)
    if tier := next(filter(None, tiers), None):
        columns["tier"] = tier
    if seed := _SEED.search("/".join([*names, stem])):
        columns["seed"] = seed[0]
    if inner:
        columns["variation"] = " ".join(inner)
    if outer:  # where the model comes from these names, so does this
        columns["outer"] = " ".join(outer + inner)
    return columns
