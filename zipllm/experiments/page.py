"""A run -> a page: question, method, cost, tables, figures, conclusion, published numbers, machine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zipllm.bench.tables import escape_markdown
from zipllm.bench.tables import markdown_table as rows_to_markdown
from zipllm.experiments.study import Rows, Study, Table
from zipllm.report.figures import Figure
from zipllm.report.html_page import render
from zipllm.report.svg import figure_svg

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
    study, rows = report.study, report.rows
    return render(
        "study.html",
        f"zipllm experiment: {study.name}",
        study=study,
        paragraphs=[
            *(study.method, report.setting().replace("`", ""), report.context(), report.cost()),
            *(f"Left out: {what}." for what in report.left_out),
        ],
        conclusions=study.conclude(rows),
        tables=study.tables(rows),
        figures=[figure for figure in study.figures(rows) if figure.kind != "heat"],  # its table has the same numbers
        quotes=study.quotes(rows),
        svg=figure_svg,
    )


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
