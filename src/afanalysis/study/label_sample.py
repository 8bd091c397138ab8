"""Draw a sample worth labelling, and read in the sheet that people filled in."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from afanalysis.study.folders import LABEL_SAMPLE, LABEL_SHEET

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.errors import InputError
from afanalysis.study.labels import Label, add_labels, csv_rows
from afanalysis.text.untrusted import guard_formula


def sample_for_labels(rollouts: pd.DataFrame, size: int = 200, *, seed: int = 0) -> pd.DataFrame:
    """Draw rollouts for people to label, so that rare verdicts are among them.

    Strata are setting × tier × verdict (complied with AF reasoning, complied, refused) × the judge's
    confidence (all votes alike and all quotes found, or not). Settings and tiers get equal parts;
    within them a stratum's part grows with the square root of its size. The order is a hash of the
    seed, so that a larger sample begins with the smaller one, and a half-labelled one is as good as
    drawn that small.

    Parameters
    ----------
    rollouts
        The tidy table of a judged study. Rollouts without a verdict are not drawn.
    size
        How many to draw; fewer where there are not as many.
    seed
        Another seed, another sample.

    Returns
    -------
    DataFrame
        `rollout`, `stratum`, `stratum_size`, in the order in which to label.

    References
    ----------
    Power allocation: Bankier (1988), The American Statistician 42:174.
    """
    import numpy as np
    import pandas as pd

    judged = rollouts[rollouts["valid"] & rollouts["complied"].notna()]
    if judged.empty or size < 1:
        raise InputError("there is nothing to draw; judge the study first and ask for at least 1 label")
    faked = judged["af_reasoning"].fillna(0) > 0
    verdict = np.where(faked, "AF", np.where(judged["complied"].astype(bool), "complied", "refused"))
    sure = np.where(judged["judge_confidence"].fillna(0) >= 1, "sure", "unsure")
    cell = judged["setting"] + " " + judged["tier"]
    table = pd.DataFrame(
        {
            "rollout": judged["rollout"],
            "cell": cell,
            "stratum": cell + " " + verdict + " " + sure,
            "order": [_order(seed, rollout) for rollout in judged["rollout"]],
        }
    ).sort_values("order")
    table["stratum_size"] = table.groupby("stratum")["stratum"].transform("size")
    # a rollout's turn: how far through its stratum it stands, by the part that the stratum is due
    due = np.sqrt(table["stratum_size"]) / table.groupby("cell")["cell"].transform(
        lambda names: np.sqrt(table.loc[names.index].groupby("stratum").size()).sum()
    )
    turn = (table.groupby("stratum").cumcount() + 0.5) / due
    drawn = table.assign(turn=turn).sort_values(["turn", "order"]).head(size)
    return drawn.sort_values("order")[["rollout", "stratum", "stratum_size"]].reset_index(drop=True)


def _order(seed: int, rollout: str) -> str:
    return hashlib.sha256(f"label {seed} {rollout}".encode()).hexdigest()


def read_sample(folder: str | Path) -> dict[str, tuple[str, int]]:
    """The sample drawn for labelling: by rollout its stratum and that stratum's size; maybe empty."""
    path = Path(folder) / LABEL_SAMPLE
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {
                row["rollout"]: (row["stratum"], int(row["stratum_size"]))
                for row in csv.DictReader(file)
            }
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: is no label sample ({error}); draw it again") from error


def weights(folder: str | Path, labelled: Iterable[str]) -> dict[str, float]:
    """The sampling weight of each labelled rollout: how many of its stratum it stands for.

    Without a drawn sample every label weighs 1, as in a sample drawn at random. With one, labels of
    rollouts outside it, chosen for some reason of their own, have no weight.
    """
    sample = read_sample(folder)
    labelled = list(labelled)
    if not sample:
        return dict.fromkeys(labelled, 1.0)
    inside = [rollout for rollout in labelled if rollout in sample]
    each = Counter(sample[rollout][0] for rollout in inside)
    return {r: sample[r][1] / each[sample[r][0]] for r in inside}


_SHEET_FIELDS = ["rollout", "behaviour", "af", "note", "request", "scratchpad", "output"]


def write_label_sample(folder: str | Path, sample: pd.DataFrame, rollouts: pd.DataFrame) -> Path:
    """Write a drawn sample, and a sheet to fill in: the texts without tier and verdict.

    Cells that a spreadsheet would take for a formula begin with an apostrophe.

    Returns
    -------
    Path
        The sheet; `add_sheet` reads it in once it is filled in.
    """
    folder = Path(folder)
    sample.to_csv(folder / LABEL_SAMPLE, index=False)
    texts = rollouts.set_index("rollout").loc[sample["rollout"], ["request", "scratchpad", "output"]]
    sheet = texts.fillna("").map(guard_formula).reset_index().reindex(columns=_SHEET_FIELDS)
    sheet.to_csv(folder / LABEL_SHEET, index=False, encoding="utf-8-sig")
    return folder / LABEL_SHEET


def add_sheet(folder: str | Path, sheet: str | Path, labeller: str) -> int:
    """Read in a filled-in sheet: every row with a behaviour is a label. Gives how many there were.

    Raises
    ------
    InputError
        A row is no label, or its rollout is not in the sample; nothing is written then.
    """
    sheet = Path(sheet)
    known = read_sample(folder)
    found = []
    for number, row in csv_rows(sheet):
        behaviour = (row["behaviour"] or "").strip().lower()
        if not behaviour:
            continue
        if row["rollout"] not in known:
            raise InputError(f"{sheet}: line {number}: rollout {row['rollout']!r} was not drawn")
        try:
            af = (row.get("af") or "").strip().lower()
            found.append(Label(row["rollout"], labeller, behaviour, af, row.get("note") or ""))
        except InputError as error:
            raise InputError(f"{sheet}: line {number}: {error}") from error
    return add_labels(folder, found)
