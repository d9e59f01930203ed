"""When a block is coded as sound, as a picture or as DNA, and what that may take."""

import io
from dataclasses import replace

import numpy as np
import pytest

from tests.codec.test_damage import archive_with
from tests.media.synthetic import KINDS, picture, sound
from tests.media.test_dna import bases, fasta
from zipllm.codec import choose as choosing
from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container import BlockHeader, Coding, Limits, scan
from zipllm.container.block import LEAN_MIXER
from zipllm.container.samples import MOST_ROW, PICTURE, Layout, dna_layout
from zipllm.errors import LimitExceeded, VerificationFailed
from zipllm.media.coding import encode

WAVES = sound(KINDS["16-bit"], 4000)
PGM = b"P5 80 70 255\n" + picture(replace(KINDS["gray"], row=80), 70)
CONTENTS = {"sound": WAVES, "picture": PGM, "dna": fasta(bases(9000))}


def kind(raw: bytes, options: EncodeOptions | None = None) -> str:
    """What the only block of an archive is; the archive must give the bytes back."""
    sink, out = io.BytesIO(), io.BytesIO()
    compress_stream(io.BytesIO(raw), sink, engine=None, options=options or EncodeOptions())
    decompress_stream(io.BytesIO(sink.getvalue()), out)
    assert out.getvalue() == raw
    (header,) = (item.record for item in scan(io.BytesIO(sink.getvalue())) if isinstance(item.record, BlockHeader))
    return header.kind_name


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_found_is_coded_so(name: str) -> None:
    assert kind(CONTENTS[name]) == name


@pytest.mark.parametrize(("name", "found"), [("sound", False), ("picture", False), ("dna", True)])
def test_fast_levels_know_dna_alone(name: str, found: bool) -> None:
    assert (kind(CONTENTS[name], EncodeOptions(mixer=LEAN_MIXER)) == name) is found


@pytest.mark.parametrize("name", CONTENTS)
def test_without_history_there_are_no_samples(name: str) -> None:
    assert kind(CONTENTS[name], EncodeOptions(history_bits=None)) != name


def test_a_header_that_lies_is_no_reason() -> None:
    """A text behind the header of a picture; and a picture that repeats itself, which its history codes better."""
    assert kind(b"P5 30 90 255\n" + b"It is a truth universally acknowledged, that a single man in " * 44) == "history"
    stripes = np.random.default_rng(1).integers(0, 256, 64, dtype=np.uint8).tobytes()
    assert kind(b"P5 64 90 255\n" + stripes * 90) != "picture"


def test_a_conventional_codec_that_is_smaller_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(PICTURE, 0, 6000, 60, 1)
    monkeypatch.setattr(choosing, "code_samples", lambda *arguments: (layout, bytes(500)))
    assert choosing.choose(bytes(6000), None, EncodeOptions(), 0, None).coding is Coding.ZSTD


def test_verification_finds_wrong_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = encode(WAVES[:-2] + b"??", replace(KINDS["16-bit"], length=len(WAVES)))
    monkeypatch.setattr(choosing, "code_samples", lambda *arguments: (replace(KINDS["16-bit"], length=8000), wrong))
    with pytest.raises(VerificationFailed):
        kind(WAVES)


@pytest.mark.parametrize(
    ("layout", "most"),
    [(Layout(PICTURE, 0, 0, MOST_ROW, 4), 64 << 20), (dna_layout(1 << 20), 64 << 20), (KINDS["16-bit"], 8 << 20)],
)
def test_memory_is_limited_before_it_is_taken(layout: Layout, most: int) -> None:
    """What a few bytes of an archive can ask for."""
    archive = archive_with(Coding.SAMPLES, b"", bytes(1 << 20), layout=layout)
    with pytest.raises(LimitExceeded, match="memory for decoding a block"):
        decompress_stream(io.BytesIO(archive), io.BytesIO(), options=DecodeOptions(limits=Limits(memory=most)))
