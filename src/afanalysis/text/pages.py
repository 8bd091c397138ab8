"""HTML pages from templates."""

from typing import Any

from afanalysis.text.untrusted import escape_invisible


def render(template: str, **content: Any) -> str:
    """A page or text from a template of the package: hidden characters shown, in HTML all escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("afanalysis.text", "templates"),
        autoescape=".html" in template,
        undefined=StrictUndefined,
        # HTML that the package made is a `Markup`, and stays as it is
        finalize=lambda value: escape_invisible(value, None) if type(value) is str else value,
    )
    return environment.get_template(template).render(content)
