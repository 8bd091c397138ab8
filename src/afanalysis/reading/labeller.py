"""The labeller: one transcript after the other, blind to the judge, each label on disk at once."""

from __future__ import annotations

from html import escape
from typing import Any

import traitlets

from afanalysis.analysis.verdict_agreement import agreement
from afanalysis.errors import InputError
from afanalysis.reading.browser import Browser
from afanalysis.study.folders import Folders
from afanalysis.study.label_sample import read_sample
from afanalysis.study.labels import Label, add_labels, read_labels

# Agreement is shown from this many shared labels on: fewer would give single verdicts away.
SHARED_AT_LEAST = 10


class Labeller(Browser):
    """The widget.

    Attributes
    ----------
    progress
        `done`, `total`, `agreement` (in words), `labeller`.
    label
        This labeller's label of the rollout that is shown; empty where there is none.
    """

    mode = traitlets.Unicode("label").tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)
    label = traitlets.Dict().tag(sync=True)

    def __init__(self, data: Folders, labeller: str, *, blind_tier: bool = False) -> None:
        if not isinstance(data, Folders):
            raise InputError("labels need a place: give the study's folders, af.Folders('..', 'demo')")
        if not labeller.strip():
            raise InputError("labeller is empty; say who labels")
        self._labeller, self._blind = labeller, blind_tier
        self._given: list[str] = []
        self._labels = {(one.rollout, one.labeller): one for one in read_labels(data.raw)}
        super().__init__(data)
        drawn = list(read_sample(data.raw))
        known = set(self._transcripts.order({}))
        self._queue = [rollout for rollout in drawn if rollout in known] or sorted(known)
        self.on_msg(self._told)
        self._next()

    def _show(self) -> None:
        """Nothing is searched for here: the order is that of the sample."""

    def _read(self, rollout: str) -> dict[str, Any]:
        read = self._transcripts.read(rollout)
        side = read["sides"][0]
        side["about"] = {} if self._blind else {"tier": side["tier"]}
        side |= {"verdict": "", "tier": "hidden" if self._blind else side["tier"], "rollout": rollout}
        for text in ("scratchpad", "output"):  # what the judge quoted would give its verdict away
            side[text] = [{"text": part["text"], "mark": ""} for part in side[text]]
        return read | {"sides": [side]}

    def _table(self) -> str:
        """For where widgets cannot run: how far the labelling is, and no verdict."""
        done = f"{self.progress['done']} of {self.progress['total']} rollouts are labelled by "
        return f"<p>{done}{escape(self._labeller)} (run the notebook in JupyterLab to label).</p>"

    def _next(self, rollout: str | None = None) -> None:
        """Show a rollout, or the first that this labeller has not labelled."""
        todo = [one for one in self._queue if (one, self._labeller) not in self._labels]
        chosen = rollout or (todo[0] if todo else "")
        mine = self._labels.get((chosen, self._labeller))
        with self.hold_sync():  # one message, so that no key is pressed on half of it
            self.label = (
                {} if mine is None else {"behaviour": mine.behaviour, "af": mine.af, "note": mine.note}
            )
            self.progress = {
                "done": len(self._queue) - len(todo),
                "total": len(self._queue),
                "labeller": self._labeller,
                "agreement": self._agreement(),
            }
            self.transcript = self._read(chosen) if chosen else {}

    def _told(self, _: Any, message: dict[str, Any], __: Any) -> None:
        if message.get("do") == "undo" and self._given:
            self._next(self._given.pop())
        elif message.get("do") == "label":
            said = {name: str(message.get(name, "")) for name in ("rollout", "behaviour", "af", "note")}
            one = Label(labeller=self._labeller, **said)
            if self._folder is None or one.rollout not in self._queue:
                return
            add_labels(self._folder, [one])  # on disk when this returns
            self._labels[one.rollout, self._labeller] = one
            self._given.append(one.rollout)
            self._next()

    def _agreement(self) -> str:
        """How far this labeller agrees with each other one, in words."""
        said = []
        for other in sorted({who for _, who in self._labels} - {self._labeller}):
            shared = [
                (mine.behaviour, self._labels[rollout, other].behaviour)
                for (rollout, who), mine in self._labels.items()
                if who == self._labeller and (rollout, other) in self._labels
            ]
            if len(shared) >= SHARED_AT_LEAST:
                found = agreement(*zip(*shared, strict=True)).set_index("measure")["value"]
                said.append(
                    f"with {other}: {100 * found['agreement']:.0f} % of {len(shared)} alike, "
                    f"AC1 {found[found.index[2]]:.2f}"
                )
        return "; ".join(said)


def label(data: Folders, labeller: str, *, blind_tier: bool = False) -> Labeller:
    """Label a study's drawn sample by keyboard.

    Keys: c complied, r refused, u undecided, x artifact; f, p, n for AF reasoning (full, partial, none);
    o for a note, Enter to save and go on, z to go back to the last one. Neither the judge's verdict nor,
    with `blind_tier`, the tier is shown. Begin again at any time: what is labelled is on disk.

    Parameters
    ----------
    data
        The study's folders. Without a drawn sample (`afanalysis sample-for-labels`) all its rollouts
        are gone through in the order of their keys.
    labeller
        Who labels.
    blind_tier
        Hide the tier, too; a scratchpad may still name it.

    Raises
    ------
    InputError
        There is no labeller, or no place to write to.
    """
    return Labeller(data, labeller, blind_tier=blind_tier)
