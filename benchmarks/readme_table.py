"""Write the benchmark table of both READMEs from committed rows: python benchmarks/readme_table.py [--check].

The rows are those of ``benchmarks/results/readme``; the table goes between the two marks in README.md and
README.zh-CN.md.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from zipllm.bench.columns import bpb, kilobytes
from zipllm.bench.result import Row, failures, read_rows
from zipllm.bench.totals import Total, codecs_of, corpora_of, files_of, totals

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "benchmarks/results/readme/rows.jsonl"
CHINESE = {"codec": "编码器", "KB/s in": "压缩 KB/s", "KB/s out": "解压 KB/s"}
BEGIN = "<!-- benchmark: made by benchmarks/readme_table.py -->\n"
END = "<!-- end of benchmark -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether the README is up to date")
    parser.add_argument("--rows", type=Path, default=ROWS, help="another file of rows")
    arguments = parser.parse_args()
    text = table(read_rows(arguments.rows))
    for name, wanted in {"README.md": text, "README.zh-CN.md": chinese(text)}.items():
        old = (ROOT / name).read_text(encoding="utf-8")
        new = rewritten(old, wanted)
        if arguments.check and new != old:
            sys.exit(f"{name} is not up to date: run python benchmarks/readme_table.py")
        if not arguments.check:
            (ROOT / name).write_text(new, encoding="utf-8")


def rewritten(page: str, text: str) -> str:
    """Return the page with the text between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit("a README has lost the marks of its benchmark table")
    return before + begin + text + end + after


def chinese(text: str) -> str:
    """Return the table alone, with Chinese heads; the page itself explains the numbers."""
    rows, _, _ = text.partition("\n\n")
    head, _, body = rows.partition("\n")
    for word, translated in CHINESE.items():
        head = head.replace(word, translated)
    return f"{head}\n{body}\n"


def table(rows: list[Row]) -> str:
    """Return bits per byte of every codec on every corpus, behind the slash with the weights of a model counted."""
    corpora, found = corpora_of(rows), {(total.codec, total.corpus): total for total in totals(rows)}
    heads = ["codec", *(_name(rows, corpus) for corpus in corpora), "KB/s in", "KB/s out"]
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(corpora) + 2)]
    best = {
        corpus: min((t.compressed_bytes for (_, name), t in found.items() if name == corpus), default=0)
        for corpus in corpora
    }
    for codec in codecs_of(rows):
        mine = [found.get((codec, corpus)) for corpus in corpora]
        cells = [_cell(total, best[corpus]) for corpus, total in zip(corpora, mine, strict=True)]
        speeds = [_speed(_of_largest_run(rows, codec), name) for name in ("compress_s", "decompress_s")]
        lines.append(f"| {' | '.join([codec, *cells, *speeds])} |")
    return "\n".join([*lines, "", _note(rows)]) + "\n"


def _name(rows: list[Row], corpus: str) -> str:
    """Name a corpus; one of a single file by the file's name, which says which part of it was measured."""
    files = files_of(rows, corpus)
    return files[0] if len(files) == 1 else corpus


def _cell(total: Total | None, best: int) -> str:
    if total is None:
        return "fails"
    rate = f"**{bpb(total.bits_per_byte)}**" if total.compressed_bytes == best else bpb(total.bits_per_byte)
    return f"{rate} / {bpb(total.adjusted_bpb)}" if total.weights_bytes else rate


def _of_largest_run(rows: list[Row], codec: str) -> list[Row]:
    """Return a codec's rows of the run with most rows; speeds of two runs must not be added."""
    largest = Counter(row.environment["command"] for row in rows).most_common(1)[0][0]
    return [row for row in rows if row.codec == codec and row.verified and row.environment["command"] == largest]


def _speed(rows: list[Row], name: str) -> str:
    return kilobytes(sum(row.raw_bytes for row in rows), sum(getattr(row, name) for row in rows))


def _note(rows: list[Row]) -> str:
    machine = rows[0].environment
    bad = "; ".join(f"{row.codec} did not give {row.file} back" for row in failures(rows))
    counted = " Behind the slash the weights are counted too." if any(row.weights_bytes for row in rows) else ""
    count = len({(row.corpus, row.file) for row in rows})
    failed = f" Failures: {bad}." if bad else ""
    return (
        f"Bits per byte of {count} files, each archive decoded by another process and compared.{counted} "
        f"Speeds are those of the run with most files.{failed} {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['date'][:10]}."
    )


if __name__ == "__main__":
    main()
