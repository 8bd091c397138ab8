"""HTML pages from templates."""

from __future__ import annotations

from typing import Any

from afanalysis.text.untrusted import escape_invisible


def render(template: str, **content: Any) -> str:
    """A page from a template of the package, with all content escaped and hidden characters shown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("afanalysis.text", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
    )
    return environment.get_template(template).render(content)


def _visible(value: Any) -> Any:
    """A text as the reader can see it; HTML that the package made, which is a `Markup`, as it is."""
    return escape_invisible(value, None) if type(value) is str else value
