"""The innermost product gives the same sums on every set of instructions."""

from typing import Any, get_args

import numpy as np
import pytest

from zipllm.jit.compiled import COMPILES

if not COMPILES:
    pytest.skip("numba is missing or told not to compile", allow_module_level=True)

import llvmlite.binding as llvm
import numba
from llvmlite import ir

from zipllm.kernels.cpu import tile
from zipllm.kernels.cpu.layout import OFFSET, WIDE_ORDER, pack_matrix, pack_panels
from zipllm.kernels.cpu.tile import Instructions, make_tile
from zipllm.model.ranges import WIDE_MAX

NEEDS = {"vnni512": "avx512vnni", "vnni256": "avxvnni", "avx2": "avx2", "generic": ""}


def kernel(rows: int, vectors: int, instructions: Instructions, ahead: bool = False, wide: bool = False) -> Any:
    compute = make_tile(rows, vectors, instructions, wide=wide, ahead=ahead)

    @numba.njit
    def run(left: Any, right: Any, initial: Any, out: Any) -> None:
        steps = right.shape[1]
        compute(
            np.int64(left.ctypes.data),
            left.shape[1] * left.itemsize,
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


@pytest.mark.parametrize(("rows", "ahead"), [(1, False), (2, True), (4, False), (4, True)])
@pytest.mark.parametrize("instructions", get_args(Instructions))
def test_every_instruction_set_gives_the_same_sums_of_wide_numbers(
    instructions: Instructions, rows: int, ahead: bool
) -> None:
    feature = NEEDS[instructions]
    if feature and not llvm.get_host_cpu_features().get(feature):
        pytest.skip(f"this processor has no {feature}")
    run = kernel(rows, 2, instructions, ahead, wide=True)
    generator = np.random.default_rng(rows)
    for inputs in (1, 2, 3, 4, 5, 8, 61, 257, 1024):
        weights = generator.integers(-127, 128, (32, inputs), dtype=np.int8)
        activations = generator.integers(-WIDE_MAX, WIDE_MAX + 1, (rows, inputs)).astype(np.int16)
        weights[0], weights[1], activations[0] = 127, -127, WIDE_MAX
        packed = pack_panels(weights[None], WIDE_ORDER)[0]
        left = np.full((rows, 4 * packed.shape[1]), 7_777, dtype=np.int16)
        left[:, :inputs] = activations
        out = np.full((rows, 32), 9, dtype=np.int32)
        run(left, packed, np.full(32, 5, dtype=np.int32), out)
        assert np.array_equal(out, activations.astype(np.int64) @ weights.T.astype(np.int64))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("processor", "instructions", "narrow_one"),
    [
        ("icelake-server", "vnni512", "vpdpbusd"),
        ("alderlake", "vnni256", "vpdpbusd"),
        ("haswell", "avx2", "vpmaddwd"),
    ],
)
def test_code_for_other_processors(processor: str, instructions: Instructions, narrow_one: str, wide: bool) -> None:
    """Every product of the inner loop is an instruction meant for it, and nothing is called."""
    lines = assembly(processor, instructions, wide)
    words = [line.split() for line in lines[next(at for at, line in enumerate(lines) if line.startswith(".LBB")) :]]
    accumulators = 4 * 2 * (1 if instructions == "vnni512" else 2)
    first = {"avx2": "vpmaddwd"}.get(instructions, "vpdpwssd") if wide else narrow_one
    count = sum(first in line for line in words)
    if wide and instructions != "avx2":  # of two in a row, LLVM writes the second as product and sum: less to wait for
        assert count >= accumulators
        count += sum("vpmaddwd" in line for line in words)
    assert count == accumulators * (2 if wide or instructions == "avx2" else 1)
    assert not any("call" in word for line in words for word in line)


def assembly(processor: str, instructions: Instructions, wide: bool) -> list[str]:
    """Return the code of a tile of 4 rows and 2 panels."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 9), "tile")
    builder = ir.IRBuilder(function.append_basic_block())
    emit = (tile._WideEmitter if wide else tile._Emitter)(builder, instructions)
    tile._emit(emit, 4, 2, False, function.args)
    builder.ret_void()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine(cpu=processor, opt=3)
    code: str = target.emit_assembly(llvm.parse_assembly(str(module)))
    return [line.strip() for line in code.splitlines()]


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
