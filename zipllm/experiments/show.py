"""Rows -> numbers, words and tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from zipllm.bench.columns import amount
from zipllm.experiments.ledger import Row, Rows
from zipllm.report.figures import Figure, Series

UNFAIR = "† no fair test: the shipped model learned from Python's own sources and documentation."


@dataclass(frozen=True)
class Table:
    """A table of text; its first column holds names."""

    title: str
    heads: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


def select(rows: Rows, **wanted: Any) -> list[Row]:
    """Return the rows that have these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def distinct(rows: Rows, name: str) -> list[Any]:
    """Return the distinct values of a member, in the order of the rows."""
    return list(dict.fromkeys(row[name] for row in rows))


def points(rows: Rows, x: str, y: str = "bpb") -> tuple[tuple[float, float], ...]:
    """Return the points of a curve from two members of the rows."""
    return tuple((float(row[x]), float(row[y])) for row in rows)


def adjusted(row: Row, corpus_bytes: float, model: str = "model_bytes") -> float:
    """Return bits per byte with the model file counted once for a corpus; ``model`` names the member with its size."""
    return float(row["bpb"]) + 8 * float(row[model]) / corpus_bytes


def table(title: str, rows: Rows, columns: Mapping[str, Callable[[Row], str]]) -> Table:
    """Return a table with one line for each row; each column has a head and a function that fills its cells."""
    return Table(title, tuple(columns), tuple(tuple(cell(row) for cell in columns.values()) for row in rows))


def adjusted_columns(corpora: Sequence[float], model: str = "model_bytes") -> dict[str, Callable[[Row], str]]:
    """Return a column of adjusted rates for each size of corpus; a row without a model file gets a dash."""

    def cell(corpus: float, row: Row) -> str:
        return number(adjusted(row, corpus, model) if model in row else None)

    return {f"adjusted, {amount(corpus)}": partial(cell, corpus) for corpus in corpora}


def number(value: float | None, digits: int = 3) -> str:
    """Format a number for a table; None is a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def curves(name: str, title: str, x: str, series: Iterable[Series], *, from_zero: bool = False) -> Figure:
    """Return curves of bits per byte over a logarithmic axis ``x``."""
    return Figure(name, title, x, "bits per byte", tuple(series), "line", log_x=True, from_zero=from_zero)


def grid(names: Iterable[str], columns: Sequence[str], value: Callable[[str, str], float | None]) -> tuple[Series, ...]:
    """Return a series for each name, with its points over the columns; pairs without a value have none."""
    return tuple(
        Series(name, tuple((float(i), y) for i, column in enumerate(columns) if (y := value(name, column)) is not None))
        for name in names
    )


def percent(new: float, old: float) -> float:
    """Return by how many percent ``new`` is more than ``old``."""
    return 100.0 * (new / old - 1.0)


def change(new: float, old: float) -> str:
    """Say the difference in words: ``3.1 % less``, ``0.4 % more``, ``the same``."""
    difference = percent(new, old)
    if abs(difference) < 0.05:
        return "the same"
    return f"{abs(difference):.1f} % {'more' if difference > 0 else 'less'}"


def mark(rows: Rows) -> str:
    """Return a dagger if ``UNFAIR`` applies to one of the rows, else nothing."""
    return " †" if any(row.get("contaminated") for row in rows) else ""


def trained_on(row: Row) -> str:
    """Say how many tokens a model was trained on and how long that took, or return a dash."""
    return f"{row['trained_tokens']:,} in {row['trained_s']:,.0f} s" if "trained_tokens" in row else "-"
