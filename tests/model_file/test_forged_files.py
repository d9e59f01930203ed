"""Files made to mislead: each is refused with its reason, before it can cost memory or time."""

import io
import json
import os
import pickle  # noqa: TID251  # to prove that it is not opened
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.model_file.conftest import CARD, CONFIG, join, split
from zipllm.errors import LimitExceeded, ModelInvalid
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model_file.file import Model, build_model, load_model_file, model_from_bytes, model_to_bytes
from zipllm.model_file.limits import MAX_TOKENIZER_BYTES, ModelLimits
from zipllm.tokenizer import ByteTokenizer


class Bomb:
    """Unpickling this writes a file."""

    path = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (Bomb.path, "w"))


@pytest.fixture
def bomb(tmp_path: Path) -> bytes:
    Bomb.path = str(tmp_path / "exploded")
    return pickle.dumps({"weights": [Bomb()] * 3})


def test_pickle_renamed_is_named_and_not_opened(bomb: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(bomb)
    with pytest.raises(ModelInvalid, match="pickle"):
        load_model_file(path)
    assert not os.path.exists(Bomb.path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_is_refused(protocol: int) -> None:
    with pytest.raises(ModelInvalid):
        model_from_bytes(pickle.dumps(list(range(100)), protocol))


def test_zip_renamed_is_named_and_not_opened(bomb: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", bomb)
    with pytest.raises(ModelInvalid, match="zip archive"):
        model_from_bytes(buffer.getvalue())
    assert not os.path.exists(Bomb.path)


@pytest.mark.parametrize(
    ("start", "reason"), [(b"GGUF\x03\0\0\0", "GGUF"), (b"\x89ZLM\r\n\x1a\n", "archive"), (b"\xff" * 8, "claims")]
)
def test_other_formats(start: bytes, reason: str) -> None:
    with pytest.raises(ModelInvalid, match=reason):
        model_from_bytes(start + bytes(100))


def test_an_ordinary_safetensors_file_is_not_ours() -> None:
    raw = json.dumps({"__metadata__": {"format": "pt"}, "w": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}})
    with pytest.raises(ModelInvalid, match="not a zipllm model file"):
        model_from_bytes(len(raw).to_bytes(8, "little") + raw.encode() + b"\0")


# ---- tensors against the config


def test_missing_tensor(good: bytes) -> None:
    header, data = split(good)
    begin, end = header.pop("query")["data_offsets"]
    for entry in header.values():
        if "data_offsets" in entry and entry["data_offsets"][0] >= end:
            entry["data_offsets"] = [offset - (end - begin) for offset in entry["data_offsets"]]
    with pytest.raises(ModelInvalid, match="missing tensors for this config: query"):
        model_from_bytes(join(header, data[:begin] + data[end:]))


def test_extra_tensor(good: bytes) -> None:
    header, data = split(good)
    header["zz"] = {"dtype": "U8", "shape": [3], "data_offsets": [len(data), len(data) + 3]}
    with pytest.raises(ModelInvalid, match="extra tensors for this config: zz"):
        model_from_bytes(join(header, data + b"abc"))


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [
        ("embedding", "I8", [16, 257]),
        ("embedding", "I8", [257 * 16]),
        ("embedding", "I8", [257, 16, 1]),
        ("embedding", "U8", [257, 16]),
        ("embedding", "I16", [257, 8]),
        ("embedding_multiplier", "I8", [1028]),
        ("final_norm", "I32", [2]),
        ("position_bias", "I32", [2, 8, 2]),
        ("frequency_exponential", "I32", [13, 2]),
    ],
)
def test_misshapen_or_mistyped_tensor(forge: Callable[..., bytes], name: str, dtype: str, shape: list[int]) -> None:
    with pytest.raises(ModelInvalid, match=f"tensor {name} is {dtype}"):
        model_from_bytes(forge(lambda header, _: header[name].update(dtype=dtype, shape=shape)))


@pytest.mark.parametrize(("dtype", "size"), [("F32", 4), ("BF16", 2), ("F64", 8), ("F8_E4M3", 1), ("U64", 8)])
def test_float_and_unknown_types_are_refused(forge: Callable[..., bytes], dtype: str, size: int) -> None:
    with pytest.raises(ModelInvalid, match=f"dtype '{dtype}'"):
        model_from_bytes(forge(lambda header, _: header["embedding"].update(dtype=dtype, shape=[257 * 16 // size])))


# ---- config, metadata, tokenizer


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("layers", 10**18, "layers must be at most"),
        ("layers", 10**25, "20 digits"),
        ("width", 10**12, "width must be at most"),
        ("feedforward", 65_537, "feedforward must be at most"),
        ("heads", 3, "multiple of heads"),
        ("heads", 0, "heads must be a positive"),
        ("window", 10**9, "window must be at most"),
        ("vocabulary_size", 10**9, "vocabulary_size must be at most"),
        ("vocabulary_size", -1, "vocabulary_size must be a positive"),
        ("vocabulary_size", True, "vocabulary_size must be a positive"),
        ("width", 16.0, "width must be a positive"),
        ("width", "16", "width must be a positive"),
        ("width", None, "width must be a positive"),
        ("tied", 1, "tied must be"),
        ("position", "rotary", "no integer form"),
        ("position", "sinusoidal", "no integer form"),
        ("position", "../../etc/passwd", "position must be one of"),
        ("position", ["relative"], "position must be one of"),
        ("color", "red", "exactly the fields"),
    ],
)
def test_impossible_config(
    forge: Callable[..., bytes], field: str, value: bool | float | str | list[str] | None, reason: str
) -> None:
    with pytest.raises(ModelInvalid, match=reason):
        model_from_bytes(forge(lambda _, metadata: metadata["config"].update({field: value})))


def test_config_with_a_field_missing(forge: Callable[..., bytes]) -> None:
    with pytest.raises(ModelInvalid, match="exactly the fields"):
        model_from_bytes(forge(lambda _, metadata: metadata["config"].pop("window")))


@pytest.mark.parametrize("config", [None, [], "x", 7])
def test_config_of_another_kind(forge: Callable[..., bytes], config: list[Any] | str | int | None) -> None:
    with pytest.raises(ModelInvalid, match="config"):
        model_from_bytes(forge(lambda _, metadata: metadata.update(config=config)))


def test_config_whose_state_would_not_fit_memory(forge: Callable[..., bytes], good: bytes) -> None:
    huge = {"layers": 1000, "width": 65_536, "heads": 64, "window": 65_536}
    data = forge(lambda _, metadata: metadata["config"].update(huge))
    with pytest.raises(LimitExceeded, match="of state a lane"):
        model_from_bytes(data)
    state = 2 * CONFIG.layers * CONFIG.window * CONFIG.width
    model_from_bytes(good, ModelLimits(state_bytes=state))
    with pytest.raises(LimitExceeded, match="of state a lane"):
        model_from_bytes(good, ModelLimits(state_bytes=state - 1))


def test_config_of_a_larger_model_than_the_file_holds(forge: Callable[..., bytes]) -> None:
    with pytest.raises(ModelInvalid, match="but the config wants"):
        model_from_bytes(forge(lambda _, metadata: metadata["config"].update(feedforward=65_536, layers=1024)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 1}, "format 1 is not supported"),
        ({"format": -1}, "not supported"),
        ({"format": "0"}, "no format number"),
        ({"format": False}, "no format number"),
        ({"extra": 1}, "exactly the fields format"),
        ({"model_id": "00"}, "64 hexadecimal digits"),
        ({"model_id": "G" * 64}, "64 hexadecimal digits"),
        ({"model_id": "A" * 64}, "64 hexadecimal digits"),
        ({"model_id": 7}, "64 hexadecimal digits"),
        ({"model_id": "0" * 64}, "damaged: its content has the id 535813a9301c6932"),
        ({"card": None}, "card does not have exactly"),
        ({"card": {"name": "x"}}, "card does not have exactly"),
        ({"self_test": None}, "self_test"),
        ({"self_test": {"tokens": [], "sha256": "0" * 64}}, "tokens"),
        ({"self_test": {"tokens": [256] + [0] * 256, "sha256": "0" * 64}}, "tokens"),
        ({"self_test": {"tokens": [256, 257], "sha256": "0" * 64}}, "outside the vocabulary"),
        ({"self_test": {"tokens": [256, -1], "sha256": "0" * 64}}, "outside the vocabulary"),
        ({"self_test": {"tokens": [256, 1.0], "sha256": "0" * 64}}, "outside the vocabulary"),
        ({"self_test": {"tokens": [0, 1], "sha256": "0" * 64}}, "only begin, with the start token"),
        ({"self_test": {"tokens": [256, 256], "sha256": "0" * 64}}, "only begin, with the start token"),
        ({"self_test": {"tokens": [256], "sha256": "no"}}, "64 hexadecimal digits"),
        ({"self_test": {"tokens": [256]}}, "self_test"),
    ],
)
def test_impossible_metadata(forge: Callable[..., bytes], change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelInvalid, match=reason):
        model_from_bytes(forge(lambda _, metadata: metadata.update(change)))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", "[" * 100_000, '{"format":0}', "\u4e2d"])
def test_metadata_that_is_not_ours(good: bytes, text: str) -> None:
    header, data = split(good)
    header["__metadata__"]["zipllm"] = text
    with pytest.raises(ModelInvalid):
        model_from_bytes(join(header, data))


def test_metadata_too_long_or_too_deep(forge: Callable[..., bytes]) -> None:
    with pytest.raises(ModelInvalid, match=r"metadata is .* bytes long"):
        model_from_bytes(forge(lambda _, metadata: metadata.update(extra="x" * 70_000)))
    with pytest.raises(ModelInvalid, match="nests deeper"):
        model_from_bytes(forge(lambda _, metadata: metadata.update(extra=[[[[1]]]])))


def with_tokenizer(good: bytes, text: bytes) -> bytes:
    """The file with another tokenizer in place of its own, which is the last tensor."""
    header, data = split(good)
    entry = header["tokenizer.json"]
    begin, end = entry["data_offsets"]
    assert end == len(data)
    entry.update(shape=[len(text)], data_offsets=[begin, begin + len(text)])
    return join(header, data[:begin] + text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"type":"byte","x":1}', "takes no parameters"),
        (b'{"type":"unigram"}', "unknown tokenizer"),
        (b"[]", "not an object"),
        (b'{"type": "byte"}', "canonical"),
        (b'{"merges":"AAAAAA==","pattern":"utf8-words-1","type":"bpe"}', "tokens, but the config says|bpe"),
        (b'{"merges":"YQBiAA==","pattern":"utf8-words-1","type":"bpe"}', "257 tokens, but the config says 256"),
        (b'{"merges":"YQBiAA=","pattern":"utf8-words-1","type":"bpe"}', "base64"),
        (b'{"merges":"//8AAA==","pattern":"utf8-words-1","type":"bpe"}', "does not exist yet"),
        (b"[[[[[[]]]]]]", "deeper"),
        (b"\xff", "ASCII"),
    ],
)
def test_impossible_tokenizer(
    good: bytes, model: Model, text: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id is made to fit, as whoever forges a file would."""
    monkeypatch.setattr("zipllm.model_file.file.compute_model_id", lambda *parts: model.model_id)
    with pytest.raises(ModelInvalid, match=reason):
        model_from_bytes(with_tokenizer(good, text))


def test_tokenizer_too_long(good: bytes) -> None:
    with pytest.raises(ModelInvalid, match="tokenizer of"):
        model_from_bytes(with_tokenizer(good, b" " * (MAX_TOKENIZER_BYTES + 1)))


@pytest.mark.parametrize("change", [{"dtype": "I8"}, {"shape": [15, 1]}])
def test_tokenizer_of_another_form(forge: Callable[..., bytes], change: dict[str, Any]) -> None:
    with pytest.raises(ModelInvalid, match="no tokenizer"):
        model_from_bytes(forge(lambda header, _: header["tokenizer.json"].update(change)))


def test_values_past_the_bounds_are_refused_though_the_id_is_right(model: Model) -> None:
    tensors = {name: tensor.clone() for name, tensor in model.integer.tensors().items()}
    tensors["query"][0, 0, 0] = -128
    hostile = TransformerParameters.from_tensors(CONFIG, tensors)
    data = model_to_bytes(build_model(CONFIG, ByteTokenizer(), hostile, CARD))
    with pytest.raises(ModelInvalid, match="query"):
        model_from_bytes(data)
