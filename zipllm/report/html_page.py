"""HTML pages from the files in ``templates/``: self-contained, and no filled-in text can become markup.

Every value is escaped, and characters that cannot be seen are made visible. The policy in a page's head allows no
request and, unless the page brings its own, no script, even if some text ever became markup.
"""

from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render(template: str, title: str, **values: object) -> str:
    """Return a page.

    Args:
        template: file in ``templates/`` that extends ``page.html``.
        title: of the page.
        values: for the template, as text or data.
    """
    page = {"title": title, "policy": POLICY, "style": asset("page.css"), **values}
    return _environment().get_template(template).render(page)


def asset(name: str) -> Markup:
    """Return a file of ``templates/`` as it is."""
    return Markup((resources.files("zipllm.report") / "templates" / name).read_text(encoding="utf-8"))  # noqa: S704


def escape(text: object) -> Markup:
    """Return text that stands for itself in HTML, in content and in quoted attributes."""
    return Markup.escape(visible(text))


def visible(value: object) -> str:
    """Return text with numbers in place of characters that cannot be seen."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else visible(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    environment.filters["px"] = "{:.1f}".format
    return environment
