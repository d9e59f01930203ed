"""Compare a model of your own with other codecs, on files that it has not seen.

    python benchmarks/train_your_own.py --train logs/ --test new/today.log --minutes 10 --json own.jsonl

Trains with ``zipllm train`` (or takes --model), learns a zstd dictionary from the same data, and runs ``zipllm bench``
for both on the test files, beside zstd without dictionary, xz, PPMd where it is installed, and the shipped model.
Another process decodes every archive and compares. The dictionary and the models count as weights. Rows go to --json
with the environment; a file beside it that ends in .train.json says how the model was made.
"""

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import zstandard

from zipllm.bench.environment import environment
from zipllm.data.reading import documents, find_files
from zipllm.data.unpack import raw_chunks
from zipllm.model_file.store import ModelStore

DICTIONARY_BYTES = 112_640
"""The default of ``zstd --train``."""
DICTIONARY_SAMPLE = 32 << 20
"""Bytes of training data to learn the dictionary from, evenly spaced; zstd advises a hundred times its size."""
SAMPLE_BYTES = 2048


def main() -> int:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="zipllm-own-") as scratch:
        work = (arguments.work or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        model, seconds = work / (arguments.model.name if arguments.model else "own.safetensors"), 0.0
        if arguments.model is None:
            seconds = train(arguments, model, work / "run")
        elif arguments.model.resolve() != model:
            shutil.copyfile(arguments.model, model)
        (work / "dictionary").write_bytes(learn_dictionary(find_files(arguments.train)))
        status = compare(arguments, model)
        if arguments.json:
            note = arguments.json.with_suffix(".train.json")
            note.write_text(json.dumps(provenance(arguments, model, seconds), indent=1) + "\n")
    return status


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="files and folders")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="files that are not in the training data")
    parser.add_argument("--model", type=Path, help="a model trained on them; without it, one is trained")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--steps", type=int, help="instead of minutes")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--compile", choices=("auto", "on", "off"), default="auto", help="torch.compile for training")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keeps model, run and dictionary there")
    parser.add_argument("--json", type=Path, help="rows as JSON lines")
    parser.add_argument("--markdown", type=Path, help="the tables as Markdown")
    return parser.parse_args()


def train(arguments: argparse.Namespace, model: Path, run: Path) -> float:
    """Train in a process of its own; return the seconds it took, reading the data and the export included."""
    budget = ["--steps", arguments.steps] if arguments.steps else ["--minutes", arguments.minutes]
    vocabulary = ["--vocabulary", arguments.vocabulary] if arguments.vocabulary else []
    how = ["--preset", arguments.preset, "--compile", arguments.compile, "--threads", arguments.threads]
    begin = time.perf_counter()
    zipllm("train", *arguments.train, "-o", model, "--run", run, *how, *vocabulary, *budget)
    return time.perf_counter() - begin


def learn_dictionary(files: list[Path]) -> bytes:
    """Train a zstd dictionary on evenly spaced pieces of the training data."""
    total = sum(len(chunk) for path in files for chunk in raw_chunks(path))
    every = max(1, round(total / DICTIONARY_SAMPLE))
    pieces = (piece for path in files for piece in documents(raw_chunks(path), SAMPLE_BYTES))
    samples: list[bytes | bytearray | memoryview[int]] = [
        piece for index, piece in enumerate(pieces) if index % every == 0
    ]
    return zstandard.train_dictionary(min(DICTIONARY_BYTES, sum(map(len, samples)) // 2), samples).as_bytes()


def compare(arguments: argparse.Namespace, model: Path) -> int:
    """Run the benchmark in the folder of model and dictionary, so that their names are short; return its exit code."""
    ppmd = ["ppmd:12"] if importlib.util.find_spec("pyppmd") else []
    codecs = ["zstd:19", "zstd:19/dict=dictionary", "xz:9e", *ppmd, "zipllm:small", f"zipllm:{model.name}"]
    rows = ["--json", arguments.json.resolve()] if arguments.json else []
    tables = ["--markdown", arguments.markdown.resolve()] if arguments.markdown else []
    tests = [path.resolve() for path in arguments.test]
    how = ["--codecs", ",".join(codecs), "--threads", arguments.threads]
    return zipllm("bench", *tests, *how, *rows, *tables, "--force", folder=model.parent, check=False)


def provenance(arguments: argparse.Namespace, model: Path, seconds: float) -> dict[str, Any]:
    """Return what the rows do not say: how the model was made."""
    stored = ModelStore.default().find(model)
    card = stored.summary.metadata.card
    return {
        "model_id": stored.model_id.hex(),
        "model_bytes": model.stat().st_size,
        "dictionary_bytes": (model.parent / "dictionary").stat().st_size,
        "steps": card.steps,
        "tokens": card.tokens,
        "training_seconds": card.seconds,
        "seconds_with_data_and_export": round(seconds, 1),
        "raw_bytes": sum(source.bytes for source in card.sources),
        "held_back": [vars(result) for result in card.results],
        "environment": environment(sys.argv[1:], arguments.threads, "python benchmarks/train_your_own.py"),
    }


def zipllm(*words: object, folder: Path | None = None, check: bool = True) -> int:
    command = [sys.executable, "-m", "zipllm", *map(str, words)]
    print("$ zipllm", *command[3:], flush=True)
    return subprocess.run(command, cwd=folder, check=check).returncode


if __name__ == "__main__":
    sys.exit(main())
