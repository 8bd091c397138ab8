"""Progress bars."""

import threading
from typing import Any

# tqdm's default lock is shared with forked processes: one that is killed while drawing would keep it.
_LOCK = threading.RLock()


def bar(**settings: Any) -> Any:
    """A tqdm progress bar; `settings` are tqdm's."""
    from tqdm import tqdm

    tqdm.set_lock(_LOCK)
    return tqdm(**settings)
