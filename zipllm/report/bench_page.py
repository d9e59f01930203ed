"""Rows of a benchmark -> one self-contained HTML page: tables, figures, the data behind them, the environment.

It asks for nothing from anywhere (the policy in its head forbids it), and no name or message can become markup.
"""

from collections.abc import Sequence

from zipllm.bench.result import Row, failures
from zipllm.bench.tables import bpb, break_even, kilobytes
from zipllm.bench.totals import Total, codecs_of, corpora_of, files_of, totals
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
    lines += [f"{row.codec} on {row.file} †: {row.contaminated}." for row in rows if row.contaminated]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<div class=bad><h3>Not to be relied on</h3><ul>{items}</ul></div>" if lines else ""


def _totals(rows: Sequence[Row], corpus: str) -> str:
    mine = [total for total in totals(rows) if total.corpus == corpus]
    heads = (
        "codec,bytes,bits per byte,geometric mean,with weights,with program,weights pay from,KB/s in,KB/s out,MB RAM"
    )
    cells = [_total_cells(total) for total in mine]
    best = [
        (index, column)
        for column, name in ((2, "bits_per_byte"), (3, "geometric_bpb"), (4, "adjusted_bpb"), (5, "total_bpb"))
        for index, total in enumerate(mine)
        if getattr(total, name) is not None
        and getattr(total, name) == min(getattr(other, name) for other in mine if getattr(other, name) is not None)
    ]
    count = len(files_of(rows, corpus))
    lost = [codec for codec in codecs_of(r for r in rows if r.corpus == corpus) if codec not in {t.codec for t in mine}]
    note = f"<p class=bad>Without totals, because files are missing: {escape(', '.join(lost))}</p>" if lost else ""
    words = f"All {count} files together" if count > 1 else "The file"
    return f"<h3>{words}</h3>{table(heads.split(','), cells, best)}{note}"


def _total_cells(total: Total) -> list[str]:
    return [
        total.codec + (" †" if total.contaminated else ""),
        f"{total.compressed_bytes:,}",
        bpb(total.bits_per_byte),
        bpb(total.geometric_bpb),
        bpb(total.adjusted_bpb),
        bpb(total.total_bpb),
        break_even(total),
        kilobytes(total.raw_bytes, total.compress_s),
        kilobytes(total.raw_bytes, total.decompress_s),
        f"{total.peak_rss / 1e6:,.0f}",
    ]


def _files(rows: Sequence[Row], corpus: str) -> str:
    mine = [row for row in rows if row.corpus == corpus]
    codecs, cells, best = codecs_of(mine), [], []
    for number, file in enumerate(files_of(mine, corpus)):
        found = {row.codec: row for row in mine if row.file == file}
        sizes = [row.compressed_bytes for row in found.values() if row.compressed_bytes is not None]
        cells.append(
            [file, f"{next(iter(found.values())).raw_bytes:,}", *(_rate(found.get(codec)) for codec in codecs)]
        )
        best += [
            (number, column)
            for column, codec in enumerate(codecs, 2)
            if codec in found and sizes and found[codec].compressed_bytes == min(sizes)
        ]
    return f"<h3>Bits per byte of each file</h3>{table(['file', 'bytes', *codecs], cells, best)}"


def _rate(row: Row | None) -> str:
    if row is None:
        return "-"
    return (bpb(row.bits_per_byte) if row.verified else row.status) + (" †" if row.contaminated else "")


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
