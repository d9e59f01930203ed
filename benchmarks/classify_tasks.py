"""Labels by compression on five task sets: AG News, R8, TREC questions, Chinese hotel reviews, THUCNews titles.

    python benchmarks/classify_tasks.py --data-dir DIR    # runs what results/classify/rows.jsonl lacks
    python benchmarks/classify_tasks.py --table           # writes the tables of results/classify/README.md

DIR/tasks/SET/train.jsonl.xz and test.jsonl.xz hold the texts. Every run is one ``zipllm classify ... --json`` process
with one thread; its rows keep the command. Groups: ``class`` codes a text behind all training texts of a class; ``ncd``
compares it with every training text, by the one codec that is fast enough; ``tuned`` fine-tunes a Transformer on each
class; ``few`` takes 100 training texts, which every method can afford.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from zipllm.bench.environment import environment

RESULTS = Path(__file__).parent / "results" / "classify"
ROWS, PAGE = RESULTS / "rows.jsonl", RESULTS / "README.md"
SETS = {
    "trec_qc": "TREC",
    "ag_news": "AG News",
    "chnsenticorp_htl_zh": "hotel reviews (zh)",
    "thucnews_titles_zh": "THUCNews (zh)",
    "r8": "R8",
}
GROUPS = {
    "class": "--limit-test 500 --codec gzip:9,zstd:19,ppmd:6,zipllm:3,zipllm:small/history=off,zipllm",
    "tuned": "--limit-test 500 --codec zipllm:small/history=off --fine-tune 20 --no-baselines",
    "ncd": "--limit-test 200 --method ncd --codec gzip:9 -k 1,2,5 --no-baselines",
    "few-class": "--limit-train 100 --limit-test 200 --codec gzip:9,zstd:19,ppmd:6,zipllm:3,zipllm",
    "few-ncd": "--limit-train 100 --limit-test 200 --method ncd --codec gzip:9,zstd:19,ppmd:6 --no-baselines",
    "few-history": "--limit-train 100 --limit-test 200 --method ncd --codec zipllm:3 --no-baselines",
}
SOME = {"tuned": ("trec_qc", "chnsenticorp_htl_zh", "ag_news"), "few-history": ("trec_qc", "thucnews_titles_zh")}
"""Task sets of the slow groups: fine-tuning takes 20 core seconds for each class, zipllm:3 10 ms a pair."""
HEADS = {
    "class": "All training texts; 500 test texts (nearest neighbors: 200), chosen with seed 0",
    "few": "100 training texts, 200 test texts, both chosen with seed 0",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ZIPLLM_DATA_DIR"))
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--table", action="store_true", help="only rewrite the tables")
    arguments = parser.parse_args()
    if arguments.table:
        PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), read_rows()), encoding="utf-8")
        return
    if arguments.data_dir is None:
        parser.error("--data-dir is needed, or ZIPLLM_DATA_DIR")
    for group in arguments.groups:
        for name in SOME.get(group, SETS):
            run(arguments.data_dir / "tasks", name, group)


def run(folder: Path, name: str, group: str) -> None:
    """Run one group on one set and append its rows, unless they are there."""
    if any(row["task"] == name and row["group"] == group for row in read_rows()):
        return
    files = [f"{name}/{part}.jsonl.xz" for part in ("train", "test")]
    words = ["classify", *files, *shlex.split(GROUPS[group]), "--threads", "1", "--json"]
    command = [sys.executable, "-m", "zipllm", *words]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, check=True, env=os.environ | {"PYTHONPATH": root}
    )
    machine = environment([], 1) | {"command": f"zipllm {shlex.join(words)}"}
    with ROWS.open("a", encoding="utf-8") as file:
        for line in done.stdout.splitlines():
            file.write(json.dumps({"task": name, "group": group, **json.loads(line), "environment": machine}) + "\n")


def read_rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()] if ROWS.exists() else []


def rewritten(page: str, rows: list[dict[str, Any]]) -> str:
    """Return the page with new tables between its marks, ``<!-- table NAME -->`` and ``<!-- end -->``."""
    for name in HEADS:
        before, mark, rest = page.partition(f"<!-- table {name} -->\n")
        _, end, after = rest.partition("<!-- end -->\n")
        if not mark or not end:
            raise SystemExit(f"{PAGE.name} has lost the marks of its table {name!r}")
        few = [row for row in rows if row["group"].startswith("few") == (name == "few")]
        page = before + mark + table(few, HEADS[name]) + end + after
    return page


def table(rows: list[dict[str, Any]], title: str) -> str:
    """Return the accuracy of every method on every set, the best compressor in bold."""
    compressing = [row for row in rows if row["codec"]]
    best = {task: max((row["accuracy"] for row in compressing if row["task"] == task), default=0) for task in SETS}
    lines = [f"{title}:", "", f"| method | {' | '.join(SETS.values())} |", "| --- |" + " ---: |" * len(SETS)]
    for method in dict.fromkeys(map(name_of, rows)):
        mine = {row["task"]: row for row in rows if name_of(row) == method}
        lines.append(f"| {method} | {' | '.join(cell(mine.get(task), best[task]) for task in SETS)} |")
    return "\n".join(lines) + "\n"


def name_of(row: dict[str, Any]) -> str:
    tuned = f", fine-tuned for {row['fine_tune']} steps" if row["fine_tune"] else ""
    neighbors = f", k={row['k']}" if row["k"] else ""
    return f"{row['method']} {row['codec']}{neighbors}{tuned}".strip()


def cell(row: dict[str, Any] | None, best: float) -> str:
    """Format accuracy in percent, with the range that ties could move it over."""
    if row is None:
        return "-"
    rate = f"{100 * row['accuracy']:.1f}"
    rate = f"**{rate}**" if row["codec"] and row["accuracy"] == best else rate
    ties = f" ({100 * row['accuracy_if_ties_lost']:.1f}-{100 * row['accuracy_if_ties_won']:.1f})" if row["tied"] else ""
    return rate + ties


if __name__ == "__main__":
    main()
