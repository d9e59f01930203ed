"""Results appear whole under their name, with the right mode, or not at all."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.files.conftest import MTIME_NS
from zipllm.files.names import PathError
from zipllm.files.output import FileOutput, create_output, is_standard_output
from zipllm.files.source import Source
from zipllm.temporary import create_temporary, discard_all, is_temporary_name

OLD = b"older content"


def write(path: Path, source: Source, data: bytes = b"result", *, force: bool = False) -> None:
    with create_output(str(path), source, force=force) as output:
        output.stream.write(data)
        output.commit()


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def raising(number: int) -> Callable[..., None]:
    def fail(*_arguments: object, **_named: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_result_appears_with_mode_and_time_of_the_source(source: Source, tmp_path: Path) -> None:
    target = tmp_path / "target"
    write(target, source)
    assert target.read_bytes() == b"result"
    assert mode(target) == 0o640
    assert target.stat().st_mtime_ns == MTIME_NS
    assert target.stat().st_nlink == 1
    assert names(tmp_path) == {"source", "target"}


def test_private_while_it_is_written(source: Source, tmp_path: Path) -> None:
    with create_output(str(tmp_path / "target"), source, force=False) as output:
        output.stream.write(b"secret")
        output.stream.flush()
        (temporary,) = names(tmp_path) - {"source"}
        assert is_temporary_name(temporary)
        assert mode(tmp_path / temporary) == 0o600
        assert (tmp_path / temporary).read_bytes() == b"secret"
    assert names(tmp_path) == {"source"}


def test_special_bits_are_dropped(file: Path, source: Source, tmp_path: Path) -> None:
    file.chmod(0o6755)
    status = os.stat(file)
    write(tmp_path / "target", Source(source.path, source.stream, status))
    assert mode(tmp_path / "target") == 0o755


def test_group_rights_are_dropped_when_the_group_cannot_be_kept(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fchown", raising(errno.EPERM))
    write(tmp_path / "target", source)
    assert mode(tmp_path / "target") == 0o600  # source: 0640, and another group now would read it


def test_umask_decides_for_a_source_without_a_mode(piped: Source, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "target", piped)
        assert os.umask(0o027) == 0o027, "the mask is as it was"
    finally:
        os.umask(before)
    assert mode(tmp_path / "target") == 0o640


def test_file_systems_without_modes_and_times_still_get_the_content(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fchmod", raising(errno.EPERM))
    monkeypatch.setattr(os, "utime", raising(errno.EPERM))
    monkeypatch.setattr(os, "fsync", raising(errno.EINVAL))
    write(tmp_path / "target", source)
    assert (tmp_path / "target").read_bytes() == b"result"
    assert mode(tmp_path / "target") == 0o600


def test_failing_disk(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", raising(errno.EIO))
    with pytest.raises(PathError, match="target: Input/output error"):
        write(tmp_path / "target", source)
    assert names(tmp_path) == {"source"}


def test_nothing_is_left_without_commit(source: Source, tmp_path: Path) -> None:
    with pytest.raises(KeyError), create_output(str(tmp_path / "target"), source, force=False) as output:
        output.stream.write(b"half")
        raise KeyError
    assert names(tmp_path) == {"source"}


def test_existing_file_needs_force(source: Source, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(OLD)
    with pytest.raises(PathError, match="target: already exists, not overwritten") as caught:
        write(target, source)
    assert "-f" in caught.value.hint
    assert target.read_bytes() == OLD
    write(target, source, force=True)
    assert target.read_bytes() == b"result"
    assert names(tmp_path) == {"source", "target"}


def test_forced_failure_keeps_the_old_file(source: Source, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(OLD)
    with pytest.raises(KeyError), create_output(str(target), source, force=True) as output:
        output.stream.write(b"half")
        raise KeyError
    assert target.read_bytes() == OLD


def test_file_that_came_meanwhile_is_not_replaced(source: Source, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(PathError, match="already exists"), create_output(str(target), source, force=False) as output:
        output.stream.write(b"late")
        target.write_bytes(OLD)
        output.commit()
    assert target.read_bytes() == OLD
    assert names(tmp_path) == {"source", "target"}


@pytest.mark.parametrize("meanwhile", [False, True])
def test_file_systems_without_hard_links(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: bool
) -> None:
    monkeypatch.setattr(os, "link", raising(errno.EPERM))
    target = tmp_path / "target"
    with create_output(str(target), source, force=False) as output:
        output.stream.write(b"result")
        if meanwhile:
            target.write_bytes(OLD)
            with pytest.raises(PathError, match="already exists"):
                output.commit()
        else:
            output.commit()
    assert target.read_bytes() == (OLD if meanwhile else b"result")
    assert names(tmp_path) == {"source", "target"}


def test_link_is_replaced_not_followed(source: Source, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(OLD)
    target = tmp_path / "target"
    target.symlink_to(other)
    with pytest.raises(PathError, match="already exists"):
        write(target, source)
    write(target, source, force=True)
    assert not target.is_symlink()
    assert other.read_bytes() == OLD


def test_link_to_nothing_is_an_existing_file(source: Source, tmp_path: Path) -> None:
    (tmp_path / "target").symlink_to("nothing")
    with pytest.raises(PathError, match="already exists"):
        write(tmp_path / "target", source)
    assert names(tmp_path) == {"source", "target"}


@pytest.mark.parametrize("kind", ["itself", "hard link", "symbolic link"])
def test_the_source_is_never_the_target(source: Source, file: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "itself":
        target = file
    elif kind == "hard link":
        target.hardlink_to(file)
    else:
        target.symlink_to(file)
    with pytest.raises(PathError, match="is the input itself"):
        write(target, source, force=True)


def test_hard_links_of_the_source_are_untouched(source: Source, file: Path, tmp_path: Path) -> None:
    (tmp_path / "second name").hardlink_to(file)
    write(tmp_path / "target", source)
    assert file.stat().st_nlink == 2


def test_folder_as_target(source: Source, tmp_path: Path) -> None:
    with pytest.raises(PathError, match="exists and is not a regular file"):
        write(tmp_path, source, force=True)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("missing/target", "No such file or directory"),
        ("source/target", "Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_target_that_cannot_be(source: Source, tmp_path: Path, target: str, reason: str) -> None:
    with pytest.raises(PathError, match=f": {reason}$"):
        write(tmp_path / target, source)
    assert names(tmp_path) == {"source"}


def test_empty_target_name(source: Source) -> None:
    with pytest.raises(PathError, match="^'': is no name for a file$"):
        create_output("", source, force=False)


def test_target_in_the_current_folder(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("target"), source)
    assert names(tmp_path) == {"source", "target"}


@pytest.mark.parametrize("name", ["line\nbreak", "\x1b[31mred", "[red]", "raw\udcff", " ", "-rf"])
def test_odd_names(source: Source, tmp_path: Path, name: str) -> None:
    write(tmp_path / name, source)
    assert names(tmp_path) == {"source", name}


def test_device_is_written_directly(source: Source, tmp_path: Path) -> None:
    with create_output("/dev/null", source, force=False) as output:
        output.stream.write(b"gone")
        output.commit()
        assert not output.keeps
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_full_device(source: Source) -> None:
    with create_output("/dev/full", source, force=False) as output:
        output.stream.write(b"more than nothing")
        with pytest.raises(PathError, match="^/dev/full: No space left on device$"):
            output.commit()


def test_full_device_after_an_error(source: Source) -> None:
    with pytest.raises(KeyError), create_output("/dev/full", source, force=False) as output:
        output.stream.write(b"more than nothing")
        raise KeyError  # and closing does not replace this error by its own


def test_pipe_is_written_directly(source: Source, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    write(fifo, source)
    reader.join()
    assert received == [b"result"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_reader_that_goes_away(source: Source, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with create_output(str(fifo), source, force=False) as output:
        os.close(reader)
        output.stream.write(b"nobody")
        with pytest.raises(BrokenPipeError):
            output.commit()


def test_standard_output_by_any_name() -> None:
    assert all(map(is_standard_output, ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]))
    assert not is_standard_output("stdout")


def test_temporary_name_is_never_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter(["link", "file", "free"])
    monkeypatch.setattr("secrets.token_hex", lambda _size: next(tokens))
    (tmp_path / ".zipllm-file.tmp").write_bytes(OLD)
    (tmp_path / ".zipllm-link.tmp").symlink_to("elsewhere")
    descriptor, path = create_temporary(str(tmp_path))
    os.close(descriptor)
    assert Path(path).name == ".zipllm-free.tmp"
    discard_all()
    assert names(tmp_path) == {".zipllm-file.tmp", ".zipllm-link.tmp"}
    assert (tmp_path / ".zipllm-file.tmp").read_bytes() == OLD


def test_folder_that_cannot_be_synced(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse_folders(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse_folders)
    write(tmp_path / "target", source)
    assert (tmp_path / "target").exists()


def test_closing_twice_is_harmless(source: Source, tmp_path: Path) -> None:
    output = FileOutput(str(tmp_path / "target"), source, force=False)
    with output:
        output.commit()
    with output:
        pass
    assert (tmp_path / "target").exists()
