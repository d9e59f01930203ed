"""From the arguments of a command to the files they mean."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from zipllm.files.names import PathError, means_stdin
from zipllm.temporary import is_temporary_name

LINKS = "symbolic link"
FileId = tuple[int, int]  # device and inode: the same folder reached by two names is one folder


def expand(
    arguments: Iterable[str],
    *,
    recursive: bool,
    follow: bool,
    wanted: Callable[[str], bool],
    skipped: Counter[str] | None = None,
) -> Iterator[str | PathError]:
    """Yield the path of every file the arguments mean, and an error in the place of what cannot be walked.

    A path named by the user is yielded as it is, for ``open_source`` to judge. In a folder only regular files that
    are ``wanted`` come out, sorted by name, so that a run is repeatable. Whatever cannot be examined comes out too, as
    an error or as a path that cannot be opened.

    Args:
        arguments: paths, or ``-`` for standard input.
        recursive: walk folders; otherwise a folder is yielded too and fails when opened.
        follow: follow symbolic links met inside folders, each folder at most once.
        wanted: whether a file found in a folder matters, by its path.
        skipped: receives how many files in folders were passed over by rule, by their kind in the singular.
    """
    counts = Counter[str]() if skipped is None else skipped
    for argument in arguments:
        is_folder = recursive and not means_stdin(argument) and os.path.isdir(argument)
        if is_folder and (follow or not os.path.islink(argument)):
            yield from _walk(argument, follow, wanted, counts)
        else:
            yield argument


def skipped_line(skipped: Counter[str]) -> str:
    """Return how many files of which kind were passed over, as a line."""
    parts = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(skipped.items())]
    return "skipped: " + ", ".join(parts) + (" (-f follows links)" if skipped[LINKS] else "")


def _walk(top: str, follow: bool, wanted: Callable[[str], bool], skipped: Counter[str]) -> Iterator[str | PathError]:
    seen: set[FileId] = set()
    pending: list[tuple[str, bool]] = [(top, True)]  # a stack, not recursion: folders nest deeper than Python's stack
    while pending:
        path, is_folder = pending.pop()
        if not is_folder:
            yield path
            continue
        try:
            if not _seen_before(path, seen):
                pending.extend(reversed(_members(path, follow, wanted, skipped)))
        except OSError as error:
            yield PathError.from_os(path, error)


def _members(folder: str, follow: bool, wanted: Callable[[str], bool], skipped: Counter[str]) -> list[tuple[str, bool]]:
    """The folders and the wanted files of a folder, sorted, with whether each is a folder."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    members = []
    for entry in found:
        kind = _kind_of(entry, follow)
        if kind in ("folder", ""):
            members.append((entry.path, kind == "folder"))
        elif kind != "file":
            skipped[kind] += 1
        elif is_temporary_name(entry.name):
            skipped["unfinished file"] += 1
        elif wanted(entry.path):
            members.append((entry.path, False))
        else:
            skipped["file of another suffix"] += 1
    return members


def _kind_of(entry: os.DirEntry[str], follow: bool) -> str:
    """Return ``folder``, ``file``, a kind that is skipped, or nothing if only opening can tell what is wrong.

    The folder itself says what most entries are, even where they cannot be examined, for lack of permission or because
    their paths are too long.
    """
    try:
        if entry.is_symlink() and not follow:
            return LINKS
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        return "" if entry.is_symlink() and not os.path.exists(entry.path) else "special file"
    except OSError:
        return ""


def _seen_before(folder: str, seen: set[FileId]) -> bool:
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return True
    seen.add(identity)
    return False
