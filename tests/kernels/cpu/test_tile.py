"""The innermost product gives the same sums on every set of instructions."""

from typing import Any, get_args

import numpy as np
import pytest

from zipllm.jit.compiled import COMPILES

if not COMPILES:
    pytest.skip("numba is missing or told not to compile", allow_module_level=True)

import llvmlite.binding as llvm
import numba

from zipllm.kernels.cpu import tile
from zipllm.kernels.cpu.layout import OFFSET, pack_matrix
from zipllm.kernels.cpu.tile import Instructions, make_tile

NEEDS = {"vnni512": "avx512vnni", "vnni256": "avxvnni", "avx2": "avx2", "generic": ""}


def kernel(rows: int, vectors: int, instructions: Instructions, ahead: bool = False) -> Any:
    compute = make_tile(rows, vectors, instructions, ahead=ahead)

    @numba.njit
    def run(left: Any, right: Any, initial: Any, out: Any) -> None:
        steps = right.shape[1]
        compute(
            np.int64(left.ctypes.data),
            left.shape[1],
            np.int64(right.ctypes.data),
            64 * steps,
            64,
            np.int64(initial.ctypes.data),
            np.int64(out.ctypes.data),
            4 * out.shape[1],
            steps,
        )

    return run


@pytest.mark.parametrize(("rows", "ahead"), [(1, False), (1, True), (4, False), (4, True)])
@pytest.mark.parametrize("instructions", get_args(Instructions))
def test_every_instruction_set_gives_the_same_sums(instructions: Instructions, rows: int, ahead: bool) -> None:
    feature = NEEDS[instructions]
    if feature and not llvm.get_host_cpu_features().get(feature):
        pytest.skip(f"this processor has no {feature}")
    run = kernel(rows, 2, instructions, ahead)
    generator = np.random.default_rng(rows)
    for inputs in (1, 3, 4, 61, 1024):
        weights = generator.integers(-127, 128, (32, inputs), dtype=np.int8)
        activations = generator.integers(-127, 128, (rows, inputs), dtype=np.int8)
        weights[0], weights[1], activations[0] = 127, -127, 127  # no pair of products may saturate
        packed = pack_matrix(weights[None], np.zeros((1, 32), dtype=np.int32), np.ones(1, dtype=np.int64), OFFSET)
        left = np.full((rows, 4 * packed.panels.shape[2]), 77, dtype=np.uint8)
        left[:, :inputs] = activations.astype(np.int32) + OFFSET
        out = np.zeros((rows, 32), dtype=np.int32)
        run(left, packed.panels[0], packed.initial[0], out)
        assert np.array_equal(out, activations.astype(np.int32) @ weights.T.astype(np.int32))


def test_compiling_for_another_processor_takes_instructions_that_all_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CPU_NAME", "generic")
    assert tile.best_instructions() == "generic"


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512vnni": True, "avx2": True}, "vnni512"),
        ({"avxvnni": True, "avx2": True}, "vnni256"),
        ({"avx512vnni": False, "avx2": True}, "avx2"),
        ({}, "generic"),
    ],
)
def test_the_best_instructions_are_chosen(
    features: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
    assert tile.best_instructions() == expected
