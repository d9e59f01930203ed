"""Which model codes, which decodes, and when it is loaded."""

import io
import random
from dataclasses import replace

import pytest

from tests.codec.engines import TEXT, bpe_engine, byte_engine, compress, decode, decompress
from zipllm.codec.block import setup
from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container import ArchiveReader, Block, ModelRecord
from zipllm.engine.engine import Engine
from zipllm.errors import LimitExceeded, ModelInvalid, ModelMismatch, ModelNotFound, UsageError
from zipllm.predictor.ngram import NgramPredictor
from zipllm.tokenizer.byte import ByteTokenizer


def nothing_installed(model_id: bytes) -> Engine:
    raise ModelNotFound(f"no model {model_id.hex()}")


def never() -> Engine:
    raise AssertionError("the model was loaded")


def model_records(archive: bytes) -> list[ModelRecord]:
    return [record for record in ArchiveReader(io.BytesIO(archive)) if isinstance(record, ModelRecord)]


def test_another_model_is_named_with_the_right_one() -> None:
    archive = compress(TEXT)
    with pytest.raises(ModelMismatch) as caught:
        decompress(archive, bpe_engine())
    assert byte_engine().model_id.hex() in str(caught.value)
    assert bpe_engine().model_id.hex() in str(caught.value)


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ModelNotFound, match=byte_engine().model_id.hex()):
        decompress(compress(TEXT), engines=nothing_installed)


def test_an_embedded_model_is_enough() -> None:
    archive = compress(TEXT, embed_model=True)
    assert [record.embedded for record in model_records(archive)] == [b"byte model file"]
    loaded = []

    def load(data: bytes) -> Engine:
        loaded.append(data)
        return byte_engine()

    assert decompress(archive, engines=nothing_installed, embedded=load) == TEXT
    assert loaded == [b"byte model file"]


def test_an_installed_model_goes_before_the_embedded_one() -> None:
    archive = compress(TEXT, embed_model=True)
    assert decompress(archive, embedded=lambda data: never()) == TEXT


def test_an_embedded_model_of_another_id_is_refused() -> None:
    archive = compress(TEXT, embed_model=True)
    with pytest.raises(ModelMismatch):
        decompress(archive, engines=nothing_installed, embedded=lambda data: bpe_engine())


def test_an_embedded_file_that_is_no_model() -> None:
    archive = compress(TEXT, embed_model=True)
    with pytest.raises(ModelInvalid):
        decompress(archive, engines=nothing_installed)


def test_a_model_without_a_file_cannot_be_embedded() -> None:
    with pytest.raises(UsageError, match="no file"):
        compress(TEXT, bpe_engine(), embed_model=True)


@pytest.mark.parametrize("data", [b"", b"abc", random.Random(2).randbytes(20_000)], ids=["empty", "tiny", "random"])
def test_the_model_is_not_loaded_without_need(data: bytes) -> None:
    """Neither for writing nor for reading, and then the archive does not name one."""
    sink = io.BytesIO()
    summary = compress_stream(io.BytesIO(data), sink, engine=never)
    assert summary.model_ids == ()
    assert not model_records(sink.getvalue())
    sink.seek(0)
    out = io.BytesIO()
    decompress_stream(sink, out, options=DecodeOptions(engines=lambda model_id: never()))
    assert out.getvalue() == data


def test_the_model_is_loaded_once() -> None:
    calls = []

    def load(*model_id: bytes) -> Engine:
        calls.append(1)
        return byte_engine()

    sink = io.BytesIO()
    options = EncodeOptions(block_size=50, fallback=False)
    compress_stream(io.BytesIO(TEXT), sink, engine=load, options=options)
    assert len(calls) == 1
    assert len(model_records(sink.getvalue())) == 1
    decompress(sink.getvalue(), engines=load)
    assert len(calls) == 2


def test_no_model_at_all() -> None:
    sink = io.BytesIO()
    summary = compress_stream(io.BytesIO(TEXT * 4), sink, engine=None)
    assert summary.codings == {"history": 1}
    assert decompress(sink.getvalue(), engines=nothing_installed) == TEXT * 4
    with pytest.raises(UsageError, match="needs a model"):
        compress_stream(io.BytesIO(TEXT), sink, engine=None, options=EncodeOptions(fallback=False))


def test_an_error_while_loading_passes_through() -> None:
    with pytest.raises(ModelNotFound):
        compress_stream(
            io.BytesIO(TEXT),
            io.BytesIO(),
            engine=lambda: nothing_installed(b""),
            options=EncodeOptions(fallback=False),
        )


def test_tokenizer_and_predictor_must_agree() -> None:
    with pytest.raises(ModelInvalid, match="320 tokens, the predictor 256"):
        Engine(bytes(32), bpe_engine().tokenizer, NgramPredictor(ByteTokenizer.vocabulary))


def heavy(lane_bytes: int) -> Engine:
    predictor = NgramPredictor(ByteTokenizer.vocabulary)
    predictor.lane_bytes = lane_bytes
    return replace(byte_engine(), predictor=predictor)


def test_lanes_that_take_too_much_memory_are_refused() -> None:
    """By the decoder before it allocates, and by the encoder when they are asked for."""
    archive = compress(TEXT, lanes=64)
    with pytest.raises(LimitExceeded, match="64 lanes of this model take"):
        decompress(archive, heavy(100 << 20))
    with pytest.raises(LimitExceeded, match="64 lanes of this model take"):
        compress(TEXT, heavy(100 << 20), lanes=64)


def test_default_lanes_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five by the size of the block, two by the memory that a lane takes."""
    monkeypatch.setattr(setup, "LANE_BYTES", 64)
    archive = compress(TEXT[:350], heavy(700 << 20))
    (block,) = [record for record in ArchiveReader(io.BytesIO(archive)) if isinstance(record, Block)]
    assert block.header.parameters is not None
    assert block.header.parameters.lanes == 2


def test_summary_of_both_directions() -> None:
    archive = compress(TEXT, block_size=100, embed_model=True)
    summary = decode(archive, None)
    assert summary.model_ids == (byte_engine().model_id,)
    assert summary.codings == {"model": -(-len(TEXT) // 100)}
