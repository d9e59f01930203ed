"""Labels by compression on five task sets: AG News, R8, TREC questions, Chinese hotel reviews, THUCNews titles.

    python benchmarks/classify_tasks.py --data-dir DIR    # runs what benchmarks/results/2026-11-26-classify.jsonl lacks
    python benchmarks/classify_tasks.py --table           # writes the tables of benchmarks/results/classify.md anew

DIR/tasks/SET/train.jsonl.xz and test.jsonl.xz hold the texts. Every run is one ``zipllm classify ... --json``, in a
process of its own with one thread; its rows keep the command. Groups: ``class``, behind all training texts; ``ncd``,
all of them as neighbors, with the codec that is fast enough for it; ``tuned``, a Transformer fine-tuned on each class;
``few``, 100 training texts, where every method can be afforded.
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

RESULTS = Path(__file__).parent / "results"
ROWS, PAGE = RESULTS / "2026-11-26-classify.jsonl", RESULTS / "classify.md"
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
"""Where the slow ones are tried: fine-tuning takes 20 seconds of a core for each class, zipllm:3 10 ms a pair."""
HEADS = {
    "class": "All training texts; 500 test texts (nearest neighbors: 200), chosen with seed 0",
    "few": "100 training texts, 200 test texts, both chosen with seed 0",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ZIPLLM_DATA_DIR"))
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--table", action="store_true", help="only write the tables anew")
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
    """Run one group on one set, unless its rows are there, and append its rows."""
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
    """The page with new tables between its marks, ``<!-- table NAME -->`` and ``<!-- end -->``."""
    for name in HEADS:
        before, mark, rest = page.partition(f"<!-- table {name} -->\n")
        _, end, after = rest.partition("<!-- end -->\n")
        if not mark or not end:
            raise SystemExit(f"{PAGE.name} has lost the marks of its table {name!r}")
        few = [row for row in rows if row["group"].startswith("few") == (name == "few")]
        page = before + mark + table(few, HEADS[name]) + end + after
    return page


def table(rows: list[dict[str, Any]], title: str) -> str:
    """Accuracy of every method on every set, the best of compression in bold."""
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
    """Accuracy in per cent, and from where to where ties can move it."""
    if row is None:
        return "-"
    rate = f"{100 * row['accuracy']:.1f}"
    rate = f"**{rate}**" if row["codec"] and row["accuracy"] == best else rate
    ties = f" ({100 * row['accuracy_if_ties_lost']:.1f}-{100 * row['accuracy_if_ties_won']:.1f})" if row["tied"] else ""
    return rate + ties


if __name__ == "__main__":
    main()
