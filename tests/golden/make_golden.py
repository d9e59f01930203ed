"""Makes the golden archives, their hashes and the hashes of their content.

    python -m tests.golden.make_golden

An archive here is written by the real encoder and never changed within one format version: a later version must read
it, and, for the codings whose bytes are zipllm's own, write it again. Conventional codings depend on the version of
their library, so of those only the reading is promised. Run it again only when the format's version changes, and say
so in the changelog.
"""

import hashlib
import io
import random
import struct
import sys
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

from tests.mixing.programs import program
from tests.model.llama_models import extreme_llama
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container import BlockHeader, Coding, scan
from zipllm.container.block import LEAN_MIXER
from zipllm.engine.engine import Engine, engine_from_model, load_engine
from zipllm.model_file.card import Card
from zipllm.model_file.file import build_model
from zipllm.tokenizer import ByteTokenizer

FOLDER = Path(__file__).parent
TEXT = (
    "The archive is worth what its worst file gets. 学而时习之，不亦说乎？ Il n'y a pas de hasard.\n"
    "for index in range(10):\n    print(index, index * index)\n"
).encode() * 4
NOISE = random.Random(11).randbytes(600)
ZEROS = bytes(3000)
WORDS = b" ".join(random.Random(12).choices(TEXT.split(), k=4000))
CHINESE = resources.files("zipllm.data").joinpath("samples/chinese.txt").read_text(encoding="utf-8")[:1000] + "𠀀é\n"
TABLE = b"".join(struct.pack("<IHB", index, index * index % 65536, index % 7) for index in range(1000))
STRUCTURES = b"".join(
    f'{{"id": {index}, "tags": ["a b", "c"], "of": {{"x": {index * index}}}}}\n'
    f'<item id="{index}"><name>{"Ada" if index % 3 else "Grace"}</name><br/></item>\n'
    f"2024-05-{index % 28 + 1:02},ok;{index}\t| level={index % 5}\n".encode()
    for index in range(40)
)
PROGRAM = program(9000)


def tones(count: int) -> list[tuple[int, int]]:
    """Frames of stereo sound in integers: two damped oscillators that noise keeps going."""
    noise, left, right, frames = random.Random(14), [0, 0], [0, 0], []
    for _ in range(count):
        left = [left[1], (127 * left[1] - 64 * left[0]) // 64 + noise.randint(-40, 40)]
        right = [right[1], (125 * right[1] - 63 * right[0]) // 64 + noise.randint(-60, 60)]
        left[1], right[1] = (max(-32_000, min(32_000, value)) for value in (left[1], right[1]))
        frames.append((left[1], right[1]))
    return frames


WAV = (
    b"RIFF\xd4\x2e\0\0WAVEfmt \x10\0\0\0\1\0\2\0\x44\xac\0\0\x10\xb1\2\0\4\0\x10\0data\xb0\x2e\0\0"
    + b"".join(struct.pack("<hh", *frame) for frame in tones(2988))
    + b"LIST\x0c\0\0\0INFOISFT\0\0\0\0"
)
PGM = b"P5 64 60 255\n" + bytes(2 * x + y + (x * y * 7 + x) % 5 for y in range(60) for x in range(64))
BASES = bytes(random.Random(13).choices(b"ACGT", k=2000))
FASTA = b">one\n" + BASES + b"\n>two\n" + BASES[600:1400].translate(bytes.maketrans(b"ACGT", b"TGCA"))[::-1] + b"\n"
EMBEDDED = EncodeOptions(fallback=False, embed_model=True)


@dataclass(frozen=True)
class Golden:
    """An archive: its name, its content, how it is coded, and whether a model may be asked.

    Attributes:
        model: "small" is the shipped one, "tiny" and "llama" come from a seed and are embedded, None is no model.
        repeatable: the same bytes are written again by every later version of the same format.
    """

    name: str
    content: bytes
    options: EncodeOptions
    model: str | None = None
    repeatable: bool = True


GOLDEN = (
    Golden("empty", b"", EncodeOptions()),
    Golden("stored", NOISE, EncodeOptions(block_size=256)),
    Golden(
        "conventional", TEXT * 3 + ZEROS + NOISE, EncodeOptions(block_size=2048, history_bits=None), repeatable=False
    ),
    Golden("words", WORDS, EncodeOptions(history_bits=None), repeatable=False),
    Golden("table", TABLE, EncodeOptions(history_bits=None), repeatable=False),
    Golden("history-text", WORDS, EncodeOptions(mixer=LEAN_MIXER)),
    Golden("history-utf16", CHINESE.encode("utf-16"), EncodeOptions(block_size=1501, mixer=LEAN_MIXER)),
    Golden("history-records", TABLE, EncodeOptions(history_bits=12, mixer=LEAN_MIXER)),
    Golden("tiny-one-lane", TEXT, replace(EMBEDDED, lanes=1, mixer=LEAN_MIXER), "tiny"),
    Golden("tiny-lanes", TEXT + NOISE, replace(EMBEDDED, lanes=5, block_size=700, mixer=LEAN_MIXER), "tiny"),
    Golden("small", TEXT, EncodeOptions(lanes=2, fallback=False, mixer=LEAN_MIXER), "small"),
    Golden("small-static", TEXT, EncodeOptions(lanes=2, fallback=False, history_bits=None), "small"),
    Golden("small-gb18030", CHINESE.encode("gb18030"), EncodeOptions(block_size=1501, mixer=LEAN_MIXER), "small"),
    Golden("small-chosen", TEXT[:200] + NOISE, EncodeOptions(block_size=200, mixer=LEAN_MIXER), "small"),
    Golden("full-text", WORDS, EncodeOptions()),
    Golden("full-structures", STRUCTURES, EncodeOptions()),
    Golden("full-rows", TABLE, EncodeOptions(history_bits=14)),
    Golden("full-code", PROGRAM, EncodeOptions()),
    Golden("sound", WAV, EncodeOptions()),
    Golden("picture", PGM, EncodeOptions()),
    Golden("dna", FASTA, EncodeOptions()),
    Golden("full-tiny-lanes", TEXT + STRUCTURES, replace(EMBEDDED, lanes=5, block_size=2100), "tiny"),
    Golden("llama", TEXT, replace(EMBEDDED, lanes=3), "llama"),
    Golden("full-small", STRUCTURES, EncodeOptions(lanes=2, fallback=False), "small"),
)


@cache
def tiny() -> Engine:
    """An engine of random weights; its model file is embedded, so archives need nothing else."""
    return engine_from_model(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD))


@cache
def llama() -> Engine:
    """The same of the other architecture."""
    model = extreme_llama(1, vocabulary_size=256, width=16, heads=4, head_size=4, feedforward=24, window=8, kept=2)
    return engine_from_model(build_model(model.config, ByteTokenizer(), model, Card("llama")))


def made(golden: Golden) -> bytes:
    """The archive, written now."""
    sink, engine = io.BytesIO(), {"tiny": tiny, "llama": llama, "small": load_engine, None: None}[golden.model]
    size = len(golden.content)
    compress_stream(io.BytesIO(golden.content), sink, engine=engine, options=golden.options, original_size=size)
    return sink.getvalue()


def missing_codings(archives: list[bytes]) -> set[str]:
    """The codings that no golden archive has."""
    items = [item.record for archive in archives for item in scan(io.BytesIO(archive))]
    return {coding.name for coding in Coding} - {item.coding.name for item in items if isinstance(item, BlockHeader)}


def main() -> None:
    """Write all archives and SHA256SUMS."""
    lines, archives = [], []
    for old in FOLDER.glob("*.zllm"):
        old.unlink()
    for golden in GOLDEN:
        archive = made(golden)
        (FOLDER / f"{golden.name}.zllm").write_bytes(archive)
        archives.append(archive)
        lines.append(f"{hashlib.sha256(archive).hexdigest()}  {golden.name}.zllm\n")
    (FOLDER / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
    if missing := missing_codings(archives):
        sys.stderr.write(f"no golden archive has a block coded by {', '.join(sorted(missing))}: add one\n")


if __name__ == "__main__":
    main()
