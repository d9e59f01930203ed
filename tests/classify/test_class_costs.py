"""The cost of a text behind a class's texts: the growth of the archive."""

import bz2
import lzma
import zlib

import numpy as np
import pytest

from zipllm.bench.protocol import parse_spec
from zipllm.classify.class_costs import KNOWN, class_coder
from zipllm.classify.continued import forked_stream
from zipllm.errors import ModelNotFound, UsageError, ZipllmError

CLASS = [f"line {number} of the class, about ships and the sea {number * 7}".encode() for number in range(60)]
JOINED = b"\n".join(CLASS) + b"\n"
TEXTS = [b"about ships and the sea", b"", b"Quarterly profit rose 3 % " * 40, "海上的船".encode(), bytes(range(256))]


def ppmd(data: bytes) -> bytes:
    pyppmd = pytest.importorskip("pyppmd")
    encoder = pyppmd.Ppmd7Encoder(6, 64 << 20)
    packed: bytes = encoder.encode(data) + encoder.flush()
    return packed


WHOLE = {
    "gzip:9": lambda data: zlib.compress(data, 9),
    "gzip:1": lambda data: zlib.compress(data, 1),
    "bzip2:9": bz2.compress,
    "xz:6": lambda data: lzma.compress(data, preset=6),
    "ppmd:6": ppmd,
}


def costs(codec: str, texts: list[bytes] | None = None) -> list[float]:
    with class_coder(parse_spec(codec))(CLASS, max(map(len, TEXTS))) as measure:
        return list(map(float, measure(TEXTS if texts is None else texts, lambda _: None)))


@pytest.mark.parametrize("codec", WHOLE)
def test_it_is_the_growth_of_the_archive(codec: str) -> None:
    """Copied and forked states give the same sizes as compressing everything again."""
    nothing = len(WHOLE[codec](JOINED))
    assert costs(codec) == [8 * (len(WHOLE[codec](JOINED + text)) - nothing) for text in TEXTS]


@pytest.mark.parametrize("codec", ["gzip:9", "zstd:19", "ppmd:6", "xz:6", "zipllm:3"])
def test_alike_is_cheap(codec: str) -> None:
    if codec == "ppmd:6":
        pytest.importorskip("pyppmd")
    alike, other = costs(codec, [b"line 3 of the class, about ships", b"Quarterly profits rose again by 3"])
    assert 2 * alike < other


@pytest.mark.parametrize(("codec", "model"), [("zipllm:4", "nano"), ("zipllm", "small"), ("zipllm:nano/6", "nano")])
def test_the_model_is_the_one_that_compresses(codec: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str) -> None:
        loaded.append(name)
        raise ModelNotFound(name)

    monkeypatch.setattr("zipllm.engine.engine.load_engine", load)
    with pytest.raises(ModelNotFound):
        class_coder(parse_spec(codec))
    assert loaded == [model]


def test_few_texts_are_a_dictionary_of_zstd() -> None:
    with class_coder(parse_spec("zstd:19"))([b"one short text"], 20) as measure:
        same, other = measure([b"one short text", b"quite another!"], lambda _: None)
    assert same < other


def test_a_process_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipllm.classify.continued.sys.executable", "false")
    with (
        pytest.raises(ZipllmError, match="xz:6: the process .* ended with code 1"),
        forked_stream(parse_spec("xz:6"), b"x"),
    ):
        pass


@pytest.mark.parametrize(
    ("codec", "steps", "message"),
    [
        ("lz4:1", 0, f"known: {', '.join(KNOWN)}"),
        ("gzip:9", 5, "no model to fine-tune"),
        ("zipllm:3", 5, "no model to fine-tune"),
        ("zstd:19/long", 0, "no other settings"),
        ("zipllm:3/history=off", 0, "nothing predicts"),
    ],
)
def test_what_cannot_be_done(codec: str, steps: int, message: str) -> None:
    with pytest.raises(UsageError, match=message), class_coder(parse_spec(codec), steps)(CLASS, 10):
        pass


def test_costs_are_told_as_they_are_found() -> None:
    seen: list[float] = []
    with class_coder(parse_spec("gzip:9"))(CLASS, 300) as measure:
        found = measure(TEXTS, seen.append)
    assert seen == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert found.dtype == np.float64
