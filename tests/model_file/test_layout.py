"""The strict safetensors reader: every lie a header can tell."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from zipllm.errors import LimitExceeded, ModelInvalid
from zipllm.model_file.layout import Header, parse_header, read_header, write_header
from zipllm.model_file.limits import MAX_HEADER_BYTES, MAX_TENSOR_NAME_BYTES, MAX_TENSORS, ModelLimits

METADATA = {"__metadata__": {"zipllm": "x"}}


def tensor(start: int, stop: int, dtype: object = "I8", shape: object = None) -> dict[str, object]:
    return {"dtype": dtype, "shape": [stop - start] if shape is None else shape, "data_offsets": [start, stop]}


def parse(tensors: Mapping[str, object], data_bytes: int = 8, metadata: Mapping[str, object] = METADATA) -> Header:
    return parse_header(json.dumps({**metadata, **tensors}).encode(), data_bytes)


def read(data: bytes, limits: ModelLimits | None = None) -> Header:
    return read_header(io.BytesIO(data), len(data), limits or ModelLimits())


def test_entries_come_in_file_order() -> None:
    header = parse({"b": tensor(4, 8), "a": tensor(0, 4, "I32", [1])})
    assert [(e.name, e.dtype, e.shape, e.start, e.stop) for e in header.entries] == [
        ("a", "I32", (1,), 0, 4),
        ("b", "I8", (4,), 4, 8),
    ]
    assert header.metadata == "x"


def test_written_file_equals_the_librarys() -> None:
    arrays: dict[str, NDArray[Any]] = {
        "z": np.arange(6, dtype=np.int8).reshape(2, 3),
        "a": np.arange(3, dtype=np.uint8),
        "wide": np.array([-(1 << 62)], dtype=np.int64),
        "b": np.array([1, 2], dtype=np.int32),
        "half": np.array([5], dtype=np.int16),
    }
    names = {"int8": "I8", "uint8": "U8", "int64": "I64", "int32": "I32", "int16": "I16"}
    shapes = {name: (names[str(array.dtype)], array.shape) for name, array in arrays.items()}
    head, order = write_header(shapes, '{"q":1}')
    written = head + b"".join(arrays[name].tobytes() for name in order)
    assert written == safetensors.numpy.save(arrays, {"zipllm": '{"q":1}'})
    assert [entry.name for entry in read(written).entries] == list(order) == ["wide", "b", "half", "z", "a"]


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"a": tensor(0, 4)}, "trailing data"),
        ({}, "trailing data"),
        ({"a": tensor(0, 9)}, "truncated"),
        ({"a": tensor(0, 1 << 40)}, "truncated"),
        ({"a": tensor(1, 8)}, "hole"),
        ({"a": tensor(0, 4), "b": tensor(5, 8)}, "hole"),
        ({"a": tensor(0, 5), "b": tensor(4, 8)}, "overlap"),
        ({"a": tensor(0, 8), "b": tensor(0, 8)}, "overlap"),
        ({"a": tensor(8, 0, shape=[8])}, "do not hold"),
        ({"a": tensor(0, 8, shape=[9])}, "do not hold"),
        ({"a": tensor(0, 8, "I32", [8])}, "do not hold"),
        ({"a": tensor(0, 8, shape=[1 << 32, 1 << 32])}, "do not hold"),
        ({"a": tensor(0, 8, shape=[8, 0])}, "positive sizes"),
        ({"a": tensor(0, 8, shape=[])}, "positive sizes"),
        ({"a": tensor(0, 8, shape=[-8])}, "positive sizes"),
        ({"a": tensor(0, 8, shape=[-2, -4])}, "positive sizes"),
        ({"a": tensor(0, 8, shape=[8.0])}, "positive sizes"),
        ({"a": tensor(0, 8, shape=[8, True])}, "positive sizes"),
        ({"a": tensor(0, 8, shape=[8, *[1] * 8])}, "positive sizes"),
        ({"a": tensor(0, 8, shape="8")}, "positive sizes"),
        ({"a": tensor(0, 8, shape=[1 << 63])}, "positive sizes"),
        ({"a": tensor(0, 8, "F32", [2])}, "dtype 'F32'"),
        ({"a": tensor(0, 8, "BF16", [4])}, "dtype 'BF16'"),
        ({"a": tensor(0, 8, "BOOL")}, "dtype 'BOOL'"),
        ({"a": tensor(0, 8, "i8")}, "dtype 'i8'"),
        ({"a": tensor(0, 8, ["I8"])}, "dtype"),
        ({"a": tensor(0, 8, 7)}, "dtype"),
        ({"a": {**tensor(0, 8), "data_offsets": [0, 8, 8]}}, "data_offsets"),
        ({"a": {**tensor(0, 8), "data_offsets": [-8, 0]}}, "data_offsets"),
        ({"a": {**tensor(0, 8), "data_offsets": [0.0, 8.0]}}, "data_offsets"),
        ({"a": {**tensor(0, 8), "data_offsets": None}}, "data_offsets"),
        ({"a": {**tensor(0, 8), "extra": 1}}, "exactly dtype"),
        ({"a": {"dtype": "I8", "shape": [8]}}, "exactly dtype"),
        ({"a": []}, "exactly dtype"),
        ({"": tensor(0, 8)}, "tensor name"),
        ({"a/../b": tensor(0, 8)}, "tensor name"),
        ({"a\n": tensor(0, 8)}, "tensor name"),
        ({"\x1b[31m": tensor(0, 8)}, "tensor name"),
        ({"n" * (MAX_TENSOR_NAME_BYTES + 1): tensor(0, 8)}, "tensor name"),
    ],
)
def test_header_that_does_not_match_its_data_is_refused(tensors: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelInvalid, match=reason):
        parse(tensors)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"__metadata__": None},
        {"__metadata__": {}},
        {"__metadata__": {"zipllm": 1}},
        {"__metadata__": {"format": "pt"}},
        {"__metadata__": {"zipllm": "x", "format": "pt"}},
    ],
)
def test_metadata_must_be_one_string(metadata: dict[str, Any]) -> None:
    with pytest.raises(ModelInvalid, match="not a zipllm model file"):
        parse({"a": tensor(0, 8)}, metadata=metadata)


def test_longest_name_and_most_tensors_are_accepted_and_one_more_is_not() -> None:
    parse({"n" * MAX_TENSOR_NAME_BYTES: tensor(0, 8)})
    many = {f"t{i}": tensor(i, i + 1) for i in range(MAX_TENSORS)}
    assert len(parse(many, MAX_TENSORS).entries) == MAX_TENSORS
    with pytest.raises(ModelInvalid, match="4097 tensors"):
        parse({**many, "one_more": tensor(MAX_TENSORS, MAX_TENSORS + 1)}, MAX_TENSORS + 1)


def test_repeated_tensor_name_is_refused() -> None:
    raw = b'{"__metadata__":{"zipllm":"x"},"a":%s,"a":%s}' % ((json.dumps(tensor(0, 8)).encode(),) * 2)
    with pytest.raises(ModelInvalid, match="repeated"):
        parse_header(raw, 8)


@pytest.mark.parametrize("raw", [b"[]", b"null", b" {}", b"\x00" * 8, b'"{}"', b""])
def test_header_must_be_an_object(raw: bytes) -> None:
    with pytest.raises(ModelInvalid, match="not a model file"):
        parse_header(raw, 0)


@pytest.mark.parametrize("size", range(10))
def test_file_shorter_than_any_header(size: int) -> None:
    with pytest.raises(ModelInvalid, match="too few"):
        read(bytes(size))


@pytest.mark.parametrize("length", [MAX_HEADER_BYTES + 1, 100_000_000, 1 << 32, 1 << 63, (1 << 64) - 1])
def test_huge_header_length_is_refused_before_reading(length: int) -> None:
    class Unreadable(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size <= 8
            return super().read(size)

    data = length.to_bytes(8, "little") + b"{}" * 8
    with pytest.raises(ModelInvalid, match=f"claims {length} bytes"):
        read_header(Unreadable(data), 1 << 40, ModelLimits(file_bytes=1 << 50))


def test_header_longer_than_the_file() -> None:
    with pytest.raises(ModelInvalid, match="truncated: header claims 17 bytes, but only 16 follow"):
        read((17).to_bytes(8, "little") + b"{}" * 8)


def test_stream_that_ends_in_the_header() -> None:
    with pytest.raises(ModelInvalid, match="truncated while reading"):
        read_header(io.BytesIO((17).to_bytes(8, "little") + b"{"), 100, ModelLimits())


def test_file_size_limit_is_inclusive_and_its_own_error() -> None:
    head, _ = write_header({"a": ("I8", (8,))}, "x")
    data = head + bytes(8)
    read(data, ModelLimits(file_bytes=len(data)))
    with pytest.raises(LimitExceeded, match="more than the"):
        read(data, ModelLimits(file_bytes=len(data) - 1))
