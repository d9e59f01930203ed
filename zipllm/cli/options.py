"""The options that several commands share, each stated once; a command's own are in its module.

The options of a command are a frozen dataclass: a field is a flag, its annotation the flag's names and help, its
default what holds without the flag. ``zipllm.cli.command`` makes the command from it.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer

from zipllm.cli.loader import Loader
from zipllm.cli.voice import Voice
from zipllm.codec.levels import MAX_LEVEL, MIN_LEVEL, levels_help
from zipllm.container.limits import Limits
from zipllm.files.names import STDIN, SUFFIX

if TYPE_CHECKING:
    from zipllm.data.local import Places

PANELS = (
    "What is measured", "What is explained", "What is generated", "How tokens are drawn", "How labels are found",
    "How", "Data", "Data and model", "Files", "Parts and damage", "Coding", "Budget", "Settings", "Model and speed",
    "Limits", "Results", "Messages",
)  # fmt: skip
"""The groups of flags, in the order in which a command's help shows them."""

file_flag, coding_flag, speed_flag, limit_flag, result_flag, message_flag, data_flag = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in ("Files", "Coding", "Model and speed", "Limits", "Results", "Messages", "Data")
)

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"([0-9]{1,18})([KMG]?)(?:i?B)?", re.IGNORECASE)


# --------------------------------------------------------------------------- values
def parse_size(text: str) -> int:
    """Return a number of bytes from ``65536``, ``64K``, ``64KB`` or ``64KiB``; K, M and G are powers of 1024.

    Raises:
        typer.BadParameter: the text is none of these.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size; write 65536, 64K or 4M")
    return int(match[1]) * _UNITS[match[2].upper()]


@dataclass(frozen=True)
class Span:
    """A range of bytes from ``start`` up to, not including, ``stop``; None means the end."""

    start: int
    stop: int | None


def parse_range(text: str) -> Span:
    """Return the range ``A:B``; A defaults to 0, B to the end.

    Raises:
        typer.BadParameter: the text is no range, or ends before it begins.
    """
    first, colon, last = text.partition(":")
    if not colon:
        raise typer.BadParameter(f"{text!r} is not a range; write 1000:2000, 4M: or :64K")
    start, stop = parse_size(first) if first else 0, parse_size(last) if last else None
    if stop is not None and stop < start:
        raise typer.BadParameter(f"{text!r} ends before it begins")
    return Span(start, stop)


# --------------------------------------------------------------------------- single flags
Quiet = Annotated[int, message_flag("-q", "--quiet", count=True, help="Errors only; -qq nothing.", show_default=False)]
Verbose = Annotated[int, message_flag("-v", "--verbose", count=True, help="Show more details.", show_default=False)]
NoProgress = Annotated[bool, message_flag("--no-progress", help="Show no progress bar.")]
Json = Annotated[bool, message_flag("--json", help="Print results as JSON on standard output, one line each.")]

ModelName = Annotated[
    str | None,
    speed_flag(
        "--model",
        metavar="NAME|PATH|ID",
        help="By default the level's model, or the one the archive names. hf:FOLDER is a Hugging Face model.",
    ),
]
DeviceName = Annotated[Literal["auto", "cpu", "cuda"], speed_flag("--device", help="Where the model computes.")]
Threads = Annotated[int, speed_flag("-T", "--threads", min=0, metavar="N", help="CPU threads; 0 is one per core.")]
CodingThreads = Annotated[
    int,
    speed_flag(
        "-T",
        "--threads",
        min=0,
        metavar="N",
        help="CPU threads; 0 is one per core. A model on the CPU uses all of them for one block; otherwise each codes "
        "a block of its own, up to 16.",
    ),
]

Level = Annotated[
    int,
    coding_flag(
        "--level",
        min=MIN_LEVEL,
        max=MAX_LEVEL,
        metavar=f"{MIN_LEVEL}-{MAX_LEVEL}",
        help=f"Also -{MIN_LEVEL} to -{MAX_LEVEL}. {levels_help()}.",
    ),
]
Lanes = Annotated[
    int,
    coding_flag(
        "--lanes",
        min=0,
        metavar="N",
        help="Streams coded side by side in a block; 0 chooses. More are faster on a GPU and cost size.",
    ),
]
BlockSize = Annotated[
    int | None,
    coding_flag(
        "--block-size",
        metavar="SIZE",
        parser=parse_size,
        help="Bytes coded together, 1 to 16M; bounds memory. By default the level's, 16M for most.",
    ),
]
NoHistory = Annotated[bool, coding_flag("--no-history", help="Use the model alone, without learning from the file.")]

MaxInput = Annotated[
    int | None,
    limit_flag(
        "--max-input",
        metavar="SIZE",
        parser=parse_size,
        help="Refuse a compressed file or standard input of more than SIZE; 16G by default.",
    ),
]
DataDir = Annotated[Path | None, data_flag("--data-dir", metavar="DIR", help="Local corpora; also $ZIPLLM_DATA_DIR.")]
Overwrite = Annotated[bool, result_flag("-f", "--force", help="Overwrite results.")]


# --------------------------------------------------------------------------- what several commands take
class Options:
    """The options of a command; each kind is a frozen dataclass."""

    command: ClassVar[str]

    @property
    def voice(self) -> Voice:
        """How much the command says."""
        return Voice(self.command)


@dataclass(frozen=True, kw_only=True)
class QuietOptions(Options):
    """Of a command that can be told to say less."""

    quiet: Quiet = 0

    @property
    def voice(self) -> Voice:
        return Voice(self.command, 1 - self.quiet)


@dataclass(frozen=True, kw_only=True)
class MeasuringOptions(QuietOptions):
    """Of a command that shows a progress bar while it measures, and numbers afterwards."""

    no_progress: NoProgress = False
    json: Json = False

    @property
    def voice(self) -> Voice:
        return Voice(self.command, 1 - self.quiet, progress=not self.no_progress, json=self.json)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and where it computes."""

    model: ModelName = None
    device: DeviceName = "auto"
    threads: Threads = 0

    @cached_property
    def loader(self) -> Loader:
        """What loads the model."""
        return Loader(self.model, self.device, self.threads)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where corpora lie."""

    data_dir: DataDir = None

    @property
    def places(self) -> "Places":
        """The folders in which corpora are looked for."""
        from zipllm.data.local import Places

        return Places.default(self.data_dir)


@dataclass(frozen=True, kw_only=True)
class ReadingOptions(QuietOptions):
    """Of a command that reads archives."""

    files: Annotated[list[str] | None, typer.Argument(metavar="FILE|-", help="Files; none or - is standard input.")] = (
        None
    )
    force: Annotated[bool, file_flag("-f", "--force", help="Follow links in folders, read from a terminal.")] = False
    recursive: Annotated[bool, file_flag("-r", "--recursive", help="Take the files in folders.")] = False
    suffix: Annotated[str, file_flag("-S", "--suffix", metavar="TEXT", help="Suffix of archives.")] = SUFFIX
    max_output: Annotated[
        int | None,
        limit_flag(
            "--max-output",
            metavar="SIZE",
            parser=parse_size,
            help="Write at most SIZE; by default 1G or 1000 times the archive, whichever is more.",
        ),
    ] = None
    max_memory: Annotated[
        int | None,
        limit_flag(
            "--max-memory",
            metavar="SIZE",
            parser=parse_size,
            help="Refuse archives that need more than SIZE for one block or model.",
        ),
    ] = None
    verbose: Verbose = 0
    json: Json = False

    @property
    def voice(self) -> Voice:
        return Voice(self.command, 1 + self.verbose - self.quiet, json=self.json)

    @property
    def names(self) -> list[str]:
        """The files; standard input if none is named."""
        return self.files or [STDIN]

    @property
    def limits(self) -> Limits:
        """What archives are held to."""
        if self.max_memory is None:
            return Limits(output=self.max_output)
        most = self.max_memory
        return Limits(output=self.max_output, block_raw=most, block_payload=most, model_file=most)


@dataclass(frozen=True, kw_only=True)
class CodingOptions(ModelOptions, ReadingOptions):
    """Of a command that decodes archives, or writes them."""

    threads: CodingThreads = 0
    no_progress: NoProgress = False

    @property
    def voice(self) -> Voice:
        return replace(super().voice, progress=not self.no_progress)


@dataclass(frozen=True, kw_only=True)
class WritingOptions(CodingOptions):
    """Of a command that writes a result for each file."""

    output: Annotated[
        str | None, file_flag("-o", "--output", metavar="FILE", help="Write to FILE (one input only).")
    ] = None
    stdout: Annotated[bool, file_flag("-c", "--stdout", help="Write to standard output.")] = False
    keep: Annotated[bool, file_flag("-k", "--keep", help="Keep the source (default).")] = False
    force: Annotated[bool, file_flag("-f", "--force", help="Overwrite, follow links, write to a terminal.")] = False
    remove: Annotated[bool, file_flag("--rm", help="Remove the source after success, not with -c.")] = False

    @property
    def removes(self) -> bool:
        """Whether each source goes once its result is safe; -k overrides --rm."""
        return self.remove and not self.keep
