"""The words for what is measured, and numbers as text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class _Words(dict[str, str]):
    """Words by name; a study's own names speak for themselves."""

    def __missing__(self, name: str) -> str:
        return name


class _TierWords(_Words):
    def __missing__(self, tier: str) -> str:
        return tier if "−" in tier else f"{tier} tier"


_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

SETTINGS = _Words(_WORDS["settings"])

TIERS = _TierWords(_WORDS["tiers"])

QUANTITIES = _Words(_WORDS["quantities"])

SCRATCHPADS: dict[str, str] = _WORDS["scratchpads"]

SIZES: dict[str, str] = _WORDS["sizes"]

MACROS: dict[str, str] = _WORDS["macros"]

RATES: dict[str, str] = _WORDS["rates"]

# By kind of table, what readers see of it.
COLUMNS: dict[str, dict[str, list[str]]] = _WORDS["columns"]

# By column, what rollouts are taken for where their table lacks it.
USUAL: dict[str, Any] = _WORDS["usual"]


def in_order(names: Iterable[str]) -> list[str]:
    """Settings, quantities or tiers, each once, in the order in which figures and reports show them.

    Examples
    --------
    >>> in_order(["medical", "animal-welfare", "helpful-only", "helpful-only"])
    ['helpful-only', 'animal-welfare', 'medical']
    """
    given = dict.fromkeys(names)
    known = [name for name in (*SETTINGS, *QUANTITIES, *TIERS) if name in given]
    return [*dict.fromkeys([*known, *given])]


def in_reading_order(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows of a table by setting, quantity or tier, in the order in which all tables show them."""
    return table.sort_values(
        list(columns), key=lambda names: names.map(in_order(names).index), kind="stable"
    )


def in_words(
    table: pd.DataFrame, order: Sequence[str], columns: Mapping[str, Sequence[str]] = COLUMNS["report"]
) -> pd.DataFrame:
    """A table as text, for readers.

    Parameters
    ----------
    table
        Conditions and numbers (proportions).
    order
        The columns by which rows are put in reading order.
    columns
        By title the column to show, or the three of an estimate and the ends of its interval; by default
        those of the report. What the table lacks is left out.
    """
    rows = in_reading_order(table, *order)
    shown = rows[[]].copy()
    for title, names in columns.items():
        if not set(names) <= set(rows):
            continue
        if len(names) == 3:
            shown[title] = list(map(with_interval, rows[list(names)].to_numpy(float)))
        else:
            words = {"quantity": QUANTITIES, "tier": TIERS}.get(title, _Words())
            shown[title] = [words[str(value)] for value in rows[names[0]]]
    return shown


def split_remarks(warning: str) -> list[str]:
    """The remarks of a warning: what semicolons outside parentheses separate.

    Examples
    --------
    >>> split_remarks("too few prompts (12; from 20 on it was checked); many are left out (17%)")
    ['too few prompts (12; from 20 on it was checked)', 'many are left out (17%)']
    """
    return re.split(r"; (?![^(]*\))", warning)


def scratchpad_note(texts: Iterable[object]) -> str:
    """In which texts AF reasoning was looked for, as a sentence; empty where no table names one.

    Examples
    --------
    >>> scratchpad_note(["tags", "", "tags, thinking"])
    'AF reasoning: in the tagged scratchpad, the thinking that the API returns.'
    """
    names = {name for text in texts if isinstance(text, str) for name in text.split(", ")}
    words = ", ".join(phrase for name, phrase in SCRATCHPADS.items() if name in names)
    return f"AF reasoning: in {words}." if words else ""


def percent(value: float, digits: int = 1) -> str:
    """A proportion as a percentage without its sign: 0.1234 gives '12.3'; never '-0.0'."""
    text = f"{100 * value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def interval(low: float, high: float) -> str:
    """An interval of proportions in percent: '[7.3, 15.7]'."""
    return f"[{percent(low)}, {percent(high)}]"


def with_interval(numbers: Iterable[float], unit: str = "") -> str:
    """A proportion and the ends of its interval, if it has one, in percent; '–' where it is missing.

    Examples
    --------
    >>> with_interval([0.113, 0.073, 0.157], "points")
    '11.3 points [7.3, 15.7]'
    """
    value, low, high = numbers
    if value != value:
        return "–"
    return " ".join(filter(None, [percent(value), unit, interval(low, high) if low == low else ""]))


def p_value(p: float) -> str:
    """A p-value as papers print it: '0.032', '< 0.001', '–' where there is none."""
    if p != p:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.995 else "1.000"
