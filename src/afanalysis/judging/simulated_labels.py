"""Labels of simulated people, for simulated studies."""

from __future__ import annotations

from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.standin.answers import SimulatedLabeller
from afanalysis.study.design import Study
from afanalysis.study.folders import ROLLOUTS
from afanalysis.study.journal import read_records
from afanalysis.study.label_sample import read_sample
from afanalysis.study.labels import Label, add_labels, read_labels

SIMULATED_LABELLERS = ("simulated-ann", "simulated-ben")


def simulate_labels(study: Study, folder: Path) -> int:
    """Label a drawn sample as two simulated people would, where a study is simulated itself.

    Returns
    -------
    int
        The labels written; what is labelled already is passed over.

    Raises
    ------
    InputError
        The rollouts are no simulated ones: labels of real answers must come from people.
    """
    drawn = read_sample(folder)
    there = {(one.rollout, one.labeller) for one in read_labels(folder)}
    people = [SimulatedLabeller(name, study.seed) for name in SIMULATED_LABELLERS]
    made = []
    for record in read_records(folder / ROLLOUTS):
        key = record["key"]
        if record["source"] != "simulated":
            raise InputError(f"{folder}: holds {record['source']} rollouts; people must label those")
        made += [
            Label(key, person.name, *person.label(key, record["scratchpad"], record["output"]))
            for person in people
            if key in drawn and (key, person.name) not in there
        ]
    return add_labels(folder, made)
