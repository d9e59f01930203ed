"""Lay out the training data of the shipped models: python benchmarks/recipes/prepare.py CORPORA OUT.

CORPORA holds ``bench/enwik8.xz`` and ``train/{train,valid}/*.xz``; beside the training files,
``train/train/index/NAME.index.tsv.xz`` lists offset, bytes, licence and source of every member. OUT gets plain files:
``train/NAME`` with only those members whose licence allows shipping the weights, the first 90,000,000 bytes of enwik8
as ``train/enwik8.txt``, and the validation files as ``valid/NAME``. The last 5,000,000 bytes of enwik8 are a benchmark
and are left out.
"""

import lzma
import re
import sys
from pathlib import Path

FREE = re.compile(r"(public domain|CC0|MIT|BSD|0BSD|Apache|PSF|ISC|zlib|Unicode|CC BY)", re.IGNORECASE)
"""Start of the licence of a member that is used; dual licences list the free one first."""
ENWIK8_TRAIN = slice(0, 90_000_000)
ENWIK8_VALID = slice(90_000_000, 95_000_000)


def main() -> None:
    corpora, out = map(Path, sys.argv[1:3])
    for kind in ("train", "valid"):
        (out / kind).mkdir(parents=True, exist_ok=True)
    enwik8 = lzma.decompress((corpora / "bench/enwik8.xz").read_bytes())
    (out / "train/enwik8.txt").write_bytes(enwik8[ENWIK8_TRAIN])
    (out / "valid/enwik8.txt").write_bytes(enwik8[ENWIK8_VALID])
    for path in sorted((corpora / "train/train").glob("*.xz")):
        kept = free_members(path)
        print(f"{path.stem:32} {len(kept):>11,} bytes")
        if kept:
            (out / "train" / path.stem).write_bytes(kept)
    for path in sorted((corpora / "train/valid").glob("*.xz")):
        (out / "valid" / path.stem).write_bytes(lzma.decompress(path.read_bytes()))


def free_members(path: Path) -> bytes:
    data = lzma.decompress(path.read_bytes())
    index = lzma.decompress((path.parent / "index" / f"{path.stem}.index.tsv.xz").read_bytes()).decode()
    members = []
    for row in index.splitlines():
        offset, size, licence, _source = row.split("\t")[:4]
        if FREE.match(licence):
            members.append(data[int(offset) : int(offset) + int(size)])
    return b"".join(members)


if __name__ == "__main__":
    main()
