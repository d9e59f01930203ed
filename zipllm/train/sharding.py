"""Fully sharded training (FSDP2): every process keeps a part of the weights, gradients and optimizer state.

Each tensor is cut along its rows, and its parts are gathered for a pass only; activations stay as large. Method: Zhao
et al. 2023 (https://arxiv.org/abs/2304.11277), in the form of ``torch.distributed.fsdp.fully_shard``.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(module: nn.Module, device: str, size: int) -> None:
    """Cut a module's parameters into ``size`` parts and keep this process's own; every process calls this."""
    mesh = init_device_mesh(torch.device(device).type, (size,))
    fully_shard(module, mesh=mesh, reshard_after_forward=False)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor gathered from its parts, or one that is whole already; every process calls this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gather several tensors, see `whole`."""
    return {name: whole(tensor.detach()) for name, tensor in tensors.items()}


def cut_like(tensor: Tensor, other: Tensor) -> Tensor:
    """Cut a whole tensor, the same in every process, as ``other`` is cut; a whole ``other`` leaves it as it is."""
    if not isinstance(other, DTensor):
        return tensor
    return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)


@contextmanager
def gathered(module: nn.Module) -> Iterator[None]:
    """Inside, a sharded module has whole parameters, so that its parts can be used without its ``forward``."""
    if not isinstance(module, FSDPModule):
        yield
        return
    module.unshard()
    try:
        yield
    finally:
        module.reshard()
