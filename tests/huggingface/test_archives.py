"""Archives by Hugging Face models: they come back on this machine, and only where the same floats are computed."""

import hashlib
import io
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zipllm
from tests.huggingface.fixtures import folders
from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.levels import encode_options
from zipllm.container import ArchiveReader, BlockHeader, Coding, ModelRecord, scan
from zipllm.engine.engine import Engine, huggingface_engine
from zipllm.errors import CorruptData, ModelMismatch, ModelNotFound, UsageError, VerificationFailed
from zipllm.generate.generation import RandomBits, from_words, sample
from zipllm.generate.sampling import Randomness, Sampling
from zipllm.huggingface import numerics
from zipllm.huggingface.predictor import HuggingFacePredictor
from zipllm.measure.explanation import explain_bytes
from zipllm.measure.rates import evaluate_stream

ROOT = Path(__file__).parents[2]
TEXT = ("To be, or not to be: that is the question. 学而时习之 " * 3).encode() + b"\xff\x00\xfe"


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return huggingface_engine(f"hf:{request.getfixturevalue(request.param)}")


@pytest.fixture(scope="module")
def small(gpt2: Path) -> Engine:
    return huggingface_engine(f"hf:{gpt2}")


def forced(engine: Engine, raw: bytes, **options: Any) -> bytes:
    """An archive with every block coded by the model, which loses against the history, being random."""
    sink = io.BytesIO()
    wanted = encode_options(same_machine=True, fallback=False, **options)
    summary = compress_stream(io.BytesIO(raw), sink, engine=engine, options=wanted)
    assert not summary.portable or not raw
    return sink.getvalue()


@pytest.mark.parametrize("raw", [b"", b"a", TEXT, bytes(range(256))], ids=len)
def test_round_trip(engine: Engine, raw: bytes) -> None:
    assert zipllm.decompress(forced(engine, raw), model=engine) == raw


@pytest.mark.parametrize(
    "options", [{"history": False}, {"lanes": 3}, {"lanes": 3, "history": False}, {"block_size": 50}], ids=str
)
def test_round_trip_with_options(small: Engine, options: dict[str, object]) -> None:
    assert zipllm.decompress(forced(small, TEXT, **options), model=small) == TEXT


def test_another_process_reads_it(gpt2: Path, small: Engine, tmp_path: Path) -> None:
    raw = bytes(random.Random(5).choices(TEXT, k=700))
    (tmp_path / "archive").write_bytes(forced(small, raw))
    program = (
        "import sys, torch, zipllm; torch.set_num_threads(int(sys.argv[3])); "
        "sys.stdout.buffer.write(zipllm.decompress(open(sys.argv[1], 'rb').read(), model='hf:' + sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "archive"), str(gpt2), str(torch.get_num_threads())]
    done = subprocess.run(command, capture_output=True, timeout=200, cwd=ROOT, check=False)
    assert done.stderr == b""
    assert done.stdout == raw


def test_what_the_archive_says(small: Engine) -> None:
    data = forced(small, TEXT, block_size=100)
    records = list(ArchiveReader(io.BytesIO(data)))
    (model,) = (record for record in records if isinstance(record, ModelRecord))
    assert model.numerics is not None
    assert model.model_id == small.model_id == hashlib.sha256(model.numerics).digest()
    record = json.loads(model.numerics)
    assert record["architecture"] == "GPT2LMHeadModel"
    assert (record["context"], record["kept"], record["device"]) == (32, 16, "cpu")
    assert record["threads"] == torch.get_num_threads()
    assert {"probe", "model", "torch", "transformers", "processor", "instructions", "dtype", "flags"} <= set(record)
    assert json.dumps(record, sort_keys=True, separators=(",", ":")).encode() == model.numerics
    assert str(ROOT) not in str(record)


def test_only_when_asked_for(small: Engine) -> None:
    with pytest.raises(UsageError, match="decode on this machine only"):
        zipllm.compress(TEXT, model=small)
    with (
        pytest.raises(UsageError, match="decode on this machine only"),
        zipllm.open(io.BytesIO(), "w", model=small) as f,
    ):
        f.write(TEXT)
    with pytest.raises(UsageError, match="always verified"):
        zipllm.compress(TEXT, model=small, same_machine=True, verify=False)
    with pytest.raises(UsageError, match="cannot be put into an archive"):
        zipllm.compress(TEXT, model=small, same_machine=True, embed_model=True)


def test_a_random_model_is_not_taken(small: Engine) -> None:
    """Blocks are coded by what makes them smallest, the description of the machine included; then all is portable."""
    for raw in (TEXT, TEXT * 20, random.Random(1).randbytes(500)):
        data = zipllm.compress(raw, model=small, same_machine=True)
        codings = {item.record.coding for item in scan(io.BytesIO(data)) if isinstance(item.record, BlockHeader)}
        assert Coding.MODEL not in codings
        assert zipllm.decompress(data) == raw
        assert len(data) <= len(raw) + 80


def test_as_a_file(small: Engine) -> None:
    sink = io.BytesIO()
    with zipllm.open(sink, "w", model=small, same_machine=True) as file:
        file.write(TEXT)
    with zipllm.open(io.BytesIO(sink.getvalue()), model=small) as file:
        assert file.read() == TEXT
    with zipllm.open(io.BytesIO(forced(small, TEXT, block_size=40)), model=small) as file:
        file.seek(100)
        assert file.read(7) == TEXT[100:107]


def test_without_the_model(small: Engine) -> None:
    with pytest.raises(ModelNotFound, match=r"not portable: .* \(--model hf:FOLDER\)"):
        zipllm.decompress(forced(small, TEXT))


def test_with_another_model(small: Engine, llama: Path) -> None:
    with pytest.raises(ModelMismatch, match="architecture GPT2LMHeadModel there, LlamaForCausalLM here; context 32"):
        zipllm.decompress(forced(small, TEXT), model=f"hf:{llama}")
    with pytest.raises(ModelMismatch, match="the model given is"):
        zipllm.decompress(forced(small, TEXT), model="nano")


def test_with_other_weights(small: Engine, gpt2: Path, tmp_path: Path) -> None:
    other = folders().save_gpt2(tmp_path / "other")
    folders().change_config(other, layer_norm_epsilon=1e-4)
    with pytest.raises(ModelMismatch, match=r"computed: model [0-9a-f]{16}\.\.\. there, [0-9a-f]{16}\.\.\. here \("):
        zipllm.decompress(forced(small, TEXT), model=f"hf:{other}")


@pytest.fixture
def threads() -> Iterator[int]:
    """One more thread than before."""
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    yield before
    torch.set_num_threads(before)


def test_with_another_number_of_threads(small: Engine, gpt2: Path, threads: int) -> None:
    """Named, before anything is decoded."""
    with pytest.raises(ModelMismatch, match=f"threads {threads} there, {threads + 1} here"):
        zipllm.decompress(forced(small, TEXT), model=huggingface_engine(f"hf:{gpt2}"))


def test_with_other_floats(small: Engine, gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is known is the same, and the floats are not: only the sample of them tells."""
    plain = HuggingFacePredictor._ask

    def shifted(self: HuggingFacePredictor, ids: list[int], **memory: object) -> object:
        said = plain(self, ids, **memory)
        said.logits = said.logits.clone()
        said.logits[..., 7] *= 1 + 1e-6
        return said

    monkeypatch.setattr(HuggingFacePredictor, "_ask", shifted)
    other = huggingface_engine(f"hf:{gpt2}")
    monkeypatch.undo()
    with pytest.raises(ModelMismatch, match=r"computed: probe [0-9a-f]{16}\.\.\. there, [0-9a-f]{16}\.\.\. here \("):
        zipllm.decompress(forced(small, TEXT), model=other)


def test_what_does_not_come_back_is_not_written(gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that computes other floats the second time."""
    engine = huggingface_engine(f"hf:{gpt2}")
    plain, calls = HuggingFacePredictor._ask, []

    def drifting(self: HuggingFacePredictor, ids: list[int], **memory: object) -> object:
        calls.append(ids)
        said = plain(self, ids, **memory)
        said.logits = said.logits.clone()
        said.logits[..., 7] += 1e-3 * len(calls)
        return said

    monkeypatch.setattr(HuggingFacePredictor, "_ask", drifting)
    with pytest.raises(VerificationFailed, match="a model block that was just coded"):
        forced(engine, TEXT * 3)


def test_damage(small: Engine) -> None:
    data = forced(small, TEXT)
    for place in range(40, len(data), 61):
        spoilt = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        with pytest.raises(CorruptData):
            zipllm.decompress(spoilt, model=small)


def test_a_hostile_record_is_only_shown() -> None:
    record = numerics.read_record(json.dumps({"a" * 99: "\x1b[31m" + "b" * 999, "threads": 3}).encode())
    assert record == {"a" * 40: "\x1b[31m" + "b" * 195, "threads": 3}
    told = numerics.differences(record, {"threads": 3, "probe": "x"})
    assert "threads" not in told
    assert "there, none here" in told
    assert numerics.differences({"probe": "x"}, {"probe": "y"}) == "probe x there, y here"


def test_evaluation_is_the_archive_s_payload(small: Engine) -> None:
    raw = TEXT * 2
    data = forced(small, raw, history=False)
    (block,) = (item.record for item in scan(io.BytesIO(data)) if isinstance(item.record, BlockHeader))
    found = evaluate_stream(io.BytesIO(raw), small, encode_options(same_machine=True))
    assert abs(found.bits / 8 - block.payload_size) < 0.002 * block.payload_size + 8


def test_explanation_adds_up(engine: Engine) -> None:
    found = explain_bytes(TEXT, engine, by="model", options=encode_options(same_machine=True))
    assert found.coding is Coding.MODEL
    assert found.model_id == engine.model_id
    assert 0 <= 8 * found.payload_bytes - found.bits < 72
    assert b"".join(found.vocabulary[token] for token in found.costs.tokens.tolist()) == TEXT


def test_generation(engine: Engine) -> None:
    """The same seed gives the same bytes, and random bits come back when they are encoded again."""
    draws = [
        [next(tokens) for _ in range(40)]
        for tokens in (sample(engine, b"to be", Sampling(seed=3)), sample(engine, b"to be", Sampling(seed=3)))
    ]
    assert draws[0] == draws[1]
    coder = RandomBits(Randomness(1).words)
    tokens = [token for _, token in zip(range(20), from_words(engine, b"", coder), strict=False)]
    text = engine.tokenizer.decode(tokens)
    assert np.isfinite(coder.bits)
    assert coder.bits > 20
    assert text


def test_streams(small: Engine) -> None:
    sink = io.BytesIO()
    summary = decompress_stream(
        io.BytesIO(forced(small, TEXT) * 2), sink, options=DecodeOptions(engines=lambda model_id: small)
    )
    assert sink.getvalue() == TEXT * 2
    assert summary.model_ids == (small.model_id,)
