"""The frame of every page of tables and figures: one self-contained HTML file that asks for nothing from anywhere."""

from zipllm.report.escape import POLICY, escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #6b6b70; --line: #dcdce0; --paper: #fff; --bad: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --soft: #a0a0a6; --line: #3a3a40; --paper: #161618; --bad: #ff8a80 }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1.05rem; margin-bottom: .3rem } p, summary { color: var(--soft) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .84rem; margin: .6rem 0 }
th, td { padding: .22rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } td.best { font-weight: 700 }
.scroll { overflow-x: auto } .bad { color: var(--bad) } figure { margin: 1rem 0 }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: var(--ink) }
svg .grid { stroke: var(--line) } svg text.plain { fill: var(--soft) } svg text.marked { font-weight: 600 }
svg .plain, svg .marked { paint-order: stroke; stroke: var(--paper); stroke-width: 3px }
svg .front { fill: none; stroke: var(--soft); stroke-dasharray: 5 4 } svg .line { fill: none; stroke-width: 2 }
svg circle.plain { stroke: none } svg circle.marked { stroke: var(--ink); stroke-width: 1.5 }
"""


def html_page(title: str, body: str) -> str:
    """Return a whole page.

    Args:
        title: as text.
        body: as HTML, everything in it escaped.
    """
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
