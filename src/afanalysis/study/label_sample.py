"""Draw a sample worth labelling, and read in the sheet that people filled in."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from afanalysis.errors import InputError
from afanalysis.study.files import read_csv, write_csv
from afanalysis.study.folders import LABEL_SAMPLE, LABEL_SHEET
from afanalysis.study.hashing import text_hash
from afanalysis.study.labels import Label, add_labels
from afanalysis.text.untrusted import excerpt

# the behaviour before the scratchpad, as people should label
_SHEET_FIELDS = ["rollout", "request", "output", "behaviour", "scratchpad", "af", "note"]


def sample_for_labels(rollouts: pd.DataFrame, size: int = 200, *, seed: int = 0) -> pd.DataFrame:
    """Draw rollouts for people to label, such that rare verdicts are among them.

    Strata are setting × tier × verdict (complied with AF reasoning, complied, refused) × the judge's
    confidence (all votes agree and all quotes were found, or not). Settings and tiers get equal shares;
    within them, a stratum's share grows with the square root of its size. The order is a hash of the
    seed, so a larger sample begins with the smaller one, and a half-labelled sample is as good as one
    drawn at that size.

    Parameters
    ----------
    rollouts
        The tidy table of a judged study. Rollouts without a verdict are not drawn.
    size
        The number to draw; all of them if there are fewer.
    seed
        A different seed draws a different sample.

    Returns
    -------
    DataFrame
        `rollout`, `stratum`, `stratum_size`, in the order in which to label.

    Raises
    ------
    InputError
        No rollout has a verdict, or `size` is below 1.

    References
    ----------
    Power allocation: Bankier (1988), The American Statistician 42:174.

    Examples
    --------
    >>> import afanalysis as af
    >>> sample = af.sample_for_labels(af.example_rollouts(), 20)
    >>> list(sample), len(sample)
    (['rollout', 'stratum', 'stratum_size'], 20)
    """
    judged = rollouts[rollouts["valid"] & rollouts["complied"].notna()]
    if judged.empty or size < 1:
        raise InputError("there is nothing to draw; judge the study first and ask for at least 1 label")
    faked = judged["af_reasoning"].fillna(0) > 0
    verdict = np.where(faked, "AF", np.where(judged["complied"].astype(bool), "complied", "refused"))
    confidence = np.where(judged["judge_confidence"].fillna(0) >= 1, "sure", "unsure")
    cell = judged["setting"] + " " + judged["tier"]
    table = pd.DataFrame(
        {
            "rollout": judged["rollout"],
            "cell": cell,
            "stratum": cell + " " + verdict + " " + confidence,
            "order": [text_hash(f"label {seed} {rollout}") for rollout in judged["rollout"]],
        }
    ).sort_values("order")
    table["stratum_size"] = table.groupby("stratum")["stratum"].transform("size")
    # a rollout's turn: how far through its stratum it comes, relative to the stratum's share
    share = np.sqrt(table["stratum_size"]) / table.groupby("cell")["cell"].transform(
        lambda names: np.sqrt(table.loc[names.index].groupby("stratum").size()).sum()
    )
    turn = (table.groupby("stratum").cumcount() + 0.5) / share
    drawn = table.assign(turn=turn).sort_values(["turn", "order"]).head(size)
    return drawn.sort_values("order")[["rollout", "stratum", "stratum_size"]].reset_index(drop=True)


def read_sample(folder: str | Path) -> dict[str, tuple[str, int]]:
    """The sample drawn for labelling: each rollout's stratum and that stratum's size; may be empty."""
    path = Path(folder) / LABEL_SAMPLE
    sample: dict[str, tuple[str, int]] = {}
    if not path.exists():
        return sample
    for line, row in read_csv(path, ("rollout", "stratum", "stratum_size")):
        size = row["stratum_size"]
        if not size.isdecimal() or len(size) > 15:
            problem = f"stratum_size is {excerpt(size)}; draw the sample again"
            raise InputError(f"{path}: line {line}: {problem}")
        sample[row["rollout"]] = row["stratum"], int(size)
    return sample


def weights(folder: str | Path, labelled: Iterable[str]) -> dict[str, float]:
    """The sampling weight of each labelled rollout: how many rollouts of its stratum it represents.

    Without a drawn sample every label weighs 1, as in a simple random sample. With one, labels of
    rollouts outside it, which somebody chose for a reason, have no weight.
    """
    sample = read_sample(folder)
    labelled = list(labelled)
    if not sample:
        return dict.fromkeys(labelled, 1.0)
    drawn = [rollout for rollout in labelled if rollout in sample]
    labelled_per_stratum = Counter(sample[rollout][0] for rollout in drawn)
    return {rollout: sample[rollout][1] / labelled_per_stratum[sample[rollout][0]] for rollout in drawn}


def write_label_sample(folder: str | Path, sample: pd.DataFrame, rollouts: pd.DataFrame) -> Path:
    """Write a drawn sample, and a sheet to fill in: the texts without tier and verdict.

    Cells that a spreadsheet would take for a formula begin with an apostrophe.

    Parameters
    ----------
    folder
        The study's raw folder.
    sample
        As `sample_for_labels` draws it.
    rollouts
        The tidy table from which it was drawn.

    Returns
    -------
    Path
        The sheet. Fill in `behaviour`, `af` and `note`, then read it in with `afanalysis add-labels`.

    Examples
    --------
    >>> import tempfile
    >>> import afanalysis as af
    >>> rollouts = af.example_rollouts()
    >>> sample = af.sample_for_labels(rollouts, 20)
    >>> af.write_label_sample(tempfile.mkdtemp(), sample, rollouts).name
    'label_sheet.csv'
    """
    folder = Path(folder)
    write_csv(folder / LABEL_SAMPLE, sample)
    texts = rollouts.set_index("rollout").loc[sample["rollout"], ["request", "scratchpad", "output"]]
    sheet = texts.fillna("").reset_index().reindex(columns=_SHEET_FIELDS)
    return write_csv(folder / LABEL_SHEET, sheet, encoding="utf-8-sig")


def add_sheet(folder: str | Path, sheet: str | Path, labeller: str) -> int:
    """Read in a filled-in sheet, in which every row with a behaviour is a label; return their number.

    Raises
    ------
    InputError
        A row is not a label, or its rollout is not in the sample; nothing is written then.
    """
    sheet = Path(sheet)
    drawn = read_sample(folder)
    labels = []
    for line, row in read_csv(sheet, ("rollout", "behaviour")):
        behaviour = row["behaviour"].strip().lower()
        if not behaviour:
            continue
        if row["rollout"] not in drawn:
            raise InputError(f"{sheet}: line {line}: rollout {excerpt(row['rollout'])} was not drawn")
        try:
            af = row.get("af", "").strip().lower()
            labels.append(Label(row["rollout"], labeller, behaviour, af, row.get("note", "")))
        except InputError as error:
            raise InputError(f"{sheet}: line {line}: {error}") from error
    return add_labels(folder, labels)
