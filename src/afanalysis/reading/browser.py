"""The transcript browser: a filtered list, beside the transcript in both tiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from afanalysis.reading.search import PAGE, Transcripts, as_markdown, plain
from afanalysis.study.folders import JUDGEMENTS, Folders
from afanalysis.text.pages import render

_FALLBACK_ROWS = 20


class Browser(anywidget.AnyWidget):
    """The widget. Only what is shown is sent to the page: one page of the list, one transcript.

    Attributes
    ----------
    view
        What is shown, and all that is needed to show it again: `filters`, `text`, `start` (of the page),
        `rollout`.
    """

    _esm = Path(__file__).with_name("browser.js")
    _css = Path(__file__).with_name("browser.css")
    mode = traitlets.Unicode("browse").tag(sync=True)
    facets = traitlets.Dict().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    page = traitlets.Dict().tag(sync=True)
    transcript = traitlets.Dict().tag(sync=True)

    def __init__(self, data: Any, *, view: dict[str, Any] | None = None) -> None:
        sources = (data.table, data.raw / JUDGEMENTS) if isinstance(data, Folders) else (data,)
        self._transcripts = Transcripts(*sources)
        start = {"filters": {}, "text": "", "start": 0, "rollout": ""}
        super().__init__(facets=self._transcripts.facets(), view=start | (view or {}))
        self._show()
        self.observe(lambda _: self._show(), names="view")

    def _show(self) -> None:
        """Update the list and the transcript to the view."""
        view = self.view
        total, rows = self._transcripts.find(view["filters"], view["text"], start=view["start"])
        self.page = {"total": total, "rows": rows, "size": PAGE}
        rollout = view["rollout"] or (rows[0]["rollout"] if rows else "")
        if rollout != self.transcript.get("rollout"):
            self.transcript = self._read(rollout) if rollout else {}

    def _read(self, rollout: str) -> dict[str, Any]:
        transcript = self._transcripts.read(rollout)
        return transcript | {"markdown": as_markdown(transcript)}

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        """The widget, and a plain table for where widgets cannot run."""
        bundle = super()._repr_mimebundle_(**settings)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/html"] = self._table()
        return bundle

    def _table(self) -> str:
        total, rows = self._transcripts.find(
            self.view["filters"], self.view["text"], size=_FALLBACK_ROWS
        )
        for row in rows:
            side = self._transcripts.read(row["rollout"])["sides"][0]
            row["output"] = plain(side["output"])[:300]
        return render("transcripts.html.j2", rows=rows, total=total)


def browse(data: Any, *, view: dict[str, Any] | None = None) -> Browser:
    """Read transcripts in a notebook: filter the list, read the free and the paid answer side by side.

    Keys: arrows or j and k move through the list, / searches, m copies as Markdown, l copies a link that
    shows the same again. The judge's quotes are marked, as are the words in which the answers differ.

    Parameters
    ----------
    data
        A study's folders (`afanalysis.Folders`), which also have the judge's quotes; or rollouts as a
        DataFrame or path.
    view
        What to show first, as in the attribute `view` of another browser.

    Returns
    -------
    Browser
        A widget, for the last line of a notebook cell.

    Examples
    --------
    >>> import afanalysis as af
    >>> af.browse(af.example_rollouts(), view={"filters": {"tier": "free"}})  # doctest: +SKIP
    """
    return Browser(data, view=view)
