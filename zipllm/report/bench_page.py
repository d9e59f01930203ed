"""Rows of a benchmark -> one self-contained HTML page: tables, figures, the data behind them, the environment.

It asks for nothing from anywhere (the policy in its head forbids it), and no name or message can become markup.
"""

from collections.abc import Sequence

from zipllm.bench.columns import MARK, TOTALS, Cell, file_cells, file_heads, total_cells
from zipllm.bench.result import Row, failures
from zipllm.bench.totals import corpora_of, files_of
from zipllm.report.escape import escape, table
from zipllm.report.figures import Figure, bench_figures
from zipllm.report.html_page import html_page
from zipllm.report.scatter import figure_svg

_EXPLAINED = (
    "Every number is of a real archive that another process decoded and that was compared with the original; what did "
    "not come back has no number. Bits per byte: archive bits for each byte of the original, less is better. With "
    "weights: the model file is counted too, once for a whole corpus; with program: the codec's own code as well. "
    "Speeds leave out starting the codec and are of this machine."
)


def bench_page(rows: Sequence[Row]) -> str:
    """Return the page."""
    title = "zipllm benchmark: " + ", ".join(corpora_of(rows))
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(_origin(rows))}</p>", f"<p>{escape(_EXPLAINED)}</p>"]
    parts.append(_problems(rows))
    for corpus in corpora_of(rows):
        parts += [f"<h2>{escape(corpus)}</h2>", _totals(rows, corpus), _files(rows, corpus)]
        parts += [_figure(figure) for figure in bench_figures(rows, corpus)]
    parts.append(_environment(rows))
    return html_page(title, "\n".join(filter(None, parts)))


def _origin(rows: Sequence[Row]) -> str:
    machine = rows[0].environment if rows else {}
    facts = (
        machine.get("date", ""),
        machine.get("cpu", ""),
        f"{machine['threads']} threads" if machine.get("threads") else "",
        machine.get("gpu", ""),
        f"zipllm {machine['zipllm']} {machine.get('git_commit', '')}".strip() if machine.get("zipllm") else "",
    )
    return " · ".join(filter(None, map(str, facts)))


def _problems(rows: Sequence[Row]) -> str:
    lines = [f"{row.codec} on {row.file}: {row.status}. {row.message}" for row in failures(rows)]
    lines += [f"{row.codec} on {row.file} {MARK}: {row.contaminated}." for row in rows if row.contaminated]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<div class=bad><h3>Not to be relied on</h3><ul>{items}</ul></div>" if lines else ""


def _totals(rows: Sequence[Row], corpus: str) -> str:
    found = total_cells(rows, corpus)
    lines = [line for line in found.values() if line is not None]
    lost = [codec for codec, line in found.items() if line is None]
    note = f"<p class=bad>Without totals, because files are missing: {escape(', '.join(lost))}</p>" if lost else ""
    count = len(files_of(rows, corpus))
    words = f"All {count} files together" if count > 1 else "The file"
    return f"<h3>{words}</h3>{_table([column.wide for column in TOTALS], lines)}{note}"


def _files(rows: Sequence[Row], corpus: str) -> str:
    return f"<h3>Bits per byte of each file</h3>{_table(file_heads(rows, corpus), file_cells(rows, corpus))}"


def _table(heads: Sequence[str], lines: Sequence[Sequence[Cell]]) -> str:
    best = [(row, column) for row, line in enumerate(lines) for column, cell in enumerate(line) if cell.best]
    return table(heads, [[cell.text + f" {MARK}" * cell.contaminated for cell in line] for line in lines], best)


def _figure(figure: Figure) -> str:
    heads, cells = figure.table()
    return (
        f"<figure><h3>{escape(figure.title)}</h3>{figure_svg(figure)}"
        f"<details><summary>The numbers</summary>{table(heads, cells)}</details></figure>"
    )


def _environment(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    facts = dict(rows[0].environment)
    versions = facts.pop("versions", {})
    cells = [[name, value] for name, value in [*facts.items(), *versions.items()] if value]
    models = {(row.model, row.model_id) for row in rows if row.model_id}
    cells += [[f"model {name}", identity] for name, identity in sorted(models)]
    return f"<h2>Environment</h2>{table(['', ''], cells)}"
