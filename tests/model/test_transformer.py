"""The float Transformer: shapes, causality, the window, and its parameter count."""

import pytest
import torch

from zipllm.model.architecture import architecture_of, preset, preset_names
from zipllm.model.transformer.config import POSITIONS, TransformerConfig
from zipllm.model.transformer.float_form import Transformer


def make(position: str = "relative", *, tied: bool = False, layers: int = 2) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(40, 16, layers, 2, 32, 5, position, tied))  # type: ignore[arg-type]
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def tokens(count: int) -> torch.Tensor:
    return torch.randint(0, 40, (2, count), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("time", [1, 4, 5, 6, 17])
def test_shape_and_causality(position: str, tied: bool, time: int) -> None:
    model, ids = make(position, tied=tied), tokens(time)
    logits = model(ids)
    assert logits.shape == (2, time, 40)
    changed = ids.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 40
    assert torch.allclose(model(changed)[:, :-1], logits[:, :-1], atol=1e-5)
    assert not torch.allclose(model(changed)[:, -1], logits[:, -1], atol=1e-3)


@pytest.mark.parametrize("position", ["relative", "alibi", "rotary"])
def test_one_layer_sees_exactly_its_window(position: str) -> None:
    model, ids = make(position, layers=1), tokens(12)
    for distance in range(12):
        changed = ids.clone()
        changed[:, 11 - distance] = (changed[:, 11 - distance] + 1) % 40
        same = torch.allclose(model(changed)[:, 11], model(ids)[:, 11], atol=1e-5)
        assert same == (distance >= 5)


@pytest.mark.parametrize("position", ["relative", "alibi"])
def test_only_distance_matters(position: str) -> None:
    model, ids = make(position, layers=1), tokens(20)
    assert torch.allclose(model(ids)[:, 19], model(ids[:, 8:])[:, 11], atol=1e-5)


def test_biases_can_be_passed_in() -> None:
    model, ids = make(), tokens(9)
    assert torch.equal(model.hidden(ids, model.biases(9)), model.hidden(ids))


@pytest.mark.parametrize("name", preset_names())
def test_parameter_counts_are_those_of_the_network(name: str) -> None:
    config = preset(name, 300)
    model = architecture_of(config).float_form(config)
    assert sum(config.parameter_counts()) == sum(parameter.numel() for parameter in model.parameters())


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ValueError, match="nano, tiny, small, base"):
        preset("huge", 300)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocabulary_size", 0),
        ("vocabulary_size", 65_537),
        ("width", -1),
        ("width", 15),
        ("layers", 0),
        ("heads", 3),
        ("window", 65_537),
        ("window", True),
        ("position", "learned"),
        ("tied", 1),
    ],
)
def test_impossible_shapes_name_the_field(field: str, value: object) -> None:
    good: dict[str, object] = {"vocabulary_size": 40, "width": 16, "heads": 2}
    with pytest.raises(ValueError, match=field):
        TransformerConfig(**{**good, field: value})  # type: ignore[arg-type]
