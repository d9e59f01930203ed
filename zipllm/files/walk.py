"""From the arguments of a command to the files they mean."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator

from zipllm.files.names import STDIN, PathError
from zipllm.temporary import is_temporary_name

FileId = tuple[int, int]  # device and inode: the same folder reached by two names is one folder


def expand(
    arguments: Iterable[str], *, recursive: bool, follow: bool, wanted: Callable[[str], bool]
) -> Iterator[str | PathError]:
    """Yield the path of every file the arguments mean, and an error in the place of what cannot be walked.

    A path named by the user is yielded as it is, for ``open_source`` to judge. In a folder only regular files that
    are ``wanted`` come out, sorted by name, so that a run is repeatable; other kinds are passed over in silence.

    Args:
        arguments: paths, or ``-`` for standard input.
        recursive: walk folders; otherwise a folder is yielded too and fails when opened.
        follow: follow symbolic links met inside folders, each folder at most once.
        wanted: whether a file found in a folder matters, by its path.
    """
    for argument in arguments:
        if recursive and argument != STDIN and os.path.isdir(argument) and (follow or not os.path.islink(argument)):
            yield from _walk(argument, follow, wanted, set())
        else:
            yield argument


def _walk(top: str, follow: bool, wanted: Callable[[str], bool], seen: set[FileId]) -> Iterator[str | PathError]:
    pending: list[tuple[str, bool]] = [(top, True)]  # a stack, not recursion: folders nest deeper than Python's stack
    while pending:
        path, is_folder = pending.pop()
        if not is_folder:
            yield path
            continue
        try:
            if not _seen_before(path, seen):
                pending.extend(reversed(_members(path, follow, wanted)))
        except OSError as error:
            yield PathError.from_os(path, error)


def _members(folder: str, follow: bool, wanted: Callable[[str], bool]) -> list[tuple[str, bool]]:
    """The folders and the wanted regular files of a folder, sorted, with whether each is a folder."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    members = []
    for entry in found:
        if _is_kind(entry, stat.S_IFDIR, follow):
            members.append((entry.path, True))
        elif _is_kind(entry, stat.S_IFREG, follow) and not is_temporary_name(entry.name) and wanted(entry.path):
            members.append((entry.path, False))
    return members


def _seen_before(folder: str, seen: set[FileId]) -> bool:
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return True
    seen.add(identity)
    return False


def _is_kind(entry: os.DirEntry[str], kind: int, follow: bool) -> bool:
    try:
        return stat.S_IFMT(entry.stat(follow_symlinks=follow).st_mode) == kind
    except OSError:  # a link to nothing, or a file removed while walking
        return False
