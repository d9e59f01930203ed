"""Every way a model file could make a number overflow, or an index leave its table, is refused by name."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.model.conftest import CONFIG, extreme_tensors, randomized, shaped
from zipllm.errors import ModelInvalid
from zipllm.model.arithmetic import scale_to_int8, vector_length
from zipllm.model.transformer.bounds import check_bounds, score_limit
from zipllm.model.transformer.config import LINEAR_LAYERS, TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model.transformer.quantize import quantize
from zipllm.model.transformer.scales import exponential_table

Change = Callable[[dict[str, Tensor]], None]


def unchecked(config: TransformerConfig, tensors: dict[str, Tensor]) -> TransformerParameters:
    return TransformerParameters(config, {name: tensor.numpy() for name, tensor in tensors.items()})


def refuse(change: Change, match: str, config: TransformerConfig = CONFIG) -> None:
    tensors = extreme_tensors(config)
    check_bounds(unchecked(config, tensors))
    change(tensors)
    with pytest.raises(ModelInvalid, match=match):
        check_bounds(unchecked(config, tensors))


def setting(name: str, value: int) -> Change:
    """Change one entry, the last, of a tensor."""

    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name].view(-1)[-1] = value

    return change


@pytest.mark.parametrize("name", ["embedding", "head", *LINEAR_LAYERS])
def test_minus_128_is_refused(name: str) -> None:
    refuse(setting(name, -128), f"{name}: weight below -127")


@pytest.mark.parametrize(
    "name", sorted(n for n, (t, _) in CONFIG.specification().items() if t != "int8" and n != "position_bias")
)
def test_negative_values_are_refused(name: str) -> None:
    refuse(setting(name, -1), f"{name}: negative value")


@pytest.mark.parametrize("shift", [0, 63, 2**31 - 1])
@pytest.mark.parametrize("name", [f"{n}_shift" for n in ("embedding", "head", *LINEAR_LAYERS)])
def test_shifts_out_of_range_are_refused(name: str, shift: int) -> None:
    refuse(setting(name, shift), f"{name}: not from 1 to 62")


@pytest.mark.parametrize("shift", [0, 3, 31, 2**31 - 1])
def test_score_shifts_out_of_range_are_refused(shift: int) -> None:
    refuse(setting("score_shift", shift), "score_shift: not from 4 to 30")


@pytest.mark.parametrize("name", ["head", *LINEAR_LAYERS])
def test_the_largest_multiplier_is_the_last_one_accepted(name: str) -> None:
    """The bound is tight: the extreme tensors sit on it, one more does not pass."""

    def change(tensors: dict[str, Tensor]) -> None:
        tensors[f"{name}_multiplier"].view(-1)[0] += 1

    refuse(change, f"{name}_multiplier: result can pass 2\\*\\*30")


def test_an_embedding_that_leaves_32_bits_is_refused() -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors["embedding_multiplier"][3] = 2**31 - 1
        tensors["embedding_shift"][0] = 1

    refuse(change, "embedding_multiplier: result can pass")


@pytest.mark.parametrize("name", ["attention_norm", "feedforward_norm", "final_norm", "query_norm", "key_norm"])
def test_norms_that_overflow_int64_are_refused(name: str) -> None:
    refuse(setting(name, 2**62), f"{name}: not below 2\\*\\*62")


def test_a_mixing_scale_that_overflows_int64_is_refused() -> None:
    refuse(setting("mixing_scale", 2**55), "mixing_scale: not below 2\\*\\*55")


@pytest.mark.parametrize("bias", [2**20 + 1, -(2**20) - 1, 2**31 - 1, -(2**31)])
def test_position_biases_out_of_range_are_refused(bias: int) -> None:
    refuse(setting("position_bias", bias), "position_bias: not from -1048576 to 1048576")


def test_scores_that_overflow_int32_are_refused() -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors["score_multiplier"][1, 1] += 1

    refuse(change, "score_multiplier: scores of layer 1 can pass 2\\*\\*31")


@pytest.mark.parametrize("name", ["attention_exponential", "frequency_exponential"])
@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (torch.zeros(0, dtype=torch.int32), "empty"),
        (torch.zeros(1, dtype=torch.int32), "length not from 2 to 65536"),
        (torch.zeros(65_537, dtype=torch.int32), "length not from 2 to 65536"),
        (torch.tensor([100, 50, 60, 0], dtype=torch.int32), "not monotone"),
        (torch.tensor([100, 50, 1], dtype=torch.int32), "last entry is not 0"),
        (torch.zeros(9, dtype=torch.int32), "first entry"),
        (exponential_table(2**24 + 1), "first entry"),
        (exponential_table(2**31 - 1), "first entry"),
    ],
    ids=["empty", "one entry", "too long", "rises", "ends above 0", "all zero", "first too large", "first at limit"],
)
def test_bad_tables_are_refused(name: str, table: Tensor, reason: str) -> None:
    refuse(lambda tensors: tensors.update({name: table}), f"{name}: {reason}")


def test_weights_over_a_long_window_must_fit_int32() -> None:
    config = shaped(window=600, layers=1, width=2, heads=1, feedforward=1, vocabulary_size=2)

    def change(tensors: dict[str, Tensor]) -> None:
        tensors["attention_exponential"] = exponential_table(32_767)

    refuse(change, "attention_exponential: weighted sum over the window", config)


@pytest.mark.parametrize("name", sorted(CONFIG.specification()))
def test_missing_tensors_are_refused(name: str) -> None:
    refuse(lambda tensors: tensors.pop(name) is None, f"{name}: missing")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(CONFIG.specification()))
def test_wrong_types_are_refused(name: str) -> None:
    refuse(lambda tensors: tensors.update({name: tensors[name].float()}), f"{name}: type float32")


@pytest.mark.parametrize("name", sorted(CONFIG.specification()))
def test_wrong_shapes_are_refused(name: str) -> None:
    refuse(lambda tensors: tensors.update({name: tensors[name][None]}), f"{name}: shape")
    if "exponential" not in name:
        longer = {name: torch.cat((t := extreme_tensors(CONFIG)[name], t[:1]))}
        refuse(lambda tensors: tensors.update(longer), f"{name}: shape")


def test_unknown_tensors_are_refused() -> None:
    refuse(lambda tensors: tensors.update({"extra": tensors["head"]}), "extra: unknown")


def test_a_tied_model_must_not_carry_a_head() -> None:
    refuse(lambda t: t.update({"head": t["embedding"][:-1]}), "head: unknown", shaped(tied=True))


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (shaped(width=65_538, heads=65_538), "config: width"),
        (shaped(feedforward=65_537), "config: feedforward"),
        (shaped(width=1_025, heads=1), "config: heads"),
        (shaped(layers=1_025), "config: layers"),
        (shaped(position="rotary"), "config: position"),
        (shaped(position="sinusoidal"), "config: position"),
    ],
    ids=["width", "feedforward", "head size", "layers", "rotary", "sinusoidal"],
)
def test_shapes_beyond_the_proof_are_refused_before_any_tensor_is_read(config: TransformerConfig, field: str) -> None:
    with pytest.raises(ModelInvalid, match=field):
        check_bounds(TransformerParameters(config, {}))


def test_the_score_limit_holds_for_the_worst_heads() -> None:
    """Random heads of every scale, normalized as the engine does: none passes the limit that the proof uses."""
    generator = torch.Generator().manual_seed(0)
    for size in (1, 2, 7, 64):
        for length in (1, 3, 100, 400):
            heads = torch.randn(500, size, generator=generator) * 10 ** (4 * torch.rand(500, 1, generator=generator))
            heads = torch.cat((heads.round().long().clamp(-32767, 32767), torch.eye(size).long()))
            unit = scale_to_int8(heads, torch.tensor(length << 40), vector_length(heads)).long()
            assert int((unit @ unit.t()).abs().max()) <= score_limit(length << 40, length << 40, size)


def test_exported_models_pass() -> None:
    for config in (CONFIG, shaped(tied=True), shaped(position="alibi", window=100)):
        model = quantize(randomized(config), torch.randint(60, (4, 40)))
        check_bounds(model)
