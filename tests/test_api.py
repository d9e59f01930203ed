"""The Python API: functions and file objects that behave like those of ``gzip`` and ``lzma``."""

import importlib
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

import zipllm
from tests.codec.engines import TEXT, bpe_engine, byte_engine
from zipllm.engine import engine as engine_module
from zipllm.engine.engine import Engine

LINES = b"first line\nsecond line\r\nthird \xff\x00 line without an end"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One model is installed, also the default: the counting one. Any other id is unknown."""

    def find(model_id: bytes, device: str = "cpu") -> Engine:
        if model_id != byte_engine().model_id:
            raise zipllm.ModelNotFound(model_id.hex())
        return byte_engine()

    def load(query: str | None = None, device: str = "cpu") -> Engine:
        names = {None: byte_engine(), "small": byte_engine(), "bpe": bpe_engine()}
        if query not in names:
            raise zipllm.ModelNotFound(str(query))
        return names[query]

    monkeypatch.setattr(engine_module, "find_engine", find)
    monkeypatch.setattr(engine_module, "load_engine", load)
    monkeypatch.setattr(engine_module, "require_model", load)


def written(path: Path, data: bytes = LINES, mode: str = "wb", **options: Any) -> Path:
    with zipllm.open(path, mode, **options) as file:
        cast(BinaryIO, file).write(data)
    return path


class TestFunctions:
    @pytest.mark.parametrize("data", [b"", b"a", TEXT, bytearray(TEXT), memoryview(TEXT)[::1]])
    def test_round_trip(self, data: bytes | bytearray | memoryview) -> None:
        assert zipllm.decompress(zipllm.compress(data)) == bytes(data)

    def test_wider_items_are_bytes(self) -> None:
        numbers = memoryview(bytes(16)).cast("I")
        assert zipllm.decompress(zipllm.compress(numbers)) == bytes(16)

    @pytest.mark.parametrize("data", ["text", None, 5])
    def test_only_bytes(self, data: Any) -> None:
        with pytest.raises(TypeError):
            zipllm.compress(data)

    def test_empty_is_small(self) -> None:
        assert len(zipllm.compress(b"")) <= 64

    def test_options(self) -> None:
        data = TEXT * 2
        archive = zipllm.compress(data, block_size=100, lanes=3, sample=False, verify=False)
        assert zipllm.decompress(archive) == data
        with pytest.raises(zipllm.UsageError):
            zipllm.compress(data, lanes=0)

    @pytest.mark.parametrize(
        ("level", "side_by_side", "expected"), [(3, None, 5), (6, None, 1), (6, False, 1), (6, True, 5)]
    )
    def test_blocks_at_a_time(
        self, monkeypatch: pytest.MonkeyPatch, level: int, side_by_side: bool | None, expected: int
    ) -> None:
        """As many as cores, unless they share one for a model on the processor."""
        seen = {}
        monkeypatch.setattr("zipllm.codec.options.usual_threads", lambda: 5)
        monkeypatch.setattr("zipllm.codec.encoder.compress_stream", lambda *_files, **named: seen.update(named))
        model = None if side_by_side is None else replace(byte_engine(), side_by_side=side_by_side)
        zipllm.compress(TEXT, level=level, model=model)
        assert seen["options"].workers == expected

    def test_limit(self) -> None:
        archive = zipllm.compress(TEXT)
        assert zipllm.decompress(archive, max_output=len(TEXT)) == TEXT
        with pytest.raises(zipllm.LimitExceeded):
            zipllm.decompress(archive, max_output=len(TEXT) - 1)

    def test_concatenated(self) -> None:
        assert zipllm.decompress(zipllm.compress(b"ab") + zipllm.compress(b"cd")) == b"abcd"

    def test_damage(self) -> None:
        archive = zipllm.compress(TEXT)
        for damaged in (b"", b"junk", b"\x1f\x8b\x08\x00", archive[:-1], archive + b"\0", archive[1:]):
            with pytest.raises(zipllm.CorruptData):
                zipllm.decompress(damaged)


class TestModels:
    """``model`` is None, a name, a path, or a loaded model."""

    def model_ids(self, archive: bytes) -> list[bytes]:
        from zipllm.container import ArchiveReader, ModelRecord

        return [record.model_id for record in ArchiveReader(io.BytesIO(archive)) if isinstance(record, ModelRecord)]

    @pytest.fixture
    def data(self) -> bytes:
        from tests.codec.test_choose import CHAIN

        return CHAIN[:4000]

    def test_default(self, data: bytes) -> None:
        archive = zipllm.compress(data, history=False)
        assert self.model_ids(archive) == [byte_engine().model_id]
        assert zipllm.decompress(archive) == data

    def test_loaded_and_by_name(self, data: bytes) -> None:
        archive = zipllm.compress(data, model=bpe_engine(), history=False)
        assert self.model_ids(archive) == [bpe_engine().model_id]
        with pytest.raises(zipllm.ModelNotFound):
            zipllm.decompress(archive)
        assert zipllm.decompress(archive, model="bpe") == data
        with pytest.raises(zipllm.ModelMismatch):
            zipllm.decompress(archive, model=byte_engine())

    def test_load_model(self) -> None:
        assert zipllm.load_model() is byte_engine()
        assert zipllm.load_model("bpe") is bpe_engine()
        with pytest.raises(zipllm.ModelNotFound, match="missing"):
            zipllm.load_model(Path("missing"))

    def test_unknown_name(self, data: bytes) -> None:
        with pytest.raises(zipllm.ModelNotFound):
            zipllm.compress(data, model="nobody")


class TestReading:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return written(tmp_path / "a.zllm")

    def test_whole(self, path: Path) -> None:
        with zipllm.open(path) as file:
            assert file.read() == LINES
            assert file.read() == b""
            assert file.readable()
            assert not file.writable()

    def test_parts(self, path: Path) -> None:
        with zipllm.open(str(path), "rb") as file:
            assert file.read(5) == b"first"
            assert file.peek(1)[:1] == b" "
            assert file.tell() == 5
            assert file.readline() == b" line\n"
            target = bytearray(6)
            assert file.readinto(target) == 6
            assert target == b"second"
            assert file.read1(3) == b" li"
            assert file.read1() == LINES[20:]

    def test_lines(self, path: Path) -> None:
        with zipllm.open(path) as file:
            assert list(file) == LINES.splitlines(keepends=True)
        with zipllm.open(path) as file:
            assert file.readlines() == LINES.splitlines(keepends=True)

    @pytest.mark.parametrize("block_size", [3, 1000])
    def test_seek(self, tmp_path: Path, block_size: int) -> None:
        path = written(tmp_path / "b.zllm", block_size=block_size)
        with zipllm.open(path) as file:
            assert file.seekable()
            for place in (20, 3, 3, 0, len(LINES), 11, 10_000):
                assert file.seek(place) == min(place, len(LINES))
                assert file.read(4) == LINES[place : place + 4]
            assert file.seek(-4, io.SEEK_END) == len(LINES) - 4
            assert file.read() == LINES[-4:]
            file.seek(2)
            assert file.seek(3, io.SEEK_CUR) == file.tell() == 5

    def test_from_an_open_file(self, path: Path) -> None:
        """The archive may begin anywhere in it; the file stays open."""
        with open(path, "rb") as plain:
            outer = io.BytesIO(b"before" + plain.read())
            outer.seek(6)
            with zipllm.open(outer) as file:
                assert file.read(3) == b"fir"
                file.seek(0)
                assert file.read() == LINES
            assert not outer.closed
            with pytest.raises(io.UnsupportedOperation):
                zipllm.open(outer).fileno()
            with zipllm.open(path) as file:
                assert file.name == str(path) or file.name == path
                assert file.fileno() > 2

    def test_from_a_pipe(self, path: Path) -> None:
        class Pipe:
            def __init__(self, data: bytes) -> None:
                self.read = io.BytesIO(data).read

        pipe: Any = Pipe(path.read_bytes())
        with zipllm.open(pipe) as file:
            assert not file.seekable()
            with pytest.raises(io.UnsupportedOperation):
                file.seek(3)
            assert file.read() == LINES

    def test_not_writable(self, path: Path) -> None:
        with zipllm.open(path) as file, pytest.raises(io.UnsupportedOperation):
            file.write(b"x")

    def test_damage_is_told_again_and_again(self, path: Path) -> None:
        """A second read must not look like the end of the file."""
        damaged = bytearray(path.read_bytes())
        damaged[-20] ^= 1
        with zipllm.open(io.BytesIO(bytes(damaged))) as file:
            for _ in range(3):
                with pytest.raises(zipllm.CorruptData):
                    file.read()

    def test_limit(self, path: Path) -> None:
        with zipllm.open(path, max_output=5) as file, pytest.raises(zipllm.LimitExceeded):
            file.read()

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            zipllm.open(tmp_path / "missing.zllm")


class TestWriting:
    def test_pieces(self, tmp_path: Path) -> None:
        path = tmp_path / "a.zllm"
        with zipllm.open(path, "wb", block_size=10) as file:
            assert file.write(b"abc") == 3
            assert file.write(memoryview(bytes(8)).cast("I")) == 8
            file.writelines([b"d", bytearray(b"e")])
            file.flush()
            assert file.tell() == 13
            assert file.writable()
            assert not file.readable()
            assert not file.seekable()
        assert zipllm.decompress(path.read_bytes()) == b"abc" + bytes(8) + b"de"

    def test_same_bytes_as_compress(self, tmp_path: Path) -> None:
        """But for the size in the header, which a stream does not know beforehand."""
        path = written(tmp_path / "a.zllm", TEXT)
        assert zipllm.decompress(path.read_bytes()) == TEXT
        assert abs(path.stat().st_size - len(zipllm.compress(TEXT))) <= 2

    def test_append(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.zllm")
        written(path, b" and more", "ab")
        assert zipllm.open(path).read() == LINES + b" and more"

    def test_exclusive(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.zllm", mode="xb")
        with pytest.raises(FileExistsError):
            zipllm.open(path, "x")
        assert zipllm.open(path).read() == LINES

    def test_nothing(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.zllm", b"")
        assert zipllm.open(path).read() == b""

    def test_not_readable(self, tmp_path: Path) -> None:
        with zipllm.open(tmp_path / "a.zllm", "w") as file:
            for method in (file.read, file.read1, file.peek, file.readline, lambda: file.seek(0)):
                with pytest.raises(io.UnsupportedOperation):
                    method()

    def test_only_bytes(self, tmp_path: Path) -> None:
        with zipllm.open(tmp_path / "a.zllm", "w") as file:
            with pytest.raises(TypeError):
                file.write("text")  # type: ignore[arg-type]
            file.write(b"bytes")
        assert zipllm.open(tmp_path / "a.zllm").read() == b"bytes"

    def test_a_block_that_fails_leaves_no_whole_archive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not even when the file is closed afterwards, as ``with`` does."""
        from zipllm.codec import block_encoding

        def fail(*arguments: object) -> None:
            raise zipllm.VerificationFailed("injected")

        sink = io.BytesIO()
        monkeypatch.setattr(block_encoding, "verify_block", fail)
        with pytest.raises(zipllm.VerificationFailed):  # noqa: SIM117
            with zipllm.open(sink, "wb", block_size=4) as file:
                file.write(b"12345")
        with pytest.raises(zipllm.CorruptData):
            zipllm.decompress(sink.getvalue())


class TestBothWays:
    @pytest.mark.parametrize("mode", ["rb", "wb"])
    def test_closed(self, tmp_path: Path, mode: str) -> None:
        file: Any = zipllm.open(written(tmp_path / "a.zllm"), mode)
        file.close()
        file.close()
        assert file.closed
        for method in (file.read, lambda: file.write(b""), file.tell, file.readable, file.fileno, file.flush):
            with pytest.raises(ValueError, match="closed"):
                method()

    @pytest.mark.parametrize("mode", ["", "q", "rw", "rbt", "r+", "U", "wbb", "rtt"])
    def test_unknown_modes(self, tmp_path: Path, mode: str) -> None:
        with pytest.raises(zipllm.UsageError, match="mode"):
            zipllm.open(tmp_path / "a.zllm", mode)
        assert not (tmp_path / "a.zllm").exists()

    def test_text(self, tmp_path: Path) -> None:
        path = tmp_path / "a.zllm"
        with zipllm.open(path, "wt", encoding="utf-16-le", newline="\r\n") as file:
            file.write("größer\n天下\n")
        assert zipllm.decompress(path.read_bytes()) == "größer\r\n天下\r\n".encode("utf-16-le")
        with zipllm.open(path, "rt", encoding="utf-16-le") as file:
            assert file.readlines() == ["größer\n", "天下\n"]

    def test_text_options_are_for_text(self, tmp_path: Path) -> None:
        with pytest.raises(zipllm.UsageError, match="for text"):
            zipllm.open(tmp_path / "a.zllm", "wb", encoding="utf-8")

    def test_options_out_of_range_open_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(zipllm.UsageError):
            zipllm.open(tmp_path / "a.zllm", "wb", lanes=0)
        assert not (tmp_path / "a.zllm").exists()

    def test_without_further_arguments(self, tmp_path: Path) -> None:
        """The class itself uses the default model and finds models by their ids."""
        file = zipllm.ZipllmFile(tmp_path / "a.zllm", "w")
        file.write(b"x" * 40)
        file.close()
        assert zipllm.ZipllmFile(tmp_path / "a.zllm").read() == b"x" * 40

    def test_is_a_file_object(self, tmp_path: Path) -> None:
        file = zipllm.open(tmp_path / "a.zllm", "wb")
        assert isinstance(file, io.BufferedIOBase)
        assert isinstance(file, zipllm.ZipllmFile)
        assert file.mode == "wb"
        file.close()


class TestPackage:
    def test_import_is_light(self) -> None:
        program = "import sys, zipllm; print([m for m in ('torch', 'numpy', 'constriction') if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_public_names(self) -> None:
        assert all(hasattr(zipllm, name) for name in zipllm.__all__)
        assert zipllm.__version__

    def test_unknown_names(self) -> None:
        with pytest.raises(AttributeError, match="zipllm"):
            _ = zipllm.nothing

    def test_errors_are_one_tree(self) -> None:
        errors = importlib.import_module("zipllm.errors")
        public = [value for value in vars(errors).values() if getattr(value, "__module__", "") == errors.__name__]
        public = [value for value in public if isinstance(value, type)]
        assert {error.__name__ for error in public} <= {*zipllm.__all__}
        assert all(issubclass(error, zipllm.ZipllmError) for error in public)


@pytest.mark.parametrize("model", ["no-such-model", Path("no/such.safetensors"), "no/such", "0123456789"])
def test_an_unknown_model_is_an_error_even_if_no_data_needs_it(
    model: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real models
    archive = zipllm.compress(b"abc", level=1)
    uses: list[Callable[[], object]] = [
        lambda: zipllm.compress(b"", model=model),
        lambda: zipllm.compress(b"abc", model=model, level=1),
        lambda: zipllm.decompress(archive, model=model),
        lambda: zipllm.open(tmp_path / "new", "wb", model=model),
        lambda: zipllm.open(io.BytesIO(archive), model=model),
    ]
    for use in uses:
        with pytest.raises(zipllm.ModelError, match="no model"):
            use()
    assert not (tmp_path / "new").exists()
