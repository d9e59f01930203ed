"""The options of ``zipllm eval``."""

from functools import cached_property

from zipllm.cli.loader import Loader
from zipllm.cli.options import DATA, DataOptions, DeviceOptions, LevelOptions, MeasuringOptions, Panel, argument

_WHAT = Panel("What is measured")


class EvalOptions(LevelOptions, DeviceOptions, DataOptions, MeasuringOptions, command="eval"):
    """Options of ``eval``."""

    model: str = argument(metavar="MODEL", help="Name, path or id; hf:FOLDER or hub:OWNER/NAME for Hugging Face.")
    data: list[str] = argument(
        metavar="DATA",
        help="Files and folders (.gz .xz .bz2 .zst are opened), corpora and slices like enwik8[95M:96M], or - for "
        "standard input.",
    )
    history: bool = _WHAT.switch(
        "--history", help="Also code the archive with adaptive prediction, and report its size; slower."
    )
    limit: int | None = DATA.size("--limit", help="Only the first SIZE bytes of each; 64K, 1M.")

    @cached_property
    def loader(self) -> Loader:
        """What loads the model."""
        return Loader(self.model, self.device, self.threads)
