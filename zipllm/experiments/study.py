"""What a study is: a question, how it is asked, and how its rows become tables, figures and sentences.

``run`` measures and returns nothing: what it measures goes into the ledger of the lab as rows. Everything else reads
the rows only, so that tables, figures and conclusions can be made again from a file of rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zipllm.report.figures import Figure

if TYPE_CHECKING:
    from zipllm.experiments.lab import Lab

Scale = Literal["quick", "full"]
Row = Mapping[str, Any]
"""One measurement: ``key`` names it, the other members are its values."""
Rows = Sequence[Row]


@dataclass(frozen=True)
class Table:
    """Numbers to be read.

    Attributes:
        title: above it.
        heads: of the columns; the first one holds names.
        cells: rows of text.
    """

    title: str
    heads: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Quote:
    """What somebody else has published.

    Attributes:
        source: authors, year, title, and where in it.
        table: the figures, beside ours where we have one.
        remark: what makes the two differ.
    """

    source: str
    table: Table
    remark: str


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        name: on the command line.
        question: one sentence.
        method: how it is asked, a few sentences.
        expected: seconds by scale, on two idle cores of a Zen 5 of 2026; trained models that are there cost nothing.
        sizes: what ``run`` is given, by scale: everything that decides how much is computed.
        run: measures through the lab.
        tables: from rows.
        figures: from rows.
        conclude: sentences that say what the rows show.
        quotes: published figures beside ours.
    """

    name: str
    question: str
    method: str
    expected: Mapping[Scale, float]
    sizes: Mapping[Scale, Any]
    run: Callable[["Lab", Any], None]
    tables: Callable[[Rows], Sequence[Table]]
    figures: Callable[[Rows], Sequence[Figure]]
    conclude: Callable[[Rows], Sequence[str]]
    quotes: Callable[[Rows], Sequence[Quote]] = lambda rows: ()


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for a table, or a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def select(rows: Rows, **wanted: Any) -> list[Row]:
    """Return the rows that have these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def percent(new: float, old: float) -> float:
    """Return by how many percent ``new`` is more than ``old``."""
    return 100.0 * (new / old - 1.0)


def change(new: float, old: float) -> str:
    """Return the difference in words: ``3.1 % less``, ``0.4 % more``, ``the same``."""
    difference = percent(new, old)
    if abs(difference) < 0.05:
        return "the same"
    return f"{abs(difference):.1f} % {'more' if difference > 0 else 'less'}"


def trained_on(row: Row) -> str:
    """Return tokens and seconds of the training behind a row, or a dash."""
    return f"{row['trained_tokens']:,} in {row['trained_s']:,.0f} s" if "trained_tokens" in row else "-"
