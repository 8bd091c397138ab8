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
    from afanalysis.collect import collect as collect
    from afanalysis.errors import InputError as InputError
    from afanalysis.folders import Folders as Folders
    from afanalysis.judge import judge as judge
    from afanalysis.pipeline import connect as connect
    from afanalysis.rollouts import load as load
    from afanalysis.rollouts import save as save
    from afanalysis.rollouts import tidy as tidy
    from afanalysis.study import Study as Study
    from afanalysis.summary import compliance_gap as compliance_gap
    from afanalysis.summary import estimates as estimates
    from afanalysis.summary import headline as headline
    from afanalysis.summary import rates as rates

_HOME = {
    "Folders": "folders",
    "InputError": "errors",
    "Study": "study",
    "collect": "collect",
    "compliance_gap": "summary",
    "connect": "pipeline",
    "estimates": "summary",
    "headline": "summary",
    "judge": "judge",
    "load": "rollouts",
    "rates": "summary",
    "save": "rollouts",
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
