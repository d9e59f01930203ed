"""Muon: orthogonal updates, and every parameter in exactly one group."""

import pytest
import torch

from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.float_form import Transformer
from zipllm.train.config import TrainConfig
from zipllm.train.optim import Muon, make_optimizers, orthogonalise, scale_learning_rates


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (2, 32, 8)])
def test_singular_values_are_near_one(shape: tuple[int, ...]) -> None:
    result = orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    values = torch.linalg.svdvals(result.float())
    assert result.shape == shape
    assert values.min() > 0.4
    assert values.max() < 1.4


def test_muon_minimizes_a_quadratic() -> None:
    target = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    weight = torch.zeros(6, 4, requires_grad=True)
    optimizer = Muon([weight], lr=0.05)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 200)
        optimizer.zero_grad()
        (weight - target).square().sum().backward()
        optimizer.step()
    assert float((weight - target).detach().abs().max()) < 0.05


@pytest.mark.parametrize("tied", [False, True])
def test_every_parameter_has_one_optimizer(tied: bool) -> None:
    model = Transformer(TransformerConfig(300, width=16, layers=2, heads=2, feedforward=32, window=8, tied=tied))
    optimizers = make_optimizers(
        model, TrainConfig(steps=1, matrix_lr=1.0, embedding_lr=2.0, head_lr=3.0, scalar_lr=4.0)
    )
    listed = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())
    scale_learning_rates(optimizers, 0.5)
    assert optimizers[0].param_groups[0]["lr"] == 0.5
