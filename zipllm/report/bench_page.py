"""Rows of a benchmark -> one self-contained HTML page: tables, figures with their numbers, the environment."""

from collections.abc import Sequence

from zipllm.bench.columns import MARK, TOTALS, file_cells, file_heads, total_cells
from zipllm.bench.result import Row, failures
from zipllm.bench.totals import corpora_of, files_of
from zipllm.report.figures import bench_figures
from zipllm.report.html_page import render
from zipllm.report.svg import figure_svg


def bench_page(rows: Sequence[Row]) -> str:
    """Return the page."""
    return render(
        "bench.html",
        "zipllm benchmark: " + ", ".join(corpora_of(rows)),
        origin=_origin(rows),
        problems=[
            *(f"{row.codec} on {row.file}: {row.status}. {row.message}" for row in failures(rows)),
            *(f"{row.codec} on {row.file} {MARK}: {row.contaminated}." for row in rows if row.contaminated),
        ],
        total_heads=[column.wide for column in TOTALS],
        corpora=[_corpus(rows, corpus) for corpus in corpora_of(rows)],
        environment=_environment(rows),
        svg=figure_svg,
    )


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


def _corpus(rows: Sequence[Row], corpus: str) -> dict[str, object]:
    totals = total_cells(rows, corpus)
    return {
        "name": corpus,
        "count": len(files_of(rows, corpus)),
        "totals": [line for line in totals.values() if line is not None],
        "incomplete": [codec for codec, line in totals.items() if line is None],
        "file_heads": file_heads(rows, corpus),
        "files": file_cells(rows, corpus),
        "figures": bench_figures(rows, corpus),
    }


def _environment(rows: Sequence[Row]) -> list[tuple[str, object]]:
    if not rows:
        return []
    facts = dict(rows[0].environment)
    versions = facts.pop("versions", {})
    models = sorted({(f"model {row.model}", row.model_id) for row in rows if row.model_id})
    return [(name, value) for name, value in [*facts.items(), *versions.items(), *models] if value]
