"""Make the pictures in README and docs, with the figures they show: python benchmarks/pictures.py [--browser NAME].

Needs Chromium and the extra ``bench``. ``pictures.json`` keeps the digest of each picture and its figures; a test
compares these with a fresh run, so that neither can go stale.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import DEFAULT_CODECS, open_codec, parse_codecs
from zipllm.bench.result import read_rows
from zipllm.data.registry import SAMPLES, corpora, samples_folder
from zipllm.engine.engine import engine_from_model
from zipllm.measure.explanation import explain_bytes
from zipllm.model_file.store import ModelStore
from zipllm.report.words import headline, lead

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "benchmarks" / "pictures.json"
PICTURES = EXPLAIN, BENCH = "examples/explain.png", "benchmarks/report.png"
TEXT, MODEL = "english.txt", "small"
BEFORE, TOKEN = "mind", "s"
"""The token whose card the picture shows, after this text."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="chromium", help="a browser that takes Chromium's flags")
    browser = parser.parse_args().browser
    found = figures()
    with tempfile.TemporaryDirectory() as scratch:
        page, rows = Path(scratch, "page.html"), Path(scratch, "rows.jsonl")
        _zipllm("explain", str(samples_folder() / TEXT), "--html", str(page))
        _point(page)
        _shoot(browser, page, ROOT / EXPLAIN, 1000, 1180)
        _zipllm("bench", "-f", "--html", str(page), "--json", str(rows))
        _shoot(browser, page, ROOT / BENCH, 1000, 1500)
        measured = {row.codec: 0 for row in read_rows(rows)}
        for row in read_rows(rows):
            measured[row.codec] += row.compressed_bytes or 0
        assert measured == found[BENCH], "the picture shows other sizes than a fresh run"
    record = {name: {"sha256": digest(name), "figures": found[name]} for name in PICTURES}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def figures() -> dict[str, Any]:
    """Return what the pictures show, from a fresh run: all sizes, no times."""
    engine = engine_from_model(ModelStore.default().load(MODEL))
    explanation = explain_bytes((samples_folder() / TEXT).read_bytes(), engine)
    sizes = {}
    for spec in parse_codecs(DEFAULT_CODECS, None):
        codec = open_codec(spec)
        files = ((samples_folder() / file.name).read_bytes() for file in corpora()[SAMPLES].files)
        sizes[str(spec)] = sum(len(codec.compress(data)) for data in files)
    return {EXPLAIN: [headline(explanation), lead(explanation, MODEL)], BENCH: sizes}


def digest(name: str) -> str:
    """Return the SHA-256 of a committed picture."""
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def _zipllm(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "zipllm", *arguments], check=True, stdout=subprocess.DEVNULL)


def _point(page: Path) -> None:
    """Point at a token in a copy of the page, whose policy would forbid the script that does it."""
    text = re.sub(r"<meta http-equiv=[^>]*>", "", page.read_text(encoding="utf-8"))
    found = f"span.textContent === '{TOKEN}' && span.previousSibling?.textContent.endsWith('{BEFORE}')"
    event = "new PointerEvent('pointerover', {bubbles: true})"
    script = f"[...document.querySelectorAll('#text > span')].find((span) => {found}).dispatchEvent({event})"
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")


def _shoot(browser: str, page: Path, target: Path, width: int, height: int) -> None:
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")
    light = "--blink-settings=preferredColorScheme=1"
    size, shot = f"--window-size={width},{height}", f"--screenshot={target}"
    subprocess.run([browser, *flags, light, size, shot, page.as_uri()], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
