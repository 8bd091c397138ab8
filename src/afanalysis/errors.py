"""The errors that users see."""

from __future__ import annotations


class InputError(ValueError):
    """Something outside the package is wrong: a file, a field, an endpoint, a folder.

    The message is one sentence that names the place, what was found and what would be right. The command
    line prints it and exits with 2; any other exception is a bug and keeps its traceback.

    Examples
    --------
    >>> import afanalysis as af
    >>> af.load("none.parquet")
    Traceback (most recent call last):
    afanalysis.errors.InputError: none.parquet: no such file or folder
    """


class NotebookFailed(Exception):
    """A notebook failed, and not because of its input; the message names the executed copy."""
