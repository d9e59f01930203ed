"""Checkpoints resume training: float weights and optimizer state in safetensors, counters in JSON. Never pickle.

A checkpoint is a folder ``step-000123`` with ``model.safetensors``, ``optimizer.safetensors`` and ``state.json``. It
takes its name when it is whole and on disk, and loses it before it is removed, so that a kill leaves none in part.
"""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from zipllm.errors import FileError, ModelInvalid
from zipllm.model.architecture import architecture_of, config_from_dict
from zipllm.model.config import NetworkConfig
from zipllm.model.float_network import FloatNetwork
from zipllm.train.sharding import cut_like, whole_tensors

_PART, _OLD = ".part", ".old"
"""Ends of hidden names: of a checkpoint that is being written or deleted, and of one that is being replaced."""


@dataclass(frozen=True)
class TrainState:
    """Counters of a run.

    Attributes:
        step: optimizer steps taken.
        tokens: token ids trained on, and ``bytes`` that they stand for.
        seconds: wall-clock time spent training, over all sittings of the run.
        position: windows drawn per source (``WindowSampler.position``).
        best: lowest validation cost so far, in bits per byte; None before the first evaluation.
        best_step: its step, whose checkpoint stays.
        worse: evaluations since then.
        evaluated: step of the last evaluation.
        compiled: whether ``torch.compile`` is used; None while that is undecided.
        prepared: SHA-256 of the tokenizer and of the token files (``Corpus.prepared``).
    """

    step: int
    tokens: int
    seconds: float
    position: list[int]
    bytes: int = 0
    best: float | None = None
    best_step: int | None = None
    worse: int = 0
    evaluated: int = 0
    compiled: bool | None = None
    prepared: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment: float weights by name, and optimizer tensors named ``optimizer/parameter/field``."""

    config: NetworkConfig
    state: TrainState
    weights: dict[str, Tensor]
    optimizers: dict[str, Tensor]


def snapshot(model: FloatNetwork, optimizers: list[torch.optim.Optimizer], state: TrainState) -> Snapshot:
    """Gather a run; when the model is sharded, every process makes this call."""
    return Snapshot(model.config, state, whole_tensors(model.state_dict()), whole_tensors(_flatten(optimizers)))


def save_checkpoint(run: Path, taken: Snapshot, keep: int = 2) -> Path:
    """Write ``run/step-NNNNNN`` and return it; only the newest ``keep`` stay, and the best that they know.

    Raises:
        FileError: the checkpoint cannot be written.
    """
    final = checkpoint(run, taken.state.step)
    part = _hidden(final, _PART)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_file(_contiguous(taken.weights), part / "model.safetensors")
        save_file(_contiguous(taken.optimizers), part / "optimizer.safetensors")
        description = {"model": taken.config.to_dict(), "state": asdict(taken.state)}
        (part / "state.json").write_text(json.dumps(description, indent=1, sort_keys=True))
        for path in part.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        old = _hidden(final, _OLD)
        with suppress(FileNotFoundError):
            final.rename(old)
        part.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FileError(f"cannot write checkpoint {final}: {reason}") from error
    newest = checkpoints(run)[-keep:]
    for folder in {*checkpoints(run)} - {*newest, *(checkpoint(run, _best_step(known)) for known in newest)}:
        with suppress(OSError):
            shutil.rmtree(folder.rename(_hidden(folder, _PART)))
    return final


def _hidden(folder: Path, end: str) -> Path:
    return folder.with_name(f".{folder.name}{end}")


def _best_step(folder: Path) -> int:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return int(json.loads((folder / "state.json").read_bytes())["state"]["best_step"])
    return -1


def clean_checkpoints(run: Path) -> None:
    """Remove what a killed process has left of checkpoints; the one that it was replacing gets its name back."""
    for hidden in run.glob(".step-*"):
        final = run / hidden.stem[1:]
        if hidden.suffix == _OLD and not final.exists():
            hidden.rename(final)
        elif hidden.suffix in (_PART, _OLD):
            shutil.rmtree(hidden, ignore_errors=True)


def checkpoint(run: Path, step: int) -> Path:
    """Return where the checkpoint of a step is."""
    return run / f"step-{step:06d}"


def checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    found = [path for path in run.glob("step-*") if path.name[5:].isdecimal() and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name[5:]))


def newest_checkpoint(run: Path, note: Callable[[str], None]) -> Path | None:
    """Return the newest checkpoint that is whole; ``note`` tells of others. None without checkpoints.

    Raises:
        FileError: none is whole.
    """
    problem: FileError | None = None
    for folder in reversed(checkpoints(run)):
        try:
            load_model(folder)
            _optimizer_tensors(folder)
        except FileError as error:
            problem = problem or error
            note(f"{error}; an older one is used")
        else:
            return folder
    if problem:
        raise problem
    return None


def load_model(folder: Path) -> tuple[FloatNetwork, TrainState]:
    """Read the float model and counters of a checkpoint. Raises ``FileError``."""
    try:
        description = json.loads((folder / "state.json").read_text())
        config = config_from_dict(description["model"])
        model: FloatNetwork = architecture_of(config).float_form(config)
        model.load_state_dict(load_file(folder / "model.safetensors"))
        model.set_rounding(model.final_clip.item() > 0)
        return model, TrainState(**description["state"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ModelInvalid, SafetensorError) as error:
        raise FileError(f"{folder} is not a readable checkpoint: {error}") from error


def load_best(newest: Path) -> tuple[FloatNetwork, TrainState]:
    """Read the best model that a checkpoint knows, or its own if that one is unknown; as `load_model`."""
    best = checkpoint(newest.parent, _best_step(newest))
    return load_model(best if best.is_dir() else newest)


def load_optimizers(folder: Path, optimizers: list[torch.optim.Optimizer]) -> None:
    """Restore optimizer state in place, cut as the parameters are. Raises ``FileError``."""
    tensors = _optimizer_tensors(folder)
    for number, optimizer in enumerate(optimizers):
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            owner, index, field = name.split("/")
            if int(owner) == number:
                parameter = parameters[int(index)]
                part = cut_like(tensor, parameter) if tensor.shape == parameter.shape else tensor
                state.setdefault(int(index), {})[field] = part
        description = optimizer.state_dict()
        optimizer.load_state_dict({"state": state, "param_groups": description["param_groups"]})


def _optimizer_tensors(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / "optimizer.safetensors")
    except (OSError, SafetensorError) as error:
        raise FileError(f"cannot read the optimizer state in {folder}: {error}") from error


def _flatten(optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Name every state tensor ``optimizer/parameter/field``, in the same order in every process."""
    flat: dict[str, Any] = {}
    for number, optimizer in enumerate(optimizers):
        for index, fields in optimizer.state_dict()["state"].items():
            for name, value in fields.items():
                flat[f"{number}/{index}/{name}"] = value
    return flat


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
