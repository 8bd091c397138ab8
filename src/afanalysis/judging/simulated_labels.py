"""Hand labels by simulated people, for simulated studies."""

from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.standin.answers import simulated_label
from afanalysis.study.design import Study
from afanalysis.study.folders import ROLLOUTS
from afanalysis.study.journal import read_records
from afanalysis.study.labels import Label, add_labels, read_labels, read_sample

SIMULATED_LABELLERS = ("simulated-ann", "simulated-ben")


def simulate_labels(study: Study, folder: Path) -> int:
    r"""Label a drawn sample as two simulated people would, if the study itself is simulated.

    Parameters
    ----------
    study
        The study; its seed decides the labels.
    folder
        Its raw folder, with a sample drawn by `sample_for_labels` and written by `write_label_sample`.

    Returns
    -------
    int
        The number of labels written; what has been labelled before is skipped.

    Raises
    ------
    InputError
        The rollouts are not simulated: people must label real answers.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import afanalysis as af
    >>> folder = Path(tempfile.mkdtemp())
    >>> rollout = {"key": "r1", "source": "simulated", "scratchpad": "", "output": "tier: complied"}
    >>> _ = (folder / "rollouts.jsonl").write_text(json.dumps(rollout) + "\n")
    >>> _ = (folder / "label_sample.csv").write_text("rollout,stratum,stratum_size\nr1,all,1\n")
    >>> af.simulate_labels(af.Study(name="small"), folder)
    2
    >>> {label.behaviour for label in af.read_labels(folder)}
    {'complied'}
    """
    drawn = read_sample(folder)
    present = {(label.rollout, label.labeller) for label in read_labels(folder)}
    labels = []
    for record in read_records(folder / ROLLOUTS):
        key = record["key"]
        if record["source"] != "simulated":
            raise InputError(f"{folder}: holds {record['source']} rollouts; people must label those")
        labels += [
            Label(key, name, *simulated_label(name, study.seed, record))
            for name in SIMULATED_LABELLERS
            if key in drawn and (key, name) not in present
        ]
    return add_labels(folder, labels)
