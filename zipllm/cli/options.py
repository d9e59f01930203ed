"""The flags of the commands, each defined once, and the checks that need several of them together."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from zipllm.errors import UsageError
from zipllm.files.names import STDIN, SUFFIX, check_suffix
from zipllm.files.output import is_standard_output

Device = Literal["auto", "cpu", "cuda"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"([0-9]{1,18})([KMG]?)(?:i?B)?", re.IGNORECASE)


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
    """A range of bytes from ``start`` up to and without ``stop``, which None leaves open."""

    start: int
    stop: int | None


def parse_range(text: str) -> Span:
    """Return the range ``A:B``; without A it begins at 0, without B it has no end.

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


# --------------------------------------------------------------------------- what and where
_FILES = "Files"
_SPEED = "Model and speed"
_LIMITS = "Limits when reading archives"
_MESSAGES = "Messages"

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE|-", help="Files; none or - is standard input.", show_default=False),
]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write to FILE (one input only).", rich_help_panel=_FILES),
]
Stdout = Annotated[bool, typer.Option("-c", "--stdout", help="Write to standard output.", rich_help_panel=_FILES)]
Force = Annotated[
    bool,
    typer.Option("-f", "--force", help="Overwrite files, follow links, write to a terminal.", rich_help_panel=_FILES),
]
ForceRead = Annotated[
    bool, typer.Option("-f", "--force", help="Follow links in folders, read from a terminal.", rich_help_panel=_FILES)
]
Keep = Annotated[bool, typer.Option("-k", "--keep", help="Keep the source (default).", rich_help_panel=_FILES)]
Remove = Annotated[
    bool, typer.Option("--rm", help="Remove the source after success, not with -c.", rich_help_panel=_FILES)
]
Recursive = Annotated[
    bool, typer.Option("-r", "--recursive", help="Take the files in folders.", rich_help_panel=_FILES)
]
Suffix = Annotated[
    str, typer.Option("-S", "--suffix", metavar="TEXT", help="Suffix of archives.", rich_help_panel=_FILES)
]

# --------------------------------------------------------------------------- model and speed
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|PATH|ID",
        help="Model; by default the shipped one, or the one the archive names. hf:FOLDER is a Hugging Face model.",
        rich_help_panel=_SPEED,
        show_default=False,
    ),
]
DeviceName = Annotated[Device, typer.Option("--device", help="Where to compute.", rich_help_panel=_SPEED)]
Threads = Annotated[
    int,
    typer.Option("-T", "--threads", min=0, metavar="N", help="CPU threads; 0 is one per core.", rich_help_panel=_SPEED),
]
CodingThreads = Annotated[
    int,
    typer.Option(
        "-T",
        "--threads",
        min=0,
        metavar="N",
        help="CPU threads; 0 is one per core. A model on the CPU shares them; else each has a block, 16 at most.",
        rich_help_panel=_SPEED,
    ),
]

# --------------------------------------------------------------------------- limits
MaxOutput = Annotated[
    int | None,
    typer.Option(
        "--max-output",
        metavar="SIZE",
        parser=parse_size,
        help="Refuse to write more than SIZE; by default 1G or 1000 times the archive, whichever is more.",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
MaxInput = Annotated[
    int | None,
    typer.Option(
        "--max-input",
        metavar="SIZE",
        parser=parse_size,
        help="Refuse a compressed file or standard input of more than SIZE; 16G by default.",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        parser=parse_size,
        help="Refuse archives that need more than SIZE for one block or model.",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]

# --------------------------------------------------------------------------- messages
Quiet = Annotated[
    int,
    typer.Option(
        "-q", "--quiet", count=True, help="Errors only; -qq nothing.", rich_help_panel=_MESSAGES, show_default=False
    ),
]
Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, help="Tell more.", rich_help_panel=_MESSAGES, show_default=False)
]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bar.", rich_help_panel=_MESSAGES)]
Json = Annotated[
    bool, typer.Option("--json", help="Results as JSON on standard output, one line each.", rich_help_panel=_MESSAGES)
]


@dataclass(frozen=True)
class FilePolicy:
    """Where results go and what may be touched on the way.

    Attributes:
        output: the name of the only result, or None to derive each from its source.
        stdout: all results go to standard output.
        force: overwrite, follow links, write compressed data to a terminal.
        remove: remove each source once its result is safe.
        recursive: walk folders.
        suffix: of archive names.

    Raises:
        UsageError: the suffix cannot end a file name.
    """

    output: str | None = None
    stdout: bool = False
    force: bool = False
    remove: bool = False
    recursive: bool = False
    suffix: str = SUFFIX

    def __post_init__(self) -> None:
        check_suffix(self.suffix)

    @property
    def named(self) -> bool:
        """Whether the user said where the result goes, so that the source's own name does not matter."""
        return self.stdout or self.output is not None

    def writes_stdout(self, source: str) -> bool:
        """Whether the result of this source goes to standard output."""
        return self.stdout or (self.output is None and source == STDIN)


def file_policy(
    files: Sequence[str],
    output: str | None,
    stdout: bool,
    *,
    force: bool,
    remove: bool,
    recursive: bool,
    suffix: str,
    json: bool,
) -> FilePolicy:
    """Build the policy of a command that writes results.

    Raises:
        UsageError: flags contradict each other.
    """
    if output is not None:
        if stdout:
            raise UsageError("-o and -c exclude each other")
        if len(files) > 1 or (recursive and any(os.path.isdir(file) for file in files)):
            raise UsageError("-o takes one input only; use -c to join several results")
        if is_standard_output(output):
            output, stdout = None, True
    policy = FilePolicy(output, stdout, force, remove and not stdout, recursive, suffix)
    if json and any(map(policy.writes_stdout, files)):
        raise UsageError("--json and the data itself would both go to standard output; name the result with -o")
    return policy
