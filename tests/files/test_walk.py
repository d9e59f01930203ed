"""From arguments to files."""

import inspect
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from zipllm.files.names import PathError
from zipllm.files.walk import expand, skipped_line


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/two", "b/one", "a", "b/c/three", "skip.zllm", ".hidden"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "tree"


def wanted(path: str) -> bool:
    return not path.endswith(".zllm")


def found(
    *arguments: Path | str, recursive: bool = True, follow: bool = False, skipped: Counter[str] | None = None
) -> list[str]:
    names = map(str, arguments)
    items = expand(names, recursive=recursive, follow=follow, wanted=wanted, skipped=skipped)
    return [str(item) for item in items]


def inside(tree: Path, *names: str) -> list[str]:
    return [str(tree / name) for name in names]


def test_arguments_pass_unchanged(tree: Path) -> None:
    assert found("-", tree / "skip.zllm", "missing", "") == ["-", str(tree / "skip.zllm"), "missing", ""]


def test_folder_without_recursion_passes_unchanged(tree: Path) -> None:
    assert found(tree, recursive=False) == [str(tree)]


def test_wanted_files_in_order(tree: Path) -> None:
    assert found(tree) == inside(tree, ".hidden", "a", "b/c/three", "b/one", "b/two")


def test_empty_folder(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_links_and_pipes_are_passed_over(tree: Path) -> None:
    (tree / "link").symlink_to("a")
    (tree / "folder").symlink_to("b")
    (tree / "broken").symlink_to("nothing")
    os.mkfifo(tree / "pipe")
    skipped = Counter[str]()
    assert found(tree, skipped=skipped) == inside(tree, ".hidden", "a", "b/c/three", "b/one", "b/two")
    assert skipped_line(skipped) == (
        "skipped: 1 file of another suffix, 1 special file, 3 symbolic links (-f follows links)"
    )


def test_links_are_followed_when_asked(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (tree / "folder").symlink_to(outside)
    (tree / "link").symlink_to("a")
    (tree / "broken").symlink_to("nothing")
    assert found(tree, follow=True) == inside(
        tree, ".hidden", "a", "b/c/three", "b/one", "b/two", "broken", "folder/file", "link"
    )


def test_link_as_argument(tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tree)
    assert found(link) == [str(link)]
    assert len(found(link, follow=True)) == 5


def test_circle_of_links_ends(tree: Path) -> None:
    (tree / "b" / "up").symlink_to(tree)
    assert found(tree, follow=True) == inside(tree, ".hidden", "a", "b/c/three", "b/one", "b/two")


def test_unfinished_files_are_passed_over(tree: Path) -> None:
    (tree / ".zipllm-0123456789abcdef.tmp").touch()
    assert len(found(tree)) == 5


def test_deeper_than_the_stack(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d"] * 120)
    folder.mkdir(parents=True)
    (folder / "file").touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 60)
    try:
        files = found(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert files == [str(folder / "file")]


def test_folder_that_cannot_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refuse(folder: str) -> Any:
        if folder.endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert found(tree) == [*inside(tree, ".hidden", "a"), f"{tree}/b: Permission denied"]


def test_errors_are_path_errors(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(_path: str) -> os.stat_result:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("os.path.isdir", lambda _path: True)
    monkeypatch.setattr(os, "stat", vanish)
    (item,) = expand([str(tree)], recursive=True, follow=False, wanted=lambda _path: True)
    assert isinstance(item, PathError)


def test_what_cannot_be_examined_comes_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To be opened, and to fail there: a link to nothing that is followed, paths longer than the system allows."""
    (tree / "broken").symlink_to("nothing")
    assert f"{tree}/broken" in found(tree, follow=True)
    deep = tree / "deep"
    deep.mkdir()
    monkeypatch.chdir(deep)
    for _ in range(45):
        os.mkdir("k" * 100)
        os.chdir("k" * 100)
    Path("file").touch()
    monkeypatch.chdir(tree)
    (error,) = (item for item in found("deep") if "File name too long" in item)
    assert error.startswith("deep/kkk")


def test_folder_that_may_be_listed_but_not_entered(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it can be examined; the folder itself says what is a file."""

    def refuse(_entry: object, **_options: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    class Listed:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name, self.path = entry.name, entry.path
            self.is_symlink, self.is_dir, self.is_file = entry.is_symlink, entry.is_dir, entry.is_file

        stat = refuse

    class Folder(list[Listed]):
        def __enter__(self) -> "Folder":
            return self

        def __exit__(self, *_error: object) -> None: ...

    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: Folder(map(Listed, real(path))))
    assert found(tree) == inside(tree, ".hidden", "a", "b/c/three", "b/one", "b/two")
