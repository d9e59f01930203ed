"""Progress bars on stderr, if the user may see one: on a terminal, and unless told otherwise.

The bars themselves are in ``bars``, imported only to be shown, because rich takes a while to import.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from zipllm.cli.messages import display_name
from zipllm.cli.voice import Voice

if TYPE_CHECKING:
    from zipllm.progress import ProgressCallback


def shows_bars(voice: Voice) -> bool:
    """Whether a progress bar may be shown."""
    return voice.progress and voice.level >= 1 and sys.stderr is not None and sys.stderr.isatty()


@contextlib.contextmanager
def file_progress(voice: Voice, name: str, size: Callable[[], int | None]) -> "Iterator[ProgressCallback | None]":
    """Show how far the work on a file is, inside the ``with`` block; None where no bar is shown.

    ``size`` finds the file's raw bytes, None if unknown; it is called only for a bar.
    """
    if not shows_bars(voice):
        yield None
        return
    from zipllm.cli.bars import file_bar

    with file_bar(display_name(name), size()) as advance:
        yield advance


@contextlib.contextmanager
def fraction_progress(voice: Voice, name: str, total: int) -> Iterator[Callable[[float], None]]:
    """The same for work that reports fractions, from 0 to 1."""
    from zipllm.progress import Progress

    with file_progress(voice, name, lambda: total) as advance:
        yield lambda fraction: advance(Progress("encode", fraction * total, 0, 0)) if advance else None
