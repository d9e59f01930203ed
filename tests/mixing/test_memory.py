"""The memory of a block: what it takes follows the bytes of the block, not what its header asks for."""

from pathlib import Path

import numpy as np
import pytest

from zipllm.mixing.memory import FULL, LEAN, MAX_SLOT_BITS, SLOT_BYTES, Shape, new_memory

STATUS = Path("/proc/self/statm")
MIB = 1 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    return int(STATUS.read_text(encoding="ascii").split()[1]) * 4096


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells how much memory is resident")
@pytest.mark.parametrize("shape", [LEAN, FULL], ids=["lean", "full"])
def test_a_byte_with_the_most_slots_clears_no_huge_pages(shape: Shape) -> None:
    """512 MiB of slots, of which a byte can reach two in each context: in huge pages that would be 64 MiB."""
    memory = new_memory(np.array([1], dtype=np.int64), MAX_SLOT_BITS, None, shape)
    before = resident()
    slots, used = 1 << MAX_SLOT_BITS, 2 * shape.contexts
    memory.slots[np.arange(used) * (slots // used) * (SLOT_BYTES // 2)] = 1
    assert resident() - before < MIB
    assert memory.slots.size * memory.slots.itemsize == SLOT_BYTES * slots


@pytest.mark.parametrize("raw_bytes", [1, 100_000])
def test_slots_begin_empty_and_can_be_written(raw_bytes: int) -> None:
    slots = new_memory(np.array([raw_bytes], dtype=np.int64), 18, None).slots
    assert not slots.any()
    slots[-1] = 7
    assert slots[-1] == 7
