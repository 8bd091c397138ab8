"""Numbers as text."""

from __future__ import annotations


def percent(value: float, digits: int = 1) -> str:
    """A proportion as a percentage without its sign: 0.1234 gives '12.3'; never '-0.0'."""
    text = f"{100 * value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")
