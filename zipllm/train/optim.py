"""Optimizers: Muon for the matrices inside the blocks, AdamW for everything else.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) replaces a matrix's momentum by
the nearest orthogonal matrix, found with five steps of a quintic Newton-Schulz iteration. Matrices of
one shape are stacked, so that the iteration is a few large batched products.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from zipllm.model.float_network import FloatNetwork
from zipllm.train.config import Precision, TrainConfig
from zipllm.train.sharding import cut_like, whole

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the published iteration: steep at zero, so that small singular values grow fast."""


@cache
def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products are fast: a processor without the instructions is ten times slower than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and supported is not None and bool(supported())


def orthogonalise(matrices: Tensor, precision: Precision = "float32", steps: int = 5) -> Tensor:
    """Map each matrix of ``[n, rows, columns]`` to an approximately orthogonal one (singular values near 1).

    The iteration uses bfloat16 where ``precision`` allows it and it is fast.
    """
    a, b, c = _QUINTIC
    fast = precision != "float32" and has_bf16(matrices.device)
    x = matrices.bfloat16() if fast else matrices.float()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = (x.mT if tall else x).to(matrices.dtype)
    return result


class Muon(torch.optim.Optimizer):
    """Nesterov momentum orthogonalised by Newton-Schulz, with decoupled weight decay; for matrices only.

    An update has a spectral norm of about ``lr * sqrt(max(1, rows / columns))``. Sharded matrices are gathered for the
    iteration, which every process computes.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        precision: Precision = "float32",
    ) -> None:
        self._precision = precision
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; ``closure`` is not supported."""
        assert closure is None
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for parameters in by_shape.values():
                self._step_stack(parameters, group)

    def _step_stack(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        updates = []
        for parameter in parameters:
            assert parameter.grad is not None
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            buffer = state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
            updates.append(whole(parameter.grad.lerp(buffer, group["momentum"])))
        rows, columns = parameters[0].shape
        scale = group["lr"] * max(1.0, rows / columns) ** 0.5
        for parameter, update in zip(parameters, orthogonalise(torch.stack(updates), self._precision), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.sub_(cut_like(update, parameter), alpha=scale)


def make_optimizers(model: FloatNetwork, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Return ``[Muon, AdamW]`` over disjoint parameters of ``model``; each group remembers its ``base_lr``."""
    matrices = [parameter for parameter in model.blocks.parameters() if _is_matrix(model, parameter)]
    chosen = {id(parameter) for parameter in matrices}
    scalars = [parameter for parameter in model.blocks.parameters() if id(parameter) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": [model.embedding.weight], "lr": config.embedding_lr},
        {"params": scalars, "lr": config.scalar_lr},
    ]
    if model.head is not None:
        groups.append({"params": [model.head.weight], "lr": config.head_lr})
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=config.matrix_lr, weight_decay=config.weight_decay, precision=config.precision),
        adam,
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return optimizers


def scale_learning_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Set every group's rate to ``factor`` times its ``base_lr``."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor


def _is_matrix(model: FloatNetwork, parameter: nn.Parameter) -> bool:
    return any(parameter is module.weight for module in model.blocks.modules() if isinstance(module, nn.Linear))
