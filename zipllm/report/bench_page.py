"""Rows of a benchmark -> one self-contained HTML page: what came out, sizes, tables, figures, the environment."""

from collections.abc import Sequence

from zipllm.bench.columns import MARK, TOTALS, amount, conclusion, file_cells, file_heads, total_cells
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
        f"zipllm {machine['zipllm']}" if machine.get("zipllm") else "",
        str(machine.get("date", ""))[:10],
        machine.get("cpu", ""),
        f"{machine['threads']} threads" if machine.get("threads") else "",
        machine.get("gpu", ""),
    )
    return " · ".join(filter(None, map(str, facts)))


def _corpus(rows: Sequence[Row], corpus: str) -> dict[str, object]:
    totals = total_cells(rows, corpus)
    figures = bench_figures(rows, corpus)
    first = [figure for figure in figures if figure.name == f"{corpus}-sizes"]
    return {
        "name": corpus,
        "conclusion": conclusion(rows, corpus),
        "count": len(files_of(rows, corpus)),
        "totals": [line for line in totals.values() if line is not None],
        "incomplete": [codec for codec, line in totals.items() if line is None],
        "file_heads": file_heads(rows, corpus),
        "files": file_cells(rows, corpus),
        "first": first,
        "figures": [figure for figure in figures if figure not in first],
    }


def _environment(rows: Sequence[Row]) -> list[tuple[str, object]]:
    """Return what a reader needs to judge and repeat the run, a line each, in words."""
    facts = dict(rows[0].environment) if rows else {}
    versions = ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items())
    models = ", ".join(sorted({f"{row.model} ({row.model_id[:16]})" for row in rows if row.model_id}))
    commands = dict.fromkeys(row.environment.get("command", "") for row in rows)
    lines = (
        ("command", "; ".join(filter(None, commands))),
        ("date", str(facts.get("date", "")).replace("T", " ").replace("Z", " UTC")),
        ("zipllm", f"{facts.get('zipllm', '')} {facts.get('git_commit', '')}".strip()),
        ("models", models),
        ("processor", f"{facts.get('cpu', '')}, {facts['cores']} cores" if facts.get("cores") else facts.get("cpu")),
        ("threads", facts.get("threads")),
        ("GPU", facts.get("gpu")),
        ("memory", amount(facts["memory"]) if facts.get("memory") else ""),
        ("system", ", Python ".join(filter(None, (facts.get("os"), facts.get("python"))))),
        ("libraries", versions),
    )
    return [(name, value) for name, value in lines if value]
