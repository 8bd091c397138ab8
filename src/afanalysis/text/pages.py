"""HTML pages from templates."""

from __future__ import annotations

from typing import Any


def render(template: str, **content: Any) -> str:
    """A page from a template of the package, with all content escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("afanalysis.text", "templates"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(content)
