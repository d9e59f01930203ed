"""The unfinished files of this process, known at every instant so that a signal can remove them."""

import contextlib
import os
import secrets

_PREFIX = ".zipllm-"
_ENDING = ".tmp"
_unfinished: set[str] = set()


def create_temporary(folder: str) -> tuple[int, str]:
    """Create a new file, readable by its owner only, and return its descriptor (write only) and path.

    ``O_EXCL`` refuses whatever somebody else put there, links included, so nobody can read or redirect the content
    while it is written. The name is registered before the file exists: a signal between the two finds it.

    Raises:
        OSError: the folder is missing, full or not writable.
    """
    while True:
        path = os.path.join(folder, f"{_PREFIX}{secrets.token_hex(8)}{_ENDING}")
        _unfinished.add(path)
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), path
        except FileExistsError:
            _unfinished.discard(path)  # somebody else's: try another name
        except OSError:
            _unfinished.discard(path)
            raise


def discard_temporary(path: str) -> None:
    """Remove the file if it is still there and forget it."""
    with contextlib.suppress(OSError):
        os.unlink(path)
    _unfinished.discard(path)


def discard_all() -> None:
    """Remove every unfinished file of this process; called when a signal ends it."""
    for path in tuple(_unfinished):
        discard_temporary(path)


def is_temporary_name(name: str) -> bool:
    """Whether a file of this name is the unfinished work of some run, perhaps one that was killed."""
    return name.startswith(_PREFIX) and name.endswith(_ENDING)
