"""The options of ``zipllm eval``."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated

import typer

from zipllm.cli.loader import Loader
from zipllm.cli.options import (
    BlockSize,
    DataOptions,
    DeviceName,
    Lanes,
    Level,
    MeasuringOptions,
    Threads,
    data_flag,
    parse_size,
)
from zipllm.codec.levels import DEFAULT_LEVEL

_what_flag = partial(typer.Option, rich_help_panel="What is measured")


@dataclass(frozen=True, kw_only=True)
class EvalOptions(DataOptions, MeasuringOptions):
    """Options of ``eval``."""

    command = "eval"

    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Name, path or id; hf:FOLDER or hub:OWNER/NAME for Hugging Face.")
    ]
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA",
            help="Files and folders (.gz .xz .bz2 .zst are opened), corpora and slices like enwik8[95M:96M], or - for "
            "standard input.",
        ),
    ]
    history: Annotated[
        bool,
        _what_flag("--history", help="Also code the archive with adaptive prediction, and report its size; slower."),
    ] = False
    limit: Annotated[
        int | None,
        data_flag("--limit", metavar="SIZE", parser=parse_size, help="Only the first SIZE bytes of each; 64K, 1M."),
    ] = None
    level: Level = DEFAULT_LEVEL
    lanes: Lanes = 0
    block_size: BlockSize = None
    device: DeviceName = "auto"
    threads: Threads = 0

    @cached_property
    def loader(self) -> Loader:
        """What loads the model."""
        return Loader(self.model, self.device, self.threads)
