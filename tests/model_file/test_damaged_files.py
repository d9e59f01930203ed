"""Cut, flipped, random and special files: an error each time, no memory, no waiting."""

import io
import os
import socket
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model_file.conftest import CARD, CONFIG, join, random_integer_model, split
from zipllm.errors import FileError, LimitExceeded, ModelInvalid, ModelNotFound, ZipllmError
from zipllm.model_file import file
from zipllm.model_file.file import Model, build_model, load_model_file, model_from_bytes, model_to_bytes
from zipllm.model_file.limits import ModelLimits


def test_error_names_the_file(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad\x1b[31m.safetensors"
    path.write_bytes(good[:-1])
    with pytest.raises(ModelInvalid, match=r"model file '.*bad\\x1b\[31m\.safetensors': truncated"):
        load_model_file(path)


def test_embedded_model_is_named_as_such(good: bytes) -> None:
    with pytest.raises(ModelInvalid, match="'embedded model': truncated"):
        model_from_bytes(good[:-1])


def test_every_truncation_is_refused(good: bytes) -> None:
    head = 8 + int.from_bytes(good[:8], "little")
    for size in [*range(40), *range(head - 3, head + 3), *range(head, len(good), 997), len(good) - 1]:
        with pytest.raises(ModelInvalid):
            model_from_bytes(good[:size])


def test_trailing_bytes_are_refused(good: bytes) -> None:
    with pytest.raises(ModelInvalid, match="trailing data"):
        model_from_bytes(good + b"\0")


@given(st.data())
def test_a_flipped_bit_is_refused_or_harmless(good: bytes, model: Model, data: st.DataObject) -> None:
    """A bit of the header may change the card or the self-test, which the id leaves out; nothing else passes."""
    position = data.draw(st.integers(0, len(good) * 8 - 1))
    flipped = bytearray(good)
    flipped[position // 8] ^= 1 << position % 8
    try:
        loaded = model_from_bytes(bytes(flipped))
    except (ModelInvalid, LimitExceeded):
        return
    assert position // 8 < 8 + int.from_bytes(good[:8], "little")
    assert loaded.model_id == model.model_id
    assert model_to_bytes(build_model(CONFIG, loaded.tokenizer, loaded.integer, CARD)) == good


def test_every_flip_of_the_length_is_refused(good: bytes) -> None:
    for bit in range(64):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelInvalid):
            model_from_bytes(bytes(flipped))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelInvalid):
        model_from_bytes(data)


@given(st.binary(max_size=200))
def test_random_headers_are_refused(data: bytes) -> None:
    with pytest.raises(ModelInvalid):
        model_from_bytes((len(data) + 1).to_bytes(8, "little") + b"{" + data)


def test_nothing_large_is_allocated_for_a_lie(good: bytes) -> None:
    """A file of 3 GiB (as a sparse one may be) claims a tensor of that size, which the config does not want."""
    size = 3 << 30

    class Sparse(io.BytesIO):
        def readinto(self, view: Any) -> int:
            raise AssertionError("a tensor was read")

    header, _ = split(good)
    tensor = {"dtype": "I8", "shape": [size], "data_offsets": [0, size]}
    head = join({"__metadata__": header["__metadata__"], "embedding": tensor}, b"")
    tracemalloc.start()
    with pytest.raises(ModelInvalid, match="no tokenizer"):
        file._load(Sparse(head), len(head) + size, ModelLimits())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_file_larger_than_the_limit(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(good)
    with pytest.raises(LimitExceeded, match=r"model file .*more than the 100 allowed"):
        load_model_file(path, ModelLimits(file_bytes=100))
    with path.open("r+b") as stream:
        stream.truncate(5 << 30)
    with pytest.raises(LimitExceeded):
        load_model_file(path)


def test_symlink_is_followed(good: bytes, model: Model, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(good)
    (tmp_path / "link").symlink_to("real")
    assert load_model_file(tmp_path / "link").model_id == model.model_id


def test_loop_of_symlinks(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ModelInvalid, match="loop of symbolic links"):
        load_model_file(tmp_path / "a")


def test_broken_symlink(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("nowhere")
    with pytest.raises(ModelNotFound, match="no model file"):
        load_model_file(tmp_path / "a")


@pytest.mark.timeout(20)
def test_special_files_are_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for name in ("fifo", "link", ".", "/dev/zero", "/dev/null"):
        with pytest.raises(ModelInvalid, match="not a regular file"):
            load_model_file(tmp_path / name)


def test_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.bind(str(tmp_path / "s"))
        except OSError:
            pytest.skip("the temporary folder's path is too long for a socket")
        with pytest.raises(ZipllmError, match=r"cannot open|not a regular"):
            load_model_file(tmp_path / "s")


@pytest.mark.parametrize("name", ["absent", "absent/too", "a\0b", "", "f/under-a-file"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "f").write_bytes(b"")
    path = tmp_path / name if name else tmp_path / "absent"
    with pytest.raises(ModelNotFound, match="there is no model file"):
        load_model_file(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(good)
    path.chmod(0)
    with pytest.raises(FileError, match="cannot open"):
        load_model_file(path)


def test_file_that_shrinks_while_it_is_read(good: bytes) -> None:
    class Shrinking(io.BytesIO):
        def readinto(self, view: Any) -> int:
            return 0

    with pytest.raises(ModelInvalid, match="truncated in tensor"):
        file._load(Shrinking(good), len(good), ModelLimits())


def test_short_reads_are_completed(good: bytes, model: Model) -> None:
    class Slow(io.BytesIO):
        def readinto(self, view: Any) -> int:
            return super().readinto(view[:7])

    assert file._load(Slow(good), len(good), ModelLimits()).model_id == model.model_id


def test_tiny_model_itself_is_sound(model: Model) -> None:
    """The other tests prove something only if the untouched model is accepted and predicts more than one thing."""
    model_from_bytes(model_to_bytes(model))
    assert (random_integer_model(seed=1)["query"] != random_integer_model()["query"]).any()
