"""The errors that users see."""

from __future__ import annotations

# The longest message (characters).
MOST_SHOWN = 1600


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

    def __init__(self, message: str) -> None:
        # names and values of strangers' files may hold line ends, and be long
        message = " ".join(message.splitlines())
        hidden = len(message) - MOST_SHOWN
        if hidden > 0:
            end = MOST_SHOWN // 4
            message = f"{message[: 3 * end]}… [{hidden:,} characters more] …{message[-end:]}"
        super().__init__(message)


class NotebookFailed(Exception):
    """A notebook failed, and not because of its input; the message names the executed copy."""
