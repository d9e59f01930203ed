"""Every way a file of a Llama could make a number overflow, or an index leave its table, is refused by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.model.llama_models import extreme_arrays, llama_config
from zipllm.errors import ModelInvalid
from zipllm.model.llama.bounds import check_bounds
from zipllm.model.llama.config import LINEAR_LAYERS
from zipllm.model.llama.parameters import LlamaParameters

CONFIG = llama_config(biases=True, head_norms=True, tied=False)
Arrays = dict[str, NDArray[Any]]


def refuse(change: Callable[[Arrays], None], match: str) -> None:
    arrays = extreme_arrays(CONFIG)
    check_bounds(LlamaParameters(CONFIG, arrays))
    change(arrays)
    with pytest.raises(ModelInvalid, match=match):
        check_bounds(LlamaParameters(CONFIG, arrays))


def setting(name: str, value: int) -> Callable[[Arrays], None]:
    """Change one entry, the last."""

    def change(arrays: Arrays) -> None:
        arrays[name].reshape(-1)[-1] = value

    return change


@pytest.mark.parametrize("name", ["embedding", "head", *LINEAR_LAYERS])
def test_minus_128_is_refused(name: str) -> None:
    refuse(setting(name, -128), f"{name}: weight below -127")


@pytest.mark.parametrize("name", [name for name in CONFIG.specification() if name.endswith("_multiplier")])
def test_negative_multipliers_are_refused(name: str) -> None:
    refuse(setting(name, -1), name)


@pytest.mark.parametrize("shift", [0, 63])
@pytest.mark.parametrize("name", [n for n in CONFIG.specification() if n.endswith("_shift")])
def test_shifts_out_of_range_are_refused(name: str, shift: int) -> None:
    refuse(setting(name, shift), f"{name}: not from")


@pytest.mark.parametrize("name", [n for n in CONFIG.specification() if n.endswith("_gain")])
def test_gains_above_1_are_refused(name: str) -> None:
    refuse(setting(name, (1 << 20) + 1), f"{name}: not from")
    refuse(setting(name, -(1 << 20) - 1), f"{name}: not from")


@pytest.mark.parametrize("name", ["head", "embedding", *LINEAR_LAYERS])
def test_results_that_may_not_fit_are_refused(name: str) -> None:
    def hardly_shift(arrays: Arrays) -> None:
        arrays[f"{name}_shift"][:] = 1

    refuse(hardly_shift, f"{name}_multiplier: result can pass")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("levels", 0), ("levels", 16_257), ("final_levels", 16_257), ("epsilon", -1), ("epsilon", 1 << 52),
        ("rotary_step", -1), ("rotary_step", 1 << 32), ("cosine", 16_385), ("score_multiplier", 4_096),
        ("sigmoid", 32_769), ("sigmoid", -1), ("query_norm", -1), ("key_bias", 1 << 30),
        ("attention_exponential", 1), ("frequency_exponential", 1),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(name: str, value: int) -> None:
    refuse(setting(name, value), name)


def test_tables_of_impossible_lengths_are_refused() -> None:
    def replaced(name: str, array: NDArray[Any]) -> Callable[[Arrays], None]:
        return lambda arrays: arrays.__setitem__(name, array.astype(np.int32))

    refuse(replaced("cosine", np.zeros(63)), "cosine: length is not a power of two")
    refuse(replaced("cosine", np.zeros(1 << 17)), "cosine: more than")
    refuse(replaced("sigmoid", np.zeros(0)), "sigmoid: empty")
    refuse(replaced("attention_exponential", np.array([16_384, 0])), "attention_exponential: first entry")
    refuse(replaced("frequency_exponential", np.array([1 << 23, 0])), "frequency_exponential: first entry")


def test_a_window_that_sums_too_much_is_refused() -> None:
    config = llama_config(window=2_000)
    arrays = extreme_arrays(config)
    arrays["attention_exponential"] = np.array([16_383, 0], dtype=np.int32)
    with pytest.raises(ModelInvalid, match="weighted sum over the window"):
        check_bounds(LlamaParameters(config, arrays))
