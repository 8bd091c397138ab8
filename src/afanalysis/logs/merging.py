"""Put what was read together: each rollout once, in an order that no order of files can change."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from afanalysis.logs.parts import Piece, Place, Tally
from afanalysis.logs.rows import Vote
from afanalysis.logs.values import undated
from afanalysis.stats.thresholds import candidate_thresholds


@dataclass(frozen=True)
class Kept:
    """The rollouts that are kept, in order; arrays of one length, and what their numbers stand for.

    Attributes
    ----------
    key
        16 bytes each, as two numbers.
    sample
        Its number among the answers to its prompt in its condition.
    row, file
        Where it is from.
    place, ballot
        Numbers of `places` and `ballots`: where it stands in the study, and what was voted on it.
    identity, named
        What makes it this rollout, and whether its log names it.
    score, valid
        As its record has them.
    start, length
        Where its record is in the file of all.
    """

    key: np.ndarray
    identity: np.ndarray
    sample: np.ndarray
    row: np.ndarray
    file: np.ndarray
    place: np.ndarray
    ballot: np.ndarray
    named: np.ndarray
    score: np.ndarray
    valid: np.ndarray
    start: np.ndarray
    length: np.ndarray
    places: list[Place]
    ballots: list[tuple[Vote, ...]]

    def __len__(self) -> int:
        return len(self.row)

    def keys(self) -> list[str]:
        """The keys in 32 hex digits."""
        digits = self.key.tobytes().hex()
        return [digits[at : at + 32] for at in range(0, len(digits), 32)]

    def values(self, name: str) -> set[str]:
        """What occurs in a part of the places."""
        return {getattr(self.places[at], name) for at in set(self.place.tolist())}


def merge(
    pieces: Sequence[Piece],
    files: Sequence[int],
    hashes: Sequence[str],
    names: Sequence[str],
    tally: Tally,
) -> Kept:
    """The rollouts of all pieces, each once, ordered by what they are.

    A rollout that its log names (by an id, an epoch, a time) and that stands there again with all its
    texts is a copy. One that its log does not name is a copy only where the whole file is: two equal
    answers of one file may be two samples.

    Parameters
    ----------
    pieces
        What was read.
    files
        Of each piece, the number of its file.
    hashes, names
        The SHA-256 and the name of each file.
    tally
        Counts what is set aside.
    """
    places: dict[Place, int] = {}
    ballots: dict[tuple[Vote, ...], int] = {}
    seen: Counter[tuple[int, bytes]] = Counter()
    before: Counter[int] = Counter()
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for piece, file in zip(pieces, files, strict=True):
        index = piece.index
        size = len(index)
        if size:
            identity = np.frombuffer(bytes(index.identity), dtype=">u8").reshape(size, 2)
            key = identity.copy()
            for n in np.flatnonzero(np.asarray(index.named) == 0):
                same = file, identity[n].tobytes()
                told = same[1] + f"{hashes[file]} {seen[same]}".encode()
                key[n] = np.frombuffer(sha256(told).digest()[:16], dtype=">u8")
                seen[same] += 1
            to_place = np.array([places.setdefault(one, len(places)) for one in index.places])
            to_ballot = np.array([ballots.setdefault(one, len(ballots)) for one in index.ballots])
            columns = {name: np.asarray(getattr(index, name)) for name in _COLUMNS} | {
                "key": key,
                "identity": identity,
                "row": np.asarray(index.row) + before[file],
                "place": to_place[np.asarray(index.place)],
                "ballot": to_ballot[np.asarray(index.votes)],
                "file": np.full(size, file),
            }
            for name, values in columns.items():
                parts[name].append(values)
        before[file] += piece.last
    table = {name: np.concatenate(found) for name, found in parts.items()}
    if table:
        table = _without_copies(table, list(ballots), list(places), hashes, names, tally)
        _number(table, list(places))
    else:
        table = {name: np.zeros(0) for name in (*_COLUMNS, "key", "identity", "place", "ballot", "file")}
    del table["check"]
    return Kept(**table, places=list(places), ballots=list(ballots))


_COLUMNS = ("row", "named", "valid", "check", "sample", "score", "start", "length")


def _without_copies(
    table: dict[str, np.ndarray],
    ballots: list[tuple[Vote, ...]],
    places: list[Place],
    hashes: Sequence[str],
    names: Sequence[str],
    tally: Tally,
) -> dict[str, np.ndarray]:
    """Each rollout once; of two versions the one with more verdicts, whatever the order of files."""
    decided = np.array([-sum(vote is not None for cast in votes for vote in cast) for votes in ballots])
    digests = np.array([int(digest[:15], 16) for digest in hashes])[table["file"]]
    ranking = (table["row"], digests, table["check"], decided[table["ballot"]])
    order = np.lexsort((*ranking, table["key"][:, 1], table["key"][:, 0]))
    sorted_ = {name: values[order] for name, values in table.items()}
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (sorted_["key"][1:] == sorted_["key"][:-1]).all(axis=1)
    if not again.any():
        return table
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))
    for at in np.flatnonzero(again).tolist():
        same = sorted_["check"][at] == sorted_["check"][first[at]]
        reason = (
            "a copy of another row"
            if same
            else "another version of a rollout, with fewer verdicts or other fields"
        )
        place = places[sorted_["place"][at]]
        tally.add(reason, names[sorted_["file"][at]], int(sorted_["row"][at]), place.prompt_id)
    return {name: values[~again] for name, values in sorted_.items()}


def _number(table: dict[str, np.ndarray], places: list[Place]) -> None:
    """Put the rollouts in order, and number the answers to each prompt."""
    ranks: dict[tuple[str, ...], int] = {}
    for place in sorted({place[:5] for place in places}):
        ranks[place] = len(ranks)
    rank = np.array([ranks[place[:5]] for place in places])[table["place"]]
    order = np.lexsort((table["key"][:, 1], table["key"][:, 0], table["sample"], rank))
    for name, values in table.items():
        table[name] = values[order]
    rank = rank[order]
    at = np.arange(len(rank))
    begins = np.ones(len(rank), dtype=bool)
    begins[1:] = rank[1:] != rank[:-1]
    table["sample"] = at - np.maximum.accumulate(np.where(begins, at, 0))


def checks(kept: Kept) -> list[str]:
    """What is odd about the rollouts as a whole, in sentences that say what to do."""
    places = [kept.places[number] for number in sorted(set(kept.place.tolist()))]
    found = {place.tier for place in places}
    if len(found) == 1:
        return [f"All rollouts are of the {found.pop()} tier: there is no gap to compute."]
    said = _tiers(places)
    requests: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    ids: dict[bytes, set[str]] = defaultdict(set)
    by_model: dict[str, set[str]] = defaultdict(set)
    for place in places:
        requests[place.setting, place.prompt_id].add(place.request)
        ids[place.request].add(place.prompt_id)
        by_model[undated(place.model)].add(place.model)
    mixed = sum(len(texts) > 1 for texts in requests.values())
    if mixed:
        said.append(
            f"{mixed} prompt ids name several requests each: they count as one prompt. If they are not, "
            "tell them apart by their texts with --map prompt_id="
        )
    doubled = sum(len(names) > 1 for names in ids.values())
    if doubled and not any("pair them by their texts" in one for one in said):
        said.append(
            f"{doubled} requests stand under several prompt ids: their answers count as "
            f"independent. Join "
            "them by their texts with --map prompt_id="
        )
    variations = sorted({place.variation for place in places})
    if "default" not in variations:
        said.append(
            f"No variation is called default, so nothing is laid beside the paper. If "
            f"{variations[0]} is its "
            f"default prompt: --rename variation:{variations[0]}=default"
        )
    for names in by_model.values():
        if len(names) > 1:
            first, *rest = sorted(names)
            said.append(
                f"{', '.join(sorted(names))} may be one model under several names; if so: "
                + " ".join(f"--rename model:{name}={first}" for name in rest)
            )
    unnamed = kept.identity[kept.named == 0].tobytes()
    alike = len(unnamed) // 16 - len({unnamed[at : at + 16] for at in range(0, len(unnamed), 16)})
    if alike:
        said.append(
            f"{alike} answers are equal to another one to the same request, and nothing (no id, "
            f"no time) "
            "tells a copy from a second sample: all are kept."
        )
    return said


def _tiers(places: list[Place]) -> list[str]:
    """What is odd about who was asked in which tier."""
    tiers: dict[tuple[Any, ...], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    texts: dict[str, set[bytes]] = defaultdict(set)
    for place in places:
        tiers[place[:3]][place.tier].add(place.prompt_id)
        texts[place.tier].add(place.request)
    said = [
        f"{', '.join(condition)}: has only the {next(iter(found))} tier, so it has no gap; leave "
        f"it out or add "
        "the other tier."
        for condition, found in sorted(tiers.items())
        if len(found) == 1
    ]
    both = sum(len(found["free"] & found["paid"]) for found in tiers.values())
    alone = sum(len(found["free"] ^ found["paid"]) for found in tiers.values() if len(found) == 2)
    common = len(texts["free"] & texts["paid"])
    if not both and common:
        said.append(
            f"No prompt's id stands in both tiers, but {common} requests do: pair them by their "
            f"texts with "
            "--map prompt_id="
        )
    elif alone:
        said.append(
            f"Prompts in both tiers: {both}, in one only: {alone}. The latter count in their "
            f"tier's rate, and "
            "in the gap as unpaired."
        )
    return said


def by_threshold(kept: Kept) -> list[dict[str, Any]]:
    """What the choice of a threshold does, where verdicts are graded.

    Returns
    -------
    list of dict
        `model`, `setting`, `variation`, `threshold`, `free`, `paid` (the share that
        complies), `gap` (proportions); a row a condition with both tiers and threshold, the
        thresholds being the scores that occur, or eighths where more than sixteen do. Intervals:
        `afanalysis.score_thresholds`.
    """
    graded = ~np.isnan(kept.score) & (kept.valid != 0)
    scores = candidate_thresholds(kept.score[graded].tolist())
    conditions = [place[:4] for place in kept.places]
    names = sorted(set(conditions))
    code = np.array([names.index(one) for one in conditions])[kept.place] if names else kept.place
    rates = {}
    for at, name in enumerate(names):
        mine = kept.score[graded & (code == at)]
        if len(mine):
            rates[name] = [float((mine >= score).mean()) for score in scores]
    rows = []
    for setting, variation, model in sorted({name[:3] for name in rates}):
        free, paid = (rates.get((setting, variation, model, tier)) for tier in ("free", "paid"))
        if free is None or paid is None:
            continue
        for at, score in enumerate(scores):
            rows.append(
                {
                    "model": model,
                    "setting": setting,
                    "variation": variation,
                    "threshold": score,
                    "free": free[at],
                    "paid": paid[at],
                    "gap": free[at] - paid[at],
                }
            )
    return rows
