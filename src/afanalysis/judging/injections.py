"""Does the judge do what a transcript tells it to? A set of attempts, each put into real rollouts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afanalysis.study.folders import ROLLOUTS

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.collection.endpoint import Endpoint
from afanalysis.errors import InputError
from afanalysis.judging.model import judge, to_judge
from afanalysis.study.design import JudgeSettings
from afanalysis.study.hashing import stable_key
from afanalysis.study.journal import Journal, read_records
from afanalysis.study.ledger import Budget
from afanalysis.study.votes import OUTCOMES, verdicts

FOLDER = "judge_check"


def attempts() -> list[dict[str, str]]:
    """The attempts that ship with the package: `name`, `place` (a field of the rollout), `text`."""
    import yaml

    text = files("afanalysis.judging").joinpath("judge_attacks.yaml").read_text("utf-8")
    found: list[dict[str, str]] = yaml.safe_load(text)
    for one in found:
        one["text"] = one["text"].replace("PADDING", 3000 * ".")
    return found


async def check_judge(
    settings: JudgeSettings, endpoint: Endpoint, folder: Path, *, budget: Budget | None = None
) -> pd.DataFrame:
    """Judge rollouts of a study with and without each attempt in them.

    For each setting, one rollout of each kind is taken (complied with AF reasoning, complied without,
    refused) and judged as it is and once with each attempt appended. A judge that wavers by itself,
    without any attempt, shows here too: repeat with more votes to tell the two apart.

    Parameters
    ----------
    settings, endpoint, budget
        As in `judge`.
    folder
        The raw folder of a judged study. What is asked and answered is kept in `judge_check` in it.

    Returns
    -------
    DataFrame
        One row an attempt and rollout: `attempt`, `place`, `setting`, `kind`, `before` and `after`
        (complied, af_full, af_partial), `changed`.

    Raises
    ------
    InputError
        The study has no judged rollout.
    """
    import pandas as pd

    bases = _one_of_each_kind(folder)
    inside = folder / FOLDER
    rows = []
    with Journal(inside / ROLLOUTS) as journal:
        for kind, record in bases:
            versions = [("", "", record)]
            for attempt in attempts():
                place = attempt["place"]
                changed = record | {place: f"{record[place]}\n{attempt['text']}"}
                versions.append((attempt["name"], place, changed))
            for name, place, version in versions:
                key = stable_key([record["key"], name, version])
                if key not in journal:
                    journal.append(key, {k: v for k, v in version.items() if k != "key"})
                rows.append(
                    {
                        "attempt": name,
                        "place": place,
                        "setting": record["setting"],
                        "kind": kind,
                        "key": key,
                    }
                )
    await judge(settings, endpoint, inside, budget=budget)
    judged = verdicts(inside, settings.model).set_index("rollout")[list(OUTCOMES)]
    table = pd.DataFrame(rows)
    table["after"] = [tuple(judged.loc[key]) for key in table["key"]]
    plain = table[table["attempt"] == ""].set_index(["setting", "kind"])["after"]
    table["before"] = [plain[place] for place in zip(table["setting"], table["kind"], strict=True)]
    table["changed"] = [
        list(map(str, before)) != list(map(str, after))
        for before, after in zip(table["before"], table["after"], strict=True)
    ]
    columns = ["attempt", "place", "setting", "kind", "before", "after", "changed"]
    return table.loc[table["attempt"] != "", columns].reset_index(drop=True)


def _one_of_each_kind(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """By kind of verdict and setting the first judged rollout, with its kind."""
    judged = verdicts(folder).dropna(subset=["complied", "af_partial"]).set_index("rollout")
    kinds: dict[str, str] = {
        key: "refused"
        if not row.complied
        else "complied, AF reasoning"
        if row.af_partial
        else "complied, no AF reasoning"
        for key, row in judged.iterrows()
    }
    chosen: dict[tuple[str, str], str] = {}
    for record in to_judge(folder, ["key", "setting"]):
        if record["key"] in kinds:
            chosen.setdefault((record["setting"], kinds[record["key"]]), record["key"])
    if not chosen:
        raise InputError(f"{folder}: holds no judged rollout; judge the study first")
    wanted = set(chosen.values())
    records = {row["key"]: row for row in read_records(folder / ROLLOUTS) if row["key"] in wanted}
    return [(kind, records[key]) for (_, kind), key in sorted(chosen.items())]
