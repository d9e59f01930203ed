"""Data parallel training: the processes ``torchrun`` starts, and what they must agree on.

Every process works on its share of each batch and gradients are averaged: the result is that of one process on the
whole batch, up to the order of sums. Every process holds the whole model (DistributedDataParallel), or with
``train.shard`` a part of it (`zipllm.train.sharding`).
"""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from zipllm.errors import UsageError
from zipllm.train.sharding import shard


@dataclass(frozen=True)
class Group:
    """This process among those that train one model; by default it is alone.

    Attributes:
        rank: 0 for the process that reads, writes and reports.
        size: number of processes.
        device: where this process computes, as torch names it.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, windows: Tensor) -> Tensor:
        """Every ``size``-th window of a batch ``[batch, time]``, beginning with this process's own."""
        return windows[self.rank :: self.size]

    def wrap(self, module: nn.Module, *, sharded: bool = False) -> nn.Module:
        """Average a module's gradients over the group; if ``sharded``, cut its parameters in place, too."""
        if self.size == 1:
            return module
        if sharded:
            shard(module, self.device, self.size)
            return module
        return nn.parallel.DistributedDataParallel(module, broadcast_buffers=False)

    def largest(self, *values: float) -> tuple[float, ...]:
        """The largest of each value over all processes."""
        return self._reduce(values, distributed.ReduceOp.MAX) if self.size > 1 else values

    def total(self, *values: float) -> tuple[float, ...]:
        """The sum of each value over all processes."""
        return self._reduce(values, distributed.ReduceOp.SUM) if self.size > 1 else values

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            distributed.barrier()

    def _reduce(self, values: tuple[float, ...], operation: distributed.ReduceOp.RedOpType) -> tuple[float, ...]:
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor, op=operation)
        return tuple(tensor.tolist())


@contextmanager
def joined(device: str, environment: Mapping[str, str] = os.environ) -> Iterator[Group]:
    """Join the group that ``torchrun`` describes in the environment, if any; each process takes a GPU of its own.

    Raises:
        UsageError: the group cannot be formed.
    """
    size = int(environment.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(device=device)
        return
    if device == "cuda":
        device = f"cuda:{environment['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"the {size} processes cannot reach each other: {error}") from error
    try:
        yield Group(int(environment["RANK"]), size, device)
    finally:
        gc.collect()  # sharded modules are cycles that hold the group; its threads must end before the process does
        distributed.destroy_process_group()
