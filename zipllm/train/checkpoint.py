"""Checkpoints resume training: float weights and optimizer state in safetensors, counters in JSON. Never pickle.

A checkpoint is a folder ``step-000123`` with ``model.safetensors``, ``optimizer.safetensors`` and ``state.json``.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
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

BEST = "best"
"""Folder of the checkpoint with the lowest validation cost; it has no optimizer state."""


@dataclass(frozen=True)
class TrainState:
    """Counters of a run.

    Attributes:
        step: optimizer steps taken.
        tokens: token ids trained on, and ``bytes`` that they stand for.
        seconds: wall-clock time spent training, over all sittings of the run.
        position: windows drawn per source (``WindowSampler.position``).
        best: lowest validation cost so far, in bits per byte; None before the first evaluation.
        worse: evaluations since then.
        compiled: whether ``torch.compile`` is used; None while that is undecided.
    """

    step: int
    tokens: int
    seconds: float
    position: list[int]
    bytes: int = 0
    best: float | None = None
    worse: int = 0
    compiled: bool | None = None


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
    """Write ``run/step-NNNNNN`` and drop all but the newest ``keep``; return the new folder. Raises ``FileError``."""
    final = _write(run / f"step-{taken.state.step:06d}", taken)
    for old in checkpoints(run)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def save_best(run: Path, taken: Snapshot) -> Path:
    """Write ``run/best`` in place of the one before. Raises ``FileError``."""
    return _write(run / BEST, taken)


def _write(final: Path, taken: Snapshot) -> Path:
    part = final.with_name(f".{final.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_file(_contiguous(taken.weights), part / "model.safetensors")
        if taken.optimizers:
            save_file(_contiguous(taken.optimizers), part / "optimizer.safetensors")
        description = {"model": taken.config.to_dict(), "state": asdict(taken.state)}
        (part / "state.json").write_text(json.dumps(description, indent=1, sort_keys=True))
        shutil.rmtree(final, ignore_errors=True)
        os.replace(part, final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FileError(f"cannot write checkpoint {final}: {reason}") from error
    return final


def checkpoints(run: Path) -> list[Path]:
    """Checkpoint folders of a run, oldest first."""
    return sorted(path for path in run.glob("step-*") if path.is_dir())


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


def load_optimizers(folder: Path, optimizers: list[torch.optim.Optimizer]) -> None:
    """Restore optimizer state in place, cut as the parameters are. Raises ``FileError``."""
    try:
        tensors = load_file(folder / "optimizer.safetensors")
    except (OSError, SafetensorError) as error:
        raise FileError(f"cannot read the optimizer state in {folder}: {error}") from error
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


def _flatten(optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Name every state tensor ``optimizer/parameter/field``, in the same order in every process."""
    flat: dict[str, Any] = {}
    for number, optimizer in enumerate(optimizers):
        for index, fields in optimizer.state_dict()["state"].items():
            for field, value in fields.items():
                flat[f"{number}/{index}/{field}"] = value
    return flat


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
