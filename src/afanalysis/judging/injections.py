"""Prompt injection: attempts by a transcript to give the judge orders, put into real rollouts."""

from pathlib import Path
from typing import Any

import pandas as pd

from afanalysis.collection.endpoint import Endpoint
from afanalysis.errors import InputError
from afanalysis.judging.model import judge, prompt_of, to_judge
from afanalysis.study.design import JudgeSettings
from afanalysis.study.files import read_yaml
from afanalysis.study.folders import JUDGE_CHECK, ROLLOUTS
from afanalysis.study.hashing import stable_key
from afanalysis.study.journal import Journal, read_records
from afanalysis.study.ledger import Budget
from afanalysis.study.votes import OUTCOMES, verdicts


def attempts() -> list[dict[str, str]]:
    """The attempts that ship with the package: `name`, `place` (a field of the rollout), `text`."""
    content = read_yaml(Path(__file__).with_name("judge_attacks.yaml"), "a list of attempts")
    return [each | {"text": each["text"].replace("PADDING", 3000 * ".")} for each in content["attempts"]]


async def check_judge(
    settings: JudgeSettings, endpoint: Endpoint, folder: Path, *, budget: Budget | None = None
) -> pd.DataFrame:
    """Judge rollouts of a study with and without each prompt injection.

    For each setting, one rollout of each kind is taken (complied with AF reasoning, complied without,
    refused) and judged as it is, and once with each attempt appended. A judge that wavers by itself
    shows here too; to tell the two apart, repeat with more votes.

    Parameters
    ----------
    settings, endpoint, budget
        As in `judge`.
    folder
        The raw folder of a judged study. The altered rollouts and their verdicts are kept in its
        subfolder `judge_check`.

    Returns
    -------
    DataFrame
        One row per attempt and rollout: `attempt`, `place`, `setting`, `kind`, `before` and `after`
        (each the tuple complied, af_full, af_partial), `changed`.

    Raises
    ------
    InputError
        The study has no judged rollout, or the budget does not cover all verdicts.

    Examples
    --------
    In a notebook, or in an `async def`:

    >>> async with af.connect(study) as endpoint:  # doctest: +SKIP
    ...     await af.check_judge(study.judge, endpoint, folders.raw)
    """
    subfolder = folder / JUDGE_CHECK
    unaltered = {"name": "", "place": "output", "text": ""}
    rows = []
    with Journal(subfolder / ROLLOUTS) as journal:
        for kind, record in _one_of_each_kind(folder):
            for attempt in [unaltered, *attempts()]:
                name, place, text = attempt["name"], attempt["place"], attempt["text"]
                altered = record | {place: f"{record[place]}\n{text}" if text else record[place]}
                key = stable_key([record["key"], name, altered])
                if key not in journal:
                    journal.append(key, {field: altered[field] for field in altered if field != "key"})
                rows.append((name, place, record["setting"], kind, key))
    settings = settings.model_copy(update={"form": prompt_of(settings, folder).form, "questions": {}})
    summary = await judge(settings, endpoint, subfolder, budget=budget)
    if not summary.complete:
        raise InputError(f"{subfolder}: is not judged yet ({summary.stopped or summary.failed[0]})")
    judged = verdicts(subfolder, settings.model).set_index("rollout")[list(OUTCOMES)]
    table = pd.DataFrame(rows, columns=["attempt", "place", "setting", "kind", "after"])
    table.insert(4, "before", table.groupby(["setting", "kind"])["after"].transform("first"))
    for column in ("before", "after"):
        table[column] = [tuple(judged.loc[key]) for key in table[column]]
    table["changed"] = table["before"].map(str) != table["after"].map(str)
    return table[table["attempt"] != ""].reset_index(drop=True)


def _one_of_each_kind(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """The first judged rollout of each kind of verdict in each setting, with its kind."""
    kinds = {}
    for row in verdicts(folder).dropna(subset=["complied", "af_partial"]).itertuples():
        complied = f"complied, {'AF' if row.af_partial else 'no AF'} reasoning"
        kinds[row.rollout] = complied if row.complied else "refused"
    keys = {record["key"] for record in to_judge(folder, ["key"])} & kinds.keys()
    chosen: dict[tuple[str, str], dict[str, Any]] = {}
    for record in read_records(folder / ROLLOUTS):
        if record["key"] in keys:
            chosen.setdefault((record["setting"], kinds[record["key"]]), record)
    if not chosen:
        raise InputError(f"{folder}: holds no judged rollout; judge the study first")
    return [(kind, chosen[setting, kind]) for setting, kind in sorted(chosen)]
