"""Progress bars."""

from __future__ import annotations

import threading
from typing import Any

# tqdm's own lock is shared with forked processes: one that is killed while it draws would keep it.
_LOCK = threading.RLock()


def bar(**settings: Any) -> Any:
    """A bar of tqdm.

    Parameters
    ----------
    settings
        As tqdm takes them.
    """
    from tqdm import tqdm

    tqdm.set_lock(_LOCK)
    return tqdm(**settings)
