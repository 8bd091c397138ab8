"""Collect, judge and analyse alignment-faking experiments.

The names that a notebook needs are here; heavy libraries are imported where they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from afanalysis import figures as figures
    from afanalysis import published as published
    from afanalysis.collection import collect as collect
    from afanalysis.errors import InputError as InputError
    from afanalysis.folders import Folders as Folders
    from afanalysis.judging import judge as judge
    from afanalysis.money import Budget as Budget
    from afanalysis.pipeline import connect as connect
    from afanalysis.rollouts import load as load
    from afanalysis.rollouts import save as save
    from afanalysis.rollouts import tidy as tidy
    from afanalysis.study import Study as Study
    from afanalysis.summaries import agreement as agreement
    from afanalysis.summaries import compare as compare
    from afanalysis.summaries import compliance_gap as compliance_gap
    from afanalysis.summaries import estimates as estimates
    from afanalysis.summaries import headline as headline
    from afanalysis.summaries import plan as plan
    from afanalysis.summaries import rates as rates
    from afanalysis.summaries import regression as regression
    from afanalysis.summaries import summary as summary

_HOME = {
    "Budget": "money",
    "Folders": "folders",
    "InputError": "errors",
    "Study": "study",
    "agreement": "summaries",
    "collect": "collection",
    "compare": "summaries",
    "compliance_gap": "summaries",
    "connect": "pipeline",
    "estimates": "summaries",
    "headline": "summaries",
    "judge": "judging",
    "load": "rollouts",
    "plan": "summaries",
    "rates": "summaries",
    "regression": "summaries",
    "save": "rollouts",
    "summary": "summaries",
    "tidy": "rollouts",
}
_MODULES = ("figures", "pipeline", "published")
__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
