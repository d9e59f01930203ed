"""The page of a run: question, method, machine, cost, conclusion, tables, figures, published results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zipllm.bench.tables import escape_markdown
from zipllm.bench.tables import markdown_table as rows_to_markdown
from zipllm.experiments.ledger import Rows
from zipllm.experiments.show import Table
from zipllm.experiments.study import Study
from zipllm.report.figures import Figure
from zipllm.report.html_page import render
from zipllm.report.svg import figure_svg

_ABOUT = {"text": "Text", "context": "Context"}
"""Members of rows that say on which text and in which context they were measured."""


SITTING = "sitting "
"""Beginning of the key of a row about a sitting: one uninterrupted part of a run, its times and what it left out."""


@dataclass(frozen=True)
class Report:
    """Everything that a page says about a run.

    Attributes:
        study: what was run.
        header: first line of its rows.
        lines: the rows, those about sittings included.
    """

    study: Study[Any]
    header: Mapping[str, Any]
    lines: Rows

    @property
    def rows(self) -> Rows:
        """The measurements."""
        return [row for row in self.lines if not str(row["key"]).startswith(SITTING)]

    @property
    def sittings(self) -> Rows:
        """The sittings that ended."""
        return [row for row in self.lines if str(row["key"]).startswith(SITTING)]

    @property
    def left_out(self) -> list[str]:
        """What could not be measured."""
        return list(dict.fromkeys(what for row in self.sittings for what in row["left_out"]))

    def cost(self) -> str:
        """Say how long the run was expected to take, and took."""
        expected = self.study.expected[self.header["scale"]]
        wall, processor = (sum(float(row[name]) for row in self.sittings) for name in ("seconds", "processor_s"))
        return (
            f"Expected on two idle cores: {expected:,.0f} s. Took {wall:,.0f} s on the clock, "
            f"{processor:,.0f} s of processor time; models of earlier studies are not trained again."
        )

    def setting(self) -> str:
        """Say how and where the study ran."""
        machine = self.header["environment"]
        folder = ", ".join(self.header["material"]) or "nothing"
        return (
            f"`{machine['command']}`, {machine['date'][:10]}, zipllm {machine['zipllm']}, "
            f"{machine['cores']} cores of {machine['cpu']}. From a data folder: {folder}; the rest is of this machine."
        )

    def context(self) -> str:
        """Say on which text, in which contexts and with which seed the numbers were measured."""
        found = {name: list(dict.fromkeys(row[name] for row in self.rows if row.get(name))) for name in _ABOUT}
        words = [f"{_ABOUT[name]}: {'; '.join(values)}" for name, values in found.items() if values]
        return f"{'. '.join(words)}. Seed: {self.header['seed']}."


def to_markdown(report: Report, figures: Sequence[tuple[Figure, str]]) -> str:
    """Return the page as Markdown; ``figures`` come with the stems of their files, which lie beside it."""
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
    """Return a table with its title, as Markdown."""
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
