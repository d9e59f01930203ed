"""The options of ``zipllm train``."""

from pathlib import Path
from typing import Any, Literal

from zipllm.cli.options import LIMITS, DataOptions, DeviceOptions, PackedOptions, Panel, QuietOptions, argument

_DATA = Panel("Data and model")
_BUDGET = Panel("Budget")
_SET = Panel("Settings")


class TrainOptions(DeviceOptions, DataOptions, PackedOptions, QuietOptions, command="train"):
    """Options of ``train``."""

    out: Path | None = _DATA("-o", "--out", metavar="MODEL", help="Model file; by default in the run's folder.")
    data: list[str] | None = argument(
        metavar="DATA...",
        help="Files, folders, 'patterns', -, enwik8[0:90M]; .gz .xz .bz2 .zst are opened.",
        default=None,
    )
    config: Path | None = _DATA("--config", metavar="TOML", help="A recipe: data, shape and settings.")
    data_dir: Path | None = _DATA(
        "--data-dir",
        envvar="ZIPLLM_DATA_DIR",
        metavar="DIR",
        help="Folder that the paths in a recipe are relative to; by default the recipe's.",
    )
    valid: list[str] | None = _DATA("--valid", metavar="PATH", help="Validation data; by default 1 document in 50.")
    preset: str | None = _DATA("--preset", help="Shape: nano, tiny, small or base.")
    start: str | None = _DATA("--from", metavar="MODEL|RUN", help="Fine-tune this model or run.")
    vocabulary: int | None = _DATA("--vocabulary", metavar="N", help="Tokens in the vocabulary; 256 means bytes.")
    tokenizer: str | None = _DATA(
        "--tokenizer", metavar="MODEL|JSON", help="Take this tokenizer instead of learning one."
    )
    run: Path | None = _DATA("--run", "--run-dir", metavar="DIR", help="Folder of the run; runs/NAME by default.")
    resume: bool = _BUDGET.switch("--resume", help="Go on from the newest checkpoint of the run.")
    minutes: float | None = _BUDGET("--minutes", min=0, help="Training time; 10 by default.")
    steps: int | None = _BUDGET("--steps", min=0, help="Budget in optimizer steps.")
    tokens: int | None = _BUDGET("--tokens", min=0, help="Budget in tokens.")
    patience: int | None = _BUDGET(
        "--patience", metavar="N", min=0, help="End after N evaluations without improvement."
    )
    seed: int | None = _SET("--seed", min=0, help="Seed of weights and data order.")
    precision: Literal["auto", "bf16", "float32"] | None = _SET(
        "--precision", help="Number format of the matrix products."
    )
    compile: Literal["auto", "on", "off"] | None = _SET("--compile", help="torch.compile; auto measures both ways.")
    settings: list[str] | None = _SET("--set", metavar="KEY=VALUE", help="Like train.batch=8, model.window=64.")
    tensorboard: bool = _SET.switch("--tensorboard", help="Also write event files into the run.")
    dry_run: bool = _SET.switch("--dry-run", help="Prepare the data, try everything once, and estimate the time.")
    max_input: int | None = LIMITS.size(
        "--max-input", help="Refuse a compressed file or standard input of more than SIZE; 16G by default."
    )

    @property
    def top_settings(self) -> dict[str, Any]:
        """Settings at the top of a recipe, as far as they were given."""
        return self.given("preset", "start", "vocabulary", "tokenizer")

    @property
    def train_settings(self) -> dict[str, Any]:
        """Settings in the ``train`` table of a recipe, as far as they were given."""
        return self.given("minutes", "steps", "tokens", "patience", "seed", "precision", "compile")
