"""Text into HTML: everything escaped, everything that cannot be seen made visible."""

import html
from collections.abc import Iterable

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""No script, no request to anywhere, even if a text ever became markup."""


def escape(text: object) -> str:
    """Return text that stands for itself in HTML, in content and in quoted attributes."""
    shown = "".join(_visible(character) for character in str(text))
    return html.escape(shown, quote=True)


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def table(heads: Iterable[object], rows: Iterable[Iterable[object]], best: Iterable[tuple[int, int]] = ()) -> str:
    """Return an HTML table; the first column is text, the others are numbers.

    Args:
        heads: of the columns.
        rows: of cells.
        best: (row, column) of the cells in bold.
    """
    bold = set(best)
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = []
    for number, row in enumerate(rows):
        cells = (
            f"<td{' class=best' if (number, column) in bold else ''}>{escape(cell)}</td>"
            for column, cell in enumerate(row)
        )
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
