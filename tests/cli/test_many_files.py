"""Many files: results in a folder of their own, what is done already, what is compressed already."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import Outcome

Inside = Callable[..., Outcome]
TEXT = b"Nothing is lost, and nothing is made twice. " * 40


@pytest.fixture
def tree(folder: Path) -> Path:
    for name in ("x", "private/y", "a/b/z.log", "a/picture.jpg"):
        file = folder / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(TEXT)
        os.utime(file, (1e9, 1e9))
    (folder / "tree/private").chmod(0o700)
    return folder / "tree"


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("out", ["out", "deep/er/out", "out/"])
def test_folders_are_mirrored_and_private_ones_stay_private(inside: Inside, folder: Path, tree: Path, out: str) -> None:
    before = content(tree)
    assert inside("compress", "-3qr", "tree", "a", "--output-dir", out).error == (0, "")
    assert content(tree) == before
    names = {f"tree/{name}.zllm" for name in before} | {"a.zllm"}
    assert set(content(folder / out)) == names
    assert stat.S_IMODE((folder / out / "tree/private").stat().st_mode) == 0o700
    assert inside("decompress", "-qr", out, "--output-dir", "back").error == (0, "")
    assert content(folder / "back" / out / "tree") == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("../work/a",), 1, "../work/a.zllm: has no place below --output-dir because of '..'"),
        (("-c", "a"), 2, "leave out -o, -c and standard input"),
        (("-o", "b", "a"), 2, "leave out -o, -c and standard input"),
        (("-",), 2, "leave out -o, -c and standard input"),
        ((), 2, "leave out -o, -c and standard input"),
    ],
)
def test_names_that_have_no_place(
    inside: Inside, folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    before = content(folder)
    done = inside("compress", "-3", *arguments, "--output-dir", "out")
    assert (done.code, message in done.err) == (code, True)
    assert content(folder) == before


def test_equal_names_do_not_meet(inside: Inside, folder: Path, tree: Path) -> None:
    (tree / "a/x").write_bytes(b"another")
    absolute = str(tree / "x")
    assert inside("compress", "-3q", "tree/x", "tree/a/../a/x", absolute, "--output-dir", "out").code == 0
    assert set(content(folder / "out")) == {"tree/x.zllm", "tree/a/x.zllm", absolute[1:] + ".zllm"}


def test_a_file_in_the_way_of_a_folder(inside: Inside, tree: Path) -> None:
    assert inside("compress", "-3", "tree/x", "--output-dir", "a").error == (1, "zipllm: a/tree: Not a directory\n")


def test_what_is_done_is_passed_over(inside: Inside, folder: Path, tree: Path) -> None:
    flags = ("compress", "-3r", "tree", "--output-dir", "out", "--skip-existing")
    assert inside(*flags).code == 0
    first = content(folder / "out")
    assert inside(*flags).error == (0, "4 files skipped : done already\n")
    (tree / "x").write_bytes(b"changed")
    (tree / "new").write_bytes(b"new")
    done = inside(*flags)
    assert done.code == 1
    assert "out/tree/x.zllm: already exists, not overwritten" in done.err
    assert "4 files skipped" not in done.err
    assert content(folder / "out") == {**first, "tree/new.zllm": (folder / "out/tree/new.zllm").read_bytes()}
    assert inside(*flags, "-fq").error == (0, "")
    assert content(folder / "out")["tree/x.zllm"] != first["tree/x.zllm"]
    records = [json.loads(line) for line in inside(*flags, "--json").out.splitlines()]
    assert [record["skipped"] for record in records] == [True] * 5


def test_nothing_is_done_when_only_the_name_is_there(inside: Inside, folder: Path, tree: Path) -> None:
    (tree / "x.zllm").mkdir()
    done = inside("compress", "-3", "--skip-existing", "tree/x", "tree/a/b/z.log")
    assert (done.code, done.err.splitlines()[0]) == (1, "zipllm: tree/x.zllm: exists and is not a regular file")
    assert (tree / "a/b/z.log.zllm").exists()


def test_compressed_formats_in_folders_are_not_predicted(inside: Inside, tree: Path) -> None:
    def codings(*flags: str) -> dict[str, set[str]]:
        records = [json.loads(line) for line in inside("compress", "-3f", "--json", *flags).out.splitlines()]
        return {os.path.basename(record["file"]): set(record["codings"]) for record in records}

    found = codings("-r", "tree")
    assert found["z.log"] == {"history"}
    assert "history" not in found["picture.jpg"]
    assert codings("tree/a/picture.jpg")["picture.jpg"] == {"history"}, "named by the user"
    assert codings("-r", "tree", "--no-sample")["picture.jpg"] == {"history"}
    assert "; compressed already by its name, not predicted\n" in inside("compress", "-3fr", "tree").err
    assert inside("decompress", "-fqr", "tree").code == 0
    assert (tree / "a/picture.jpg").read_bytes() == TEXT
