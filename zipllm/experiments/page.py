"""A run -> a page: question, method, cost, tables, figures, conclusion, published numbers, machine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zipllm.bench.tables import escape_markdown
from zipllm.bench.tables import markdown_table as rows_to_markdown
from zipllm.experiments.study import Rows, Study, Table
from zipllm.report.escape import escape
from zipllm.report.escape import table as html_table
from zipllm.report.figures import Figure
from zipllm.report.html_page import html_page
from zipllm.report.scatter import figure_svg

_ABOUT = {"text": "Text", "context": "Context"}
"""Members of rows that say on what and how they were measured, and the words for them."""


@dataclass(frozen=True)
class Report:
    """All that is known of a run.

    Attributes:
        study: what was run.
        header: first line of its rows.
        rows: measurements.
        seconds: on the clock, over all sittings that came to their end.
        processor_s: processor time of the same.
        left_out: what could not be measured.
    """

    study: Study
    header: Mapping[str, Any]
    rows: Rows
    seconds: float
    processor_s: float
    left_out: tuple[str, ...]

    def cost(self) -> str:
        """Say what was expected and what it took."""
        expected = self.study.expected[self.header["scale"]]
        return (
            f"Expected on two idle cores: {expected:,.0f} s. Took {self.seconds:,.0f} s on the clock, "
            f"{self.processor_s:,.0f} s of processor time; a model that an earlier study has trained is not "
            "trained again."
        )

    def setting(self) -> str:
        """Say how it was run."""
        machine = self.header["environment"]
        folder = ", ".join(self.header["material"]) or "nothing"
        return (
            f"`{machine['command']}`, {machine['date'][:10]}, zipllm {machine['zipllm']}, "
            f"{machine['cores']} cores of {machine['cpu']}. From a data folder: {folder}; the rest is of this machine."
        )

    def context(self) -> str:
        """Say in which contexts, on which text and with which seed the numbers were measured."""
        found = {name: list(dict.fromkeys(row[name] for row in self.rows if row.get(name))) for name in _ABOUT}
        words = [f"{_ABOUT[name]}: {'; '.join(values)}" for name, values in found.items() if values]
        return f"{'. '.join(words)}. Seed: {self.header['seed']}."


def to_markdown(report: Report, figures: Sequence[tuple[Figure, str]]) -> str:
    """Return the page; ``figures`` with the stems of their files, which lie beside it."""
    study = report.study
    parts = [f"# {study.name}", f"**{study.question}**", study.method, report.setting(), report.context()]
    parts.append(report.cost())
    parts += [f"Left out: {what}." for what in report.left_out]
    parts.append("## What came out")
    parts += [f"- {sentence}" for sentence in study.conclude(report.rows)]
    for table in study.tables(report.rows):
        parts.append(markdown_table(table))
    for figure, stem in figures:
        parts.append(f"![{figure.title}]({stem}.svg)\n\n[data]({stem}.jsonl)")
    quotes = study.quotes(report.rows)
    if quotes:
        parts.append("## Published")
        parts += [f"{quote.source}\n\n{markdown_table(quote.table)}\n\n{quote.remark}" for quote in quotes]
    return "\n\n".join(parts).replace("\n\n- ", "\n- ").replace("## What came out\n- ", "## What came out\n\n- ") + "\n"


def to_html(report: Report) -> str:
    """Return the page as one self-contained HTML file, its figures drawn without matplotlib."""
    study = report.study
    title = f"zipllm experiment: {study.name}"
    parts = [f"<h1>{escape(study.name)}</h1>", f"<h3>{escape(study.question)}</h3>"]
    parts += [
        _paragraph(text) for text in (study.method, report.setting().replace("`", ""), report.context(), report.cost())
    ]
    parts += [_paragraph(f"Left out: {what}.") for what in report.left_out]
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in study.conclude(report.rows))
    parts.append(f"<h2>What came out</h2><ul>{items}</ul>")
    parts += [_html_table(table) for table in study.tables(report.rows)]
    parts += [
        f"<figure><h3>{escape(figure.title)}</h3>{figure_svg(figure)}</figure>"
        for figure in study.figures(report.rows)
        if figure.kind != "heat"  # its table says the same
    ]
    for quote in study.quotes(report.rows):
        parts += ["<h2>Published</h2>", _paragraph(quote.source), _html_table(quote.table), _paragraph(quote.remark)]
    return html_page(title, "\n".join(parts))


def markdown_table(table: Table) -> str:
    """Return a table with its title."""
    cells = [[escape_markdown(cell) for cell in row] for row in table.cells]
    return f"**{table.title}**\n\n{rows_to_markdown(table.heads, cells)}".rstrip()


def figure_lines(figure: Figure) -> str:
    """Return the data behind a figure as JSON lines, one point each."""
    about = {"figure": figure.name, "x_is": figure.x, "y_is": figure.y}
    lines = [
        json.dumps({**about, "series": series.name, "x": _tick(figure, x), "y": y})
        for series in figure.series
        for x, y in series.points
    ]
    return "".join(f"{line}\n" for line in lines)


def _tick(figure: Figure, x: float) -> float | str:
    return figure.ticks[int(x)] if figure.ticks else x


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _html_table(table: Table) -> str:
    return f"<h3>{escape(table.title)}</h3>{html_table(table.heads, table.cells)}"
