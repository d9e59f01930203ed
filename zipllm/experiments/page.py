"""The page of a run: question, conclusion, tables, figures, published results, method, machine, cost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zipllm.bench import tables
from zipllm.experiments.lab import duration
from zipllm.experiments.ledger import SITTING, Rows, measurements
from zipllm.experiments.show import Table, distinct
from zipllm.experiments.study import Study
from zipllm.report.figures import Figure
from zipllm.report.html_page import render
from zipllm.report.svg import figure_svg


@dataclass(frozen=True)
class Report:
    """A finished run: its study, and the first line and all rows of its ledger."""

    study: Study[Any]
    header: Mapping[str, Any]
    lines: Rows

    @property
    def rows(self) -> Rows:
        """The measurements."""
        return measurements(self.lines)

    @property
    def sittings(self) -> Rows:
        return [row for row in self.lines if str(row["key"]).startswith(SITTING)]

    @property
    def left_out(self) -> list[str]:
        return list(dict.fromkeys(what for row in self.sittings for what in row["left_out"]))

    def cost(self) -> str:
        """Say how long the run was expected to take, and took; an interrupted sitting counts up to its last row."""
        expected, spent = self.study.expected[self.header["scale"]], dict[str, tuple[float, float]]()
        for row in self.lines:
            if str(row["key"]).startswith(SITTING):
                spent[row["key"]] = row["seconds"], row["processor_s"]
            elif "sitting" in row:
                spent[f"{SITTING}{row['sitting']}"] = tuple(row["sitting_s"])
        sittings = f" in {len(spent)} sittings" if len(spent) > 1 else ""
        wall, processor = (sum(times) for times in zip(*spent.values(), strict=True))
        return (
            f"Expected on two idle cores: {duration(expected)}. Took {duration(wall)} on the clock"
            f"{sittings}, {duration(processor)} of processor time; models of earlier studies are not trained again."
        )

    def paragraphs(self) -> list[str]:
        """Say how and where the study ran, on which text, and what could not be measured, in Markdown."""
        machine = self.header["environment"]
        folder = ", ".join(self.header["material"]) or "nothing"
        about = [
            f"{name.title()}: {'; '.join(values)}"
            for name in ("text", "context")
            if (values := distinct([row for row in self.rows if row.get(name)], name))
        ]
        setting = (
            f"`{machine['command']}`, {machine['date'][:10]}, zipllm {machine['zipllm']}, "
            f"{machine['cores']} cores of {machine['cpu']}. From a data folder: {folder}; the rest is of this machine."
        )
        context = f"{'. '.join(about)}. Seed: {self.header['seed']}."
        left_out = (f"Left out: {what}." for what in self.left_out)
        return [self.study.method, setting, context, self.cost(), *left_out]


def to_markdown(report: Report, figures: Sequence[tuple[Figure, str]]) -> str:
    """Return the page as Markdown; ``figures`` come with the stems of their files, which lie beside it."""
    study, rows = report.study, report.rows
    parts = [f"# {study.name}", f"**{study.question}**"]
    parts.append("\n".join(f"- {sentence}" for sentence in study.conclude(rows)))
    parts += map(_table, study.tables(rows))
    parts += [f"![{figure.title}]({stem}.svg)\n\n[data]({stem}.jsonl)" for figure, stem in figures]
    if quotes := study.quotes(rows):
        parts.append("## Published")
        parts += [f"{quote.source}\n\n{_table(quote.table)}\n\n{quote.remark}" for quote in quotes]
    return "\n\n".join([*parts, "## How it was measured", *report.paragraphs()]) + "\n"


def to_html(report: Report) -> str:
    """Return the page as one self-contained HTML file, its figures drawn without matplotlib."""
    title = f"zipllm experiment: {report.study.name}"
    return render("study.html", title, report=report, study=report.study, svg=figure_svg)


def _table(table: Table) -> str:
    cells = [[tables.escape_markdown(cell) for cell in row] for row in table.cells]
    return f"**{table.title}**\n\n{tables.markdown_table(table.heads, cells)}".rstrip()


def figure_lines(figure: Figure) -> str:
    """Return the data behind a figure as JSON lines, one point each."""
    about = {"figure": figure.name, "x_is": figure.x, "y_is": figure.y}
    return "".join(
        json.dumps({**about, "series": series.name, "x": figure.ticks[int(x)] if figure.ticks else x, "y": y}) + "\n"
        for series in figure.series
        for x, y in series.points
    )
