"""The options of ``zipllm train``."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zipllm.cli.options import DataOptions, DeviceName, MaxInput, QuietOptions, Threads

_data_flag = partial(typer.Option, rich_help_panel="Data and model")
_budget_flag = partial(typer.Option, rich_help_panel="Budget")
_setting_flag = partial(typer.Option, rich_help_panel="Settings")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions, QuietOptions):
    """Options of ``train``."""

    command = "train"

    out: Annotated[
        Path | None, _data_flag("-o", "--out", metavar="MODEL", help="Model file; by default in the run's folder.")
    ] = None
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...", help="Files, folders, 'patterns', -, enwik8[0:90M]; .gz .xz .bz2 .zst are opened."
        ),
    ] = None
    config: Annotated[
        Path | None, _data_flag("--config", metavar="TOML", help="A recipe: data, shape and settings.")
    ] = None
    data_dir: Annotated[
        Path | None,
        _data_flag(
            "--data-dir",
            envvar="ZIPLLM_DATA_DIR",
            metavar="DIR",
            help="Folder that the paths in a recipe are relative to; by default the recipe's.",
        ),
    ] = None
    valid: Annotated[
        list[str] | None,
        _data_flag("--valid", metavar="PATH", help="Validation data; by default 1 document in 50."),
    ] = None
    preset: Annotated[str | None, _data_flag("--preset", help="Shape: nano, tiny, small or base.")] = None
    start: Annotated[str | None, _data_flag("--from", metavar="MODEL|RUN", help="Fine-tune this model or run.")] = None
    vocabulary: Annotated[
        int | None, _data_flag("--vocabulary", metavar="N", help="Tokens in the vocabulary; 256 means bytes.")
    ] = None
    tokenizer: Annotated[
        str | None,
        _data_flag("--tokenizer", metavar="MODEL|JSON", help="Take this tokenizer instead of learning one."),
    ] = None
    run: Annotated[
        Path | None, _data_flag("--run", "--run-dir", metavar="DIR", help="Folder of the run; runs/NAME by default.")
    ] = None
    resume: Annotated[bool, _budget_flag("--resume", help="Go on from the newest checkpoint of the run.")] = False
    minutes: Annotated[float | None, _budget_flag("--minutes", min=0, help="Training time; 10 by default.")] = None
    steps: Annotated[int | None, _budget_flag("--steps", min=0, help="Budget in optimizer steps.")] = None
    tokens: Annotated[int | None, _budget_flag("--tokens", min=0, help="Budget in tokens.")] = None
    patience: Annotated[
        int | None,
        _budget_flag("--patience", metavar="N", min=0, help="End after N evaluations without improvement."),
    ] = None
    seed: Annotated[int | None, _setting_flag("--seed", min=0, help="Seed of weights and data order.")] = None
    precision: Annotated[
        Literal["auto", "bf16", "float32"] | None,
        _setting_flag("--precision", help="Number format of the matrix products."),
    ] = None
    compile: Annotated[
        Literal["auto", "on", "off"] | None,
        _setting_flag("--compile", help="torch.compile; auto measures both ways."),
    ] = None
    settings: Annotated[
        list[str] | None,
        _setting_flag("--set", metavar="KEY=VALUE", help="Like train.batch=8, model.window=64."),
    ] = None
    tensorboard: Annotated[bool, _setting_flag("--tensorboard", help="Also write event files into the run.")] = False
    dry_run: Annotated[
        bool, _setting_flag("--dry-run", help="Prepare the data, try everything once, and estimate the time.")
    ] = False
    device: DeviceName = "auto"
    threads: Threads = 0
    max_input: MaxInput = None

    @property
    def top_settings(self) -> dict[str, Any]:
        """Settings at the top of a recipe, as far as they were given."""
        return self._given("preset", "start", "vocabulary", "tokenizer")

    @property
    def train_settings(self) -> dict[str, Any]:
        """Settings in the ``train`` table of a recipe, as far as they were given."""
        return self._given("minutes", "steps", "tokens", "patience", "seed", "precision", "compile")

    def _given(self, *names: str) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}
