"""Numbers as text."""

from __future__ import annotations


def percent(value: float, digits: int = 1) -> str:
    """A proportion as a percentage without its sign: 0.1234 gives '12.3'; never '-0.0'."""
    text = f"{100 * value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def interval(low: float, high: float) -> str:
    """An interval of proportions in percent: '[7.3, 15.7]'."""
    return f"[{percent(low)}, {percent(high)}]"


def p_value(p: float) -> str:
    """A p-value as papers print it: '0.032', '< 0.001', '–' where there is none."""
    if p != p:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.995 else "1.000"
