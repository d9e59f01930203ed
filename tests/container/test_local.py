"""The LOCAL record: an archive whose model computes in the floats of one machine."""

import hashlib
import io
import struct
from dataclasses import replace
from enum import IntEnum
from zlib import crc32

import pytest

from tests.container.archives import LOCAL, MODEL_ID, NUMERICS, archive, modeled, records, stored
from zipllm.container import ModelHeader, ModelRecord, read_payload, scan
from zipllm.container import record as record_module
from zipllm.container.record import seal
from zipllm.container.survey import Survey
from zipllm.errors import CorruptData, UnsupportedData, UsageError


def test_local_layout() -> None:
    expected = seal(b"L\x25\x0d" + hashlib.sha256(NUMERICS).digest() + struct.pack("<I", crc32(NUMERICS)))
    assert LOCAL.header().encode() == expected
    assert archive([modeled(b"raw", b"words")], b"raw", LOCAL).count(expected + NUMERICS) == 1


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (replace(LOCAL, embedded=b"file"), "has no file"),
        (replace(LOCAL, model_id=MODEL_ID), "is not the SHA-256"),
        (ModelRecord(hashlib.sha256(b"").digest(), numerics=b""), "0 bytes; it must have 1 to 65535"),
        (ModelRecord(hashlib.sha256(bytes(65536)).digest(), numerics=bytes(65536)), "65536 bytes; it must"),
    ],
)
def test_local_that_contradicts_itself(model: ModelRecord, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        model.header()


def test_local_that_is_damaged() -> None:
    data = archive([modeled(b"raw", b"words")], b"raw", LOCAL)
    with pytest.raises(CorruptData, match="record of the machine is damaged"):
        records(data.replace(NUMERICS, NUMERICS[:-2] + b"2}"))
    other = replace(LOCAL.header(), model_id=MODEL_ID).encode() + NUMERICS
    with pytest.raises(CorruptData, match="not the SHA-256 of the record of the machine"):
        records(data.replace(LOCAL.header().encode() + NUMERICS, other))


def test_local_comes_once_and_not_beside_model() -> None:
    data = archive([modeled(b"raw", b"words")], b"raw", LOCAL)
    one = LOCAL.header().encode() + NUMERICS
    for two in (
        one + one,
        one + ModelRecord(MODEL_ID).header().encode(),
        ModelRecord(MODEL_ID).header().encode() + one,
    ):
        with pytest.raises(CorruptData, match="a second model"):
            records(data.replace(one, two))


def test_a_reader_of_before_refuses_local_as_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive([stored(b"raw")], b"raw", LOCAL)
    monkeypatch.setattr(record_module, "RecordType", IntEnum("RecordType", {"BLOCK": 66, "END": 69, "MODEL": 77}))
    with pytest.raises(UnsupportedData, match="unknown type 0x4c"):
        records(data)


def test_scan_and_survey_find_it() -> None:
    data = archive([modeled(b"raw", b"words")], b"raw", LOCAL)
    source = io.BytesIO(data)
    (found,) = (item for item in scan(source) if isinstance(item.record, ModelHeader))
    assert found.record == LOCAL.header()
    assert read_payload(source, found) == NUMERICS
    damaged = Survey(io.BytesIO(data.replace(b"\x89ZLM", b"\x89ZLN", 1)), 0)
    assert next(damaged.records()) == found
