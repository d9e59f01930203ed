"""The options that several commands share; a command's own are in its module.

The options of a command are a frozen dataclass, from which ``zipllm.cli.command`` makes the command: each field is a
flag, with its names, help and default.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, dataclass_transform

import typer

from zipllm.cli.loader import Loader
from zipllm.cli.messages import MEMORY_LIMITS
from zipllm.cli.voice import Voice
from zipllm.codec.levels import DEFAULT_LEVEL, LEVEL_NAMES, MAX_LEVEL, MIN_LEVEL, levels_help
from zipllm.container.limits import Limits
from zipllm.files.names import STDIN, SUFFIX

if TYPE_CHECKING:
    from zipllm.data.local import Places
    from zipllm.data.unpack import UnpackLimits

PANELS = (
    None, "What is measured", "What is explained", "What is generated", "How tokens are drawn", "How labels are found",
    "How", "Data", "Data and model", "Files", "Parts and damage", "Coding", "Budget", "Settings", "Model and speed",
    "Limits", "Results", "Messages",
)  # fmt: skip
"""The groups of flags, in the order in which a command's help shows them; flags of None belong to no group."""


class Panel:
    """Makes the flags of one of the groups in ``PANELS``."""

    def __init__(self, name: str | None) -> None:
        assert name in PANELS
        self._name = name

    def __call__(self, *names: str, default: Any = None, **settings: Any) -> Any:
        """Return the dataclass field of a flag with a value; settings as of ``typer.Option``."""
        option = typer.Option(*names, rich_help_panel=self._name, **settings)
        return field(default=default, metadata={"typer": option})

    def size(self, *names: str, help: str) -> Any:
        """Return the field of a flag whose value is a number of bytes."""
        return self(*names, metavar="SIZE", parser=parse_size, help=help)

    def span(self, help: str) -> Any:
        """Return the field of ``--range``, whose value is a range of bytes."""
        return self("--range", metavar="A:B", parser=parse_range, help=help)

    def switch(self, *names: str, help: str) -> Any:
        """Return the field of a flag without a value, which is off by default."""
        return self(*names, help=help, default=False)


def argument(**settings: Any) -> Any:
    """Return the field of an argument, required unless there is a ``default``; settings as of ``typer.Argument``."""
    optional = {"default": settings.pop("default")} if "default" in settings else {}
    return field(metadata={"typer": typer.Argument(**settings)}, **optional)


FILES, CODING, SPEED, LIMITS, RESULTS, MESSAGES, DATA, FLAGS = map(
    Panel, ("Files", "Coding", "Model and speed", "Limits", "Results", "Messages", "Data", None)
)

NO_LEVEL = f"levels are {MIN_LEVEL} to {MAX_LEVEL}"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"([0-9]{1,18})([KMG]?)(?:i?B)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return a number of bytes from ``65536``, ``64K``, ``64KB`` or ``64KiB``; K, M and G are powers of 1024.

    Raises ``typer.BadParameter`` for anything else.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size; write 65536, 64K or 4M")
    return int(match[1]) * _UNITS[match[2].upper()]


def parse_level(text: str | int) -> int:
    """Return the number of a level; typer passes the default, too. Raises ``typer.BadParameter`` for anything else."""
    if str(text) not in LEVEL_NAMES:
        raise typer.BadParameter(NO_LEVEL)
    return int(text)


@dataclass(frozen=True)
class Span:
    """A range of bytes from ``start`` up to, not including, ``stop``; None means the end."""

    start: int
    stop: int | None


def parse_range(text: str) -> Span:
    """Return the range ``A:B``, where A defaults to 0 and B to the end. Raises ``typer.BadParameter`` for others."""
    first, colon, last = text.partition(":")
    if not colon:
        raise typer.BadParameter(f"{text!r} is not a range; write 1000:2000, 4M: or :64K")
    start, stop = parse_size(first) if first else 0, parse_size(last) if last else None
    if stop is not None and stop < start:
        raise typer.BadParameter(f"{text!r} ends before it begins")
    return Span(start, stop)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Options:
    """The options of a command, whose name is a class argument; each subclass becomes a frozen dataclass."""

    command: ClassVar[str]
    quiet = verbose = 0
    no_progress = json = False

    def __init_subclass__(cls, command: str | None = None) -> None:
        if command is not None:
            cls.command = command
        dataclass(frozen=True, kw_only=True)(cls)

    @property
    def voice(self) -> Voice:
        """How much the command says."""
        level = 1 + self.verbose - self.quiet
        return Voice(self.command, level, progress=not self.no_progress, json=self.json)

    def given(self, *names: str) -> dict[str, Any]:
        """Return those of the named options that the user gave: they are not None."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class QuietOptions(Options):
    """Say less."""

    quiet: int = MESSAGES("-q", "--quiet", count=True, help="Errors only; -qq nothing.", default=0, show_default=False)


class VerboseOptions(QuietOptions):
    """Say less, or more."""

    verbose: int = MESSAGES("-v", "--verbose", count=True, help="Show more details.", default=0, show_default=False)


class ProgressOptions(Options):
    """Show no progress bar."""

    no_progress: bool = MESSAGES.switch("--no-progress", help="Show no progress bar.")


class JsonOptions(Options):
    """Print results for programs."""

    json: bool = MESSAGES.switch("--json", help="Print results as JSON on standard output, one line each.")


class MeasuringOptions(JsonOptions, ProgressOptions, QuietOptions):
    """Of a command that shows a progress bar while it measures, and numbers afterwards."""


class ThreadOptions(Options):
    """How many threads compute."""

    threads: int = SPEED(
        "-T", "--threads", min=0, metavar="N", help="CPU threads, at most 256; 0 is one per core.", default=0
    )


class DeviceOptions(ThreadOptions):
    """Where a model computes."""

    device: Literal["auto", "cpu", "cuda"] = SPEED("--device", help="Where the model computes.", default="auto")

    @cached_property
    def loader(self) -> Loader:
        """What loads the command's ``model``."""
        return Loader(getattr(self, "model", None), self.device, self.threads)


class ModelOptions(DeviceOptions):
    """Which model, and where it computes."""

    model: str | None = SPEED(
        "--model",
        metavar="NAME|PATH|ID",
        help="By default the level's model, or the one the archive names. hf:FOLDER is a Hugging Face model.",
    )


class LevelOptions(Options):
    """How a file is cut into blocks and lanes, and which model is the default."""

    level: int = CODING(
        "--level",
        parser=parse_level,
        metavar=f"{MIN_LEVEL}-{MAX_LEVEL}",
        help=f"Also -{MIN_LEVEL} to -{MAX_LEVEL}. {levels_help()}.",
        default=DEFAULT_LEVEL,
    )
    lanes: int = CODING(
        "--lanes",
        min=0,
        metavar="N",
        help="Streams coded side by side in a block; 0 chooses. More are faster on a GPU and cost size.",
        default=0,
    )
    block_size: int | None = CODING.size(
        "--block-size", help="Bytes coded together, 1 to 16M; bounds memory. By default the level's, 16M for most."
    )


class PackedOptions(Options):
    """How far packed data may be unpacked."""

    max_window: int | None = LIMITS.size(
        "--max-window", help="Refuse .zst files with a larger window, which memory holds; 128M by default, 2G at most."
    )

    @property
    def unpacking(self) -> "UnpackLimits":
        """The limits on packed files."""
        from zipllm.data.unpack import UNPACK_LIMITS, UnpackLimits

        return UNPACK_LIMITS if self.max_window is None else UnpackLimits(window=self.max_window)


class DataOptions(Options):
    """Where corpora lie."""

    data_dir: Path | None = DATA("--data-dir", metavar="DIR", help="Local corpora; also $ZIPLLM_DATA_DIR.")

    @property
    def places(self) -> "Places":
        """The folders in which corpora are looked for."""
        from zipllm.data.local import Places

        return Places.default(self.data_dir)


class ReadingOptions(JsonOptions, VerboseOptions):
    """Of a command over several files."""

    files: list[str] | None = argument(metavar="FILE|-", help="Files; none or - is standard input.", default=None)
    force: bool = FILES.switch("-f", "--force", help="Follow links in folders, read from a terminal.")
    recursive: bool = FILES.switch("-r", "--recursive", help="Take the files in folders.")
    suffix: str = FILES("-S", "--suffix", metavar="TEXT", help="Suffix of archives.", default=SUFFIX)
    max_output: int | None = LIMITS.size(
        "--max-output", help="Write at most SIZE; by default 1G or 1000 times the archive, whichever is more."
    )
    max_memory: int | None = LIMITS.size(
        "--max-memory", help="Refuse archives that need more than SIZE for one block or model."
    )

    @property
    def names(self) -> list[str]:
        """The files; standard input if none is named."""
        return self.files or [STDIN]

    @property
    def limits(self) -> Limits:
        """What archives are held to."""
        memory = {} if self.max_memory is None else dict.fromkeys(MEMORY_LIMITS, self.max_memory)
        return Limits(output=self.max_output, **memory)


class CodingOptions(ProgressOptions, ModelOptions, ReadingOptions):
    """Of a command that decodes archives, or writes them."""

    threads: int = SPEED(
        "-T",
        "--threads",
        min=0,
        metavar="N",
        help="CPU threads, at most 256; 0 is one per core. A model on the CPU uses all of them for one block; "
        "otherwise each codes a block of its own, up to 16.",
        default=0,
    )


class WritingOptions(CodingOptions):
    """Of a command that writes a result for each file."""

    output: str | None = FILES("-o", "--output", metavar="FILE", help="Write to FILE (one input only).")
    output_dir: str | None = FILES(
        "--output-dir", metavar="DIR", help="Write below DIR, in the folders that the source's path names."
    )
    skip_existing: bool = FILES.switch(
        "--skip-existing", help="Pass over files whose result is there and has their modification time."
    )
    stdout: bool = FILES.switch("-c", "--stdout", help="Write to standard output.")
    keep: bool = FILES.switch("-k", "--keep", help="Keep the source (default).")
    force: bool = FILES.switch("-f", "--force", help="Overwrite, follow links, write to a terminal.")
    remove: bool = FILES.switch("--rm", help="Remove the source after success, not with -c.")

    @property
    def removes(self) -> bool:
        """Whether each source goes once its result is safe; -k overrides --rm."""
        return self.remove and not self.keep
