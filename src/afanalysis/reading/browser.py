"""The transcript browser: a list that can be filtered, beside the transcript in both tiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from afanalysis.reading.search import PAGE, Transcripts, as_markdown
from afanalysis.study.folders import JUDGEMENTS, Folders
from afanalysis.text.pages import render

_HERE = Path(__file__).parent

_FALLBACK_ROWS = 20


class Browser(anywidget.AnyWidget):
    """The widget. Only what is shown is sent to the page: one part of the list, one transcript.

    Attributes
    ----------
    view
        What is looked at, and all that is needed to look at it again: `filters`, `text`, `start` (of the
        part of the list), `rollout`.
    """

    _esm = _HERE / "browser.js"
    _css = _HERE / "browser.css"
    mode = traitlets.Unicode("browse").tag(sync=True)
    facets = traitlets.Dict().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    page = traitlets.Dict().tag(sync=True)
    transcript = traitlets.Dict().tag(sync=True)

    def __init__(self, data: Any, *, view: dict[str, Any] | None = None) -> None:
        self._transcripts, self._folder = _opened(data)
        usual = {"filters": {}, "text": "", "start": 0, "rollout": ""}
        super().__init__(facets=self._transcripts.facets(), view=usual | (view or {}))
        self._show()
        self.observe(lambda _: self._show(), names="view")

    def _show(self) -> None:
        """Bring the list and the transcript in line with the view."""
        view = self.view
        total, rows = self._transcripts.find(view["filters"], view["text"], start=view["start"])
        self.page = {"total": total, "rows": rows, "size": PAGE}
        keys = [row["rollout"] for row in rows]
        chosen = view["rollout"] or (keys[0] if keys else "")
        if chosen != self.transcript.get("rollout"):
            self.transcript = self._read(chosen) if chosen else {}

    def _read(self, rollout: str) -> dict[str, Any]:
        read = self._transcripts.read(rollout)
        return read | {"markdown": as_markdown(read)}

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        """The widget, and a plain table for where widgets cannot run."""
        bundle = super()._repr_mimebundle_(**settings)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/html"] = self._table()
        return bundle

    def _table(self) -> str:
        view = self.view
        total, rows = self._transcripts.find(view["filters"], view["text"], size=_FALLBACK_ROWS)
        sides = [self._transcripts.read(row["rollout"])["sides"][0] for row in rows]
        shown = [
            row | {"output": "".join(part["text"] for part in side["output"])[:300]}
            for row, side in zip(rows, sides, strict=True)
        ]
        return render("transcripts.html.j2", rows=shown, total=total)


def _opened(data: Any) -> tuple[Transcripts, Path | None]:
    """The rollouts, and the raw folder that they are from, where that is known."""
    if isinstance(data, Folders):
        table = data.table
        folder = data.raw
        opened = Transcripts(table)
    else:
        opened, folder = Transcripts(data), None
    if folder is not None and (folder / JUDGEMENTS).exists():
        opened.take_quotes(folder / JUDGEMENTS)
    return opened, folder


def browse(data: Any, *, view: dict[str, Any] | None = None) -> Browser:
    """Read transcripts in a notebook: filter the list, read the free and the paid answer side by side.

    Keys: arrows or j and k to go through the list, / to search, m to copy as Markdown, l to copy a link
    that shows the same again. What the judge quoted is marked, as are the words in which the two answers
    differ.

    Parameters
    ----------
    data
        A study's folders (`afanalysis.Folders`), which also have the judge's quotes; or rollouts as a
        DataFrame or path.
    view
        Where to begin, as the attribute `view` of another browser has it.

    Examples
    --------
    >>> browse(folders, view={"filters": {"AF reasoning": "full"}})  # doctest: +SKIP
    """
    return Browser(data, view=view)
