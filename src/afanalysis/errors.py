"""The errors that users see."""

# The type under which a notebook's output says which calls have yet to be made.
UNFINISHED = "application/vnd.afanalysis.unfinished+json"


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
        super().__init__(message if len(message) < 1600 else f"{message[:1200]} … {message[-300:]}")


class NotebookFailed(Exception):
    """A notebook failed, and not because of its input; the message names the executed copy."""
