"""Which model, device, threads and coding options the flags become."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import ARCHIVE, CONTENT, archive
from zipllm.cli.compress import CompressOptions, compressor
from zipllm.cli.decompress import DecompressOptions, content_size, decompressor
from zipllm.cli.list import ListOptions, model_names
from zipllm.cli.loader import Loader
from zipllm.codec.decoder import DecodeOptions
from zipllm.codec.options import EncodeOptions
from zipllm.container import Limits
from zipllm.engine import engine as engine_module
from zipllm.errors import ModelNotFound, UsageError
from zipllm.files.source import open_source
from zipllm.jit.compiled import COMPILES


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Which engines were asked for."""
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(engine_module, "load_engine", lambda *arguments: calls.append(("load", *arguments)))
    monkeypatch.setattr(engine_module, "find_engine", lambda *arguments: calls.append(("find", *arguments)))
    return calls


def test_settings_reach_the_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr("zipllm.codec.encoder.compress_stream", lambda *_files, **named: seen.update(named))
    options = CompressOptions(block_size=1000, lanes=3, no_verify=True, no_sample=True, embed_model=True)
    compressor(options)("", io.BytesIO(), io.BytesIO(), None)
    assert seen["options"] == EncodeOptions(block_size=1000, lanes=3, verify=False, sample=False, embed_model=True)


def test_defaults_are_the_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr("zipllm.codec.encoder.compress_stream", lambda *_files, **named: seen.update(named))
    compressor(CompressOptions())("", io.BytesIO(), io.BytesIO(), None)
    assert seen["options"] == EncodeOptions()


@pytest.mark.parametrize(
    ("options", "device", "expected"),
    [
        (CompressOptions(threads=3, level=3), "cpu", 3),
        (CompressOptions(threads=3, level=3, device="cpu"), "cuda", 3),
        (CompressOptions(threads=3), "cpu", 1),
        (CompressOptions(threads=3), "cuda", 3),
        (CompressOptions(threads=3, device="cpu"), "cuda", 1),
        (CompressOptions(threads=3, device="cuda"), "cpu", 3),
        (CompressOptions(threads=99, level=1), "cpu", 16),
    ],
)
def test_how_many_blocks_are_coded_at_a_time(
    monkeypatch: pytest.MonkeyPatch, options: CompressOptions, device: str, expected: int
) -> None:
    """As many as threads, unless they share a block for a model on the CPU."""
    seen: dict[str, EncodeOptions] = {}
    monkeypatch.setattr("zipllm.machine.best_device", lambda: device)
    monkeypatch.setattr("zipllm.codec.encoder.compress_stream", lambda *_files, **named: seen.update(named))
    compressor(options)("", io.BytesIO(), io.BytesIO(), None)
    assert seen["options"].workers == expected


def test_how_many_blocks_are_decoded_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, DecodeOptions] = {}
    monkeypatch.setattr("zipllm.codec.decoder.decompress_stream", lambda *_files, **named: seen.update(named))
    decompressor(DecompressOptions(threads=3))("", io.BytesIO(), None, None)
    assert seen["options"].workers == 3


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
def test_coding_by_compiled_kernels_loads_no_torch() -> None:
    """It takes a second to import, which is a good part of what a small file takes."""
    program = (
        "import io, sys; from zipllm.cli.compress import *; from zipllm.cli.decompress import *;"
        "packed, back = io.BytesIO(), io.BytesIO(); text = b'Nothing is lost. ' * 9;"
        "where = {'model': 'small', 'device': 'cpu'};"
        "compressor(CompressOptions(**where))('', io.BytesIO(text), packed, None);"
        "decompressor(DecompressOptions(**where))('', io.BytesIO(packed.getvalue()), back, None);"
        "print(back.getvalue() == text, 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"ZIPLLM_KERNELS": "cpu"}, capture_output=True, text=True
    )
    assert (run.stdout.split(), run.stderr) == (["True", "False"], "")


def test_round_trip() -> None:
    packed, unpacked = io.BytesIO(), io.BytesIO()
    compressor(CompressOptions())("", io.BytesIO(CONTENT), packed, None)
    decompressor(DecompressOptions())("", io.BytesIO(packed.getvalue()), unpacked, None)
    assert unpacked.getvalue() == CONTENT
    assert decompressor(DecompressOptions())("", io.BytesIO(packed.getvalue()), None, None).raw_bytes == 5000


@pytest.mark.parametrize(
    ("loader", "model_id", "expected"),
    [
        (Loader(device="cpu"), None, ("load", None, "cpu")),
        (Loader(device="cpu"), b"id", ("find", b"id", "cpu")),
        (Loader("mine", "cpu"), None, ("load", "mine", "cpu")),
        (Loader("mine", "cpu"), b"id", ("load", "mine", "cpu")),
    ],
)
def test_which_model_is_loaded(
    asked: list[tuple[object, ...]], loader: Loader, model_id: bytes | None, expected: tuple[object, ...]
) -> None:
    loader.engine(model_id)
    assert asked == [expected]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_automatic_device(asked: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr("zipllm.machine.best_device", lambda: device)
    Loader().engine()
    assert asked == [("load", None, device)]


def test_missing_device(asked: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipllm.machine.best_device", lambda: "cpu")
    with pytest.raises(UsageError, match="no CUDA device"):
        Loader(device="cuda").engine()
    assert asked == []


def test_threads(asked: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr("zipllm.cli.loader.choose_threads", counts.append)
    Loader(device="cpu").engine()
    assert counts == []
    loader = Loader(device="cpu", threads=1)
    loader.engine()
    loader.engine()
    assert counts == [1], "once, not for every model"


def test_a_wrong_model_name_is_found_before_any_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(ModelNotFound, match="no-such-model"):
        compressor(CompressOptions(model="no-such-model"))
    with pytest.raises(ModelNotFound, match="no-such-model"):
        decompressor(DecompressOptions(model="no-such-model"))


def test_limits() -> None:
    assert ListOptions().limits == Limits()
    assert ListOptions(max_output=5).limits == Limits(output=5)
    assert ListOptions(max_output=5, max_memory=7).limits == Limits(
        output=5, block_raw=7, block_payload=7, model_file=7, memory=7
    )


def test_content_size(tmp_path: Path) -> None:
    path = tmp_path / "x.zllm"
    for data, size in ((ARCHIVE, 5000), (archive(CONTENT, 999) * 2, 10_000), (ARCHIVE[:-1], 5000), (b"junk", None)):
        path.write_bytes(data)
        with open_source(str(path), follow=False, special=False) as source:
            found = content_size(source)
            assert source.stream.tell() == 0
            assert source.stream.read() == data
        if data[-1:] == ARCHIVE[-1:] or size is None:
            assert found == size
    with open_source("/dev/null", follow=False, special=True) as source:
        assert content_size(source) is None


def test_model_names_come_from_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert all(len(model_id) == 32 for model_id in model_names())
