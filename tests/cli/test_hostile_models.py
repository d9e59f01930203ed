"""Hostile model files given to the command line: exit code 4, one line that says why, no result, no code run."""

import io
import pickle  # noqa: TID251  # a hostile file is made, none is opened
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.cli.processes import CONTENT, Outcome
from tests.model_file.conftest import CARD, CONFIG, join, random_integer_model, split
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.engine.engine import Engine, engine_from_model, kept
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model_file.file import build_model, model_to_bytes, tokenizer_json
from zipllm.model_file.identity import compute_model_id
from zipllm.tokenizer import ByteTokenizer

Inside = Callable[..., Outcome]
MODEL = build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD)
GOOD = model_to_bytes(MODEL)


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, ("it-ran", "w")


def zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    return sink.getvalue()


def with_header(edit: Callable[[dict[str, dict[str, object]]], object]) -> bytes:
    header, data = split(GOOD)
    edit(header)
    return join(header, data)


def with_values(name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> bytes:
    """Other values under a right id, as a forger would write them."""
    from dataclasses import replace

    tensors = {key: tensor.clone() for key, tensor in MODEL.integer.tensors().items()}
    changed = change(tensors[name])
    tensors[name] = tensors[name] if changed is None else changed
    integer = TransformerParameters.from_tensors(CONFIG, tensors)
    model_id = compute_model_id(CONFIG, tokenizer_json(MODEL.tokenizer), integer.values)
    return model_to_bytes(replace(MODEL, integer=integer, model_id=model_id))


def lossy_tokenizer() -> bytes:
    """One that is none of ours: it would drop bytes."""
    text = b'{"type":"wordpiece","vocabulary":["a","b"]}'
    header, data = split(GOOD)
    begin, _ = header["tokenizer.json"]["data_offsets"]
    header["tokenizer.json"].update(shape=[len(text)], data_offsets=[begin, begin + len(text)])
    return join(header, data[:begin] + text)


def negative(table: torch.Tensor) -> torch.Tensor:
    return torch.cat((table[:-1], torch.tensor([-1], dtype=table.dtype)))


HOSTILE: dict[str, tuple[bytes, str]] = {
    "pickle": (pickle.dumps(Bomb()), "pickle"),
    "zip": (zipped(), "zip archive"),
    "empty": (b"", "too few"),
    "text": (b"weights: 1 2 3\n" * 9, "this is a text file"),
    "Chinese text": ("权重：一二三".encode() * 9, "this is a text file"),
    "archive": (b"\x89ZLM\r\n\x1a\n" + bytes(90), "zipllm archive"),
    "truncated": (GOOD[:-1], "truncated"),
    "bit flipped": (GOOD[:-300] + bytes([GOOD[-300] ^ 1]) + GOOD[-299:], "damaged"),
    "overlapping tensors": (with_header(lambda h: h["query"].update(data_offsets=h["key"]["data_offsets"])), "overlap"),
    "tensor outside of the file": (
        with_header(lambda h: h["query"].update(data_offsets=[1 << 40, (1 << 40) + 512])),
        "overlap",
    ),
    "wrong dtype": (with_header(lambda h: h["query"].update(dtype="F32")), "dtype"),
    "wrong shape": (with_header(lambda h: h["query"].update(shape=[512])), "but the config wants"),
    "missing tensor": (with_header(lambda h: h.pop("tokenizer.json")), "trailing data"),
    "header of 4 GB": (b"\xff\xff\xff\xff\0\0\0\0" + GOOD[8:], "header claims"),
    "weight of -128": (with_values("query", lambda t: t.fill_(-128)), "weight below -127"),
    "accumulator overflow": (
        with_values("down_multiplier", lambda t: t.fill_((1 << 31) - 1)),
        "down_multiplier: result can pass",
    ),
    "negative multiplier": (with_values("query_multiplier", lambda t: t.fill_(-1)), "negative value"),
    "negative frequency": (with_values("frequency_exponential", negative), "frequency_exponential: negative value"),
    "frequencies all zero": (with_values("frequency_exponential", torch.zeros_like), "first entry is not"),
    "table too short": (with_values("frequency_exponential", lambda t: t[:1]), "length not from 2"),
    "table not monotone": (with_values("frequency_exponential", lambda t: t[[0, 3, 2, -1]]), "not monotone"),
    "table that does not end": (with_values("attention_exponential", lambda t: t[:3]), "last entry is not 0"),
    "shift of a billion": (with_values("head_shift", lambda t: t.fill_(1 << 30)), "head_shift: not from 1 to 62"),
    "tokenizer that loses bytes": (lossy_tokenizer(), "damaged"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_named_by_the_user(inside: Inside, folder: Path, kind: str) -> None:
    data, reason = HOSTILE[kind]
    (folder / "m.safetensors").write_bytes(data)
    kept.clear()  # of an intact model with the id that the damaged file claims
    code, message = inside("compress", "--no-sample", "--model", "./m.safetensors", "a", "-o", "new").error
    assert (code, message.count("\n")) == (4, 1)
    assert reason in message
    assert not (folder / "new").exists()
    assert not (folder / "it-ran").exists()


def embedding(model_file: bytes) -> bytes:
    """An archive whose embedded model file is another than the one that coded it."""
    found = engine_from_model(MODEL)
    engine = Engine(found.model_id, found.tokenizer, found.predictor, lambda: model_file)
    sink = io.BytesIO()
    options = EncodeOptions(fallback=False, embed_model=True)
    compress_stream(io.BytesIO(CONTENT[:50]), sink, engine=engine, options=options)
    return sink.getvalue()


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "empty"])
def test_embedded_in_an_archive(inside: Inside, folder: Path, kind: str) -> None:
    data, reason = HOSTILE[kind]
    (folder / "c.zllm").write_bytes(embedding(data))
    for arguments in (("test", "c.zllm"), ("decompress", "c.zllm"), ("decompress", "--salvage", "c.zllm")):
        code, message = inside(*arguments).error
        assert code == 4
        assert reason in message
    assert inside("list", "c.zllm").code == 0
    assert not (folder / "c").exists()
    assert not (folder / "it-ran").exists()


def test_the_untouched_model_is_accepted(inside: Inside, folder: Path) -> None:
    (folder / "c.zllm").write_bytes(embedding(GOOD))
    assert inside("test", "c.zllm").code == 0


def test_another_model_than_the_one_named(inside: Inside, folder: Path) -> None:
    other = model_to_bytes(build_model(CONFIG, ByteTokenizer(), random_integer_model(seed=1), CARD))
    (folder / "c.zllm").write_bytes(embedding(other))
    code, message = inside("test", "c.zllm").error
    assert code == 4
    assert "was written with model" in message


@pytest.mark.parametrize("kind", ["nowhere", "loop", "folder", "pipe"])
def test_links_folders_and_pipes(inside: Inside, folder: Path, kind: str) -> None:
    import os

    path = folder / "m.safetensors"
    match kind:
        case "nowhere" | "loop":
            path.symlink_to("m.safetensors" if kind == "loop" else "nowhere")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
    code, message = inside("compress", "--no-sample", "--model", "./m.safetensors", "a", "-o", "new").error
    assert (code, message.count("\n")) == (4, 1)
    assert not (folder / "new").exists()
