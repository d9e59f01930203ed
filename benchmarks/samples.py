"""Sound and pictures: zipllm beside FLAC, PNG, JPEG-LS, WebP and JPEG XL.

    pip install imagecodecs soundfile pillow oxipng
    python benchmarks/samples.py --data-dir DIR --json ROWS

Takes every ``*.s16le`` and ``*.u8`` (sound without a header, 16 and 8 bits), ``*.wav``, ``*.pgm`` and ``*.ppm`` file
below DIR; ``.xz`` behind the name is undone first. Each archive is decoded and compared. The other codecs get the
samples without a header.
"""

import argparse
import io
import json
import lzma
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import zipllm
from zipllm.container.samples import SOUND, Layout
from zipllm.media.headers import find_layout
from zipllm.media.trial import find_sound

SOUNDS, PICTURES = (".s16le", ".u8", ".wav"), (".pgm", ".ppm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True, help="file of rows; its folder gets a README.md as well")
    arguments = parser.parse_args()
    rows = [measured(name, raw) for name, raw in inputs(arguments.data_dir)]
    if not rows:
        sys.exit(f"{arguments.data_dir} has no sound and no pictures")
    command = f"python benchmarks/samples.py --data-dir DIR --json {arguments.json}"
    environment = {"command": command, "date": time.strftime("%Y-%m-%d"), "processor": processor()}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text("".join(json.dumps(row | {"environment": environment}) + "\n" for row in rows))
    arguments.json.with_name("README.md").write_text(page(rows, environment), encoding="utf-8")


def inputs(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents."""
    for path in sorted(folder.rglob("*")):
        name = path.name.removesuffix(".xz")
        if path.is_file() and name.endswith((*SOUNDS, *PICTURES)):
            raw = path.read_bytes()
            yield name, lzma.decompress(raw) if path.suffix == ".xz" else raw


def measured(name: str, raw: bytes) -> dict[str, Any]:
    """Return the sizes of one file."""
    begin = time.perf_counter()
    archive = zipllm.compress(raw, verify=False)
    middle = time.perf_counter()
    if zipllm.decompress(archive) != raw:
        raise SystemExit(f"{name}: other bytes came back")
    seconds = [round(middle - begin, 2), round(time.perf_counter() - middle, 2)]
    layout = find_layout(raw) or find_sound(raw)
    if layout is None:
        raise SystemExit(f"{name}: neither a header nor the bytes say what it is")
    others = sounds(raw, layout) if layout.kind == SOUND else pictures(raw, layout)
    row = {"file": name, "raw": len(raw), "zipllm": len(archive), **others, "seconds": seconds}
    print(json.dumps(row), flush=True)
    return row


def sounds(raw: bytes, layout: Layout) -> dict[str, int]:
    """Return the size of FLAC at its highest level, for 8 bits without a sign and 16 bits with one."""
    import soundfile

    kind, subtype = ("u1", "PCM_S8") if layout.sample == 1 else ("<i2", "PCM_16")
    samples = np.frombuffer(raw, dtype=kind, offset=layout.begin, count=layout.length // layout.sample)
    if layout.sample == 1:
        samples = (samples.astype(np.int16) - 128) * 256
    out = io.BytesIO()
    shaped = samples.reshape(-1, layout.row // layout.sample)
    soundfile.write(out, shaped, 44_100, format="FLAC", subtype=subtype, compression_level=1.0)
    return {"flac -8": len(out.getvalue())}


def pictures(raw: bytes, layout: Layout) -> dict[str, int]:
    """Return the sizes of the lossless codecs for pictures of 8 bits."""
    import imagecodecs
    import oxipng
    from PIL import Image

    shape = (-1, layout.row // layout.sample, *([layout.sample] if layout.sample > 1 else []))
    pixels = np.frombuffer(raw, dtype=np.uint8, offset=layout.begin, count=layout.length).reshape(shape)
    png, webp = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG", compress_level=9)
    Image.fromarray(pixels).save(webp, "WEBP", lossless=True, quality=100, method=6, exact=True)
    return {
        "png -9": len(png.getvalue()),
        "oxipng": len(oxipng.optimize_from_memory(png.getvalue(), level=4)),
        "jpeg-ls": len(imagecodecs.jpegls_encode(pixels)),
        "webp": len(webp.getvalue()),
        "jpeg xl": len(imagecodecs.jpegxl_encode(pixels, lossless=True, effort=7)),
    }


def page(rows: list[dict[str, Any]], environment: dict[str, str]) -> str:
    """Return a page with a table of sounds and one of pictures."""
    parts = [
        "# Sound and pictures\n",
        "Bytes at the default level; each archive was decoded and compared. FLAC by libsndfile, level 8; oxipng, level",
        "4; JPEG-LS by CharLS; JPEG XL, effort 7. The last line of a table adds up.\n",
        f"```console\n$ {environment['command']}\n```\n",
        f"Machine: {environment['processor']}. Date: {environment['date']}.\n",
    ]
    for names in (["flac -8"], ["png -9", "oxipng", "jpeg-ls", "webp", "jpeg xl"]):
        some = [row for row in rows if names[0] in row]
        if some:
            parts.append(table(some, ["raw", "zipllm", *names]))
    return "\n".join(parts)


def table(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """Return a table of sizes, and what the best other codec takes more than zipllm."""
    lines = [f"| file | {' | '.join(columns)} | under the best |", "| --- |" + " ---: |" * (len(columns) + 1)]
    total = {"file": f"all {len(rows)}", **{name: sum(row[name] for row in rows) for name in columns}}
    for row in [*rows, total]:
        best = min(row[name] for name in columns[2:])
        sizes = " | ".join(f"{row[name]:,}" for name in columns)
        lines.append(f"| {row['file']} | {sizes} | {100 - 100 * row['zipllm'] / best:.1f} % |")
    return "\n".join(lines) + "\n"


def processor() -> str:
    """Return the processor's name."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else platform.processor()


if __name__ == "__main__":
    main()
