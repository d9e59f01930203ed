"""Something like x86 code, and pictures and records, from a seed."""

import numpy as np

_INSTRUCTIONS = (
    b"\x55", b"\x89\xe5", b"\x83\xec\x18", b"\x8b\x45\x08", b"\x8b\x4c\x24\x10", b"\xc7\x45\xfc\x00\x00\x00\x00",
    b"\x66\xb8\x34\x12", b"\x0f\xb6\xc0", b"\x0f\x84\x10\x00\x00\x00", b"\xf6\xc3\x01", b"\xf7\xd8", b"\x74\x05",
    b"\x8d\xbc\x27\x00\x00\x00\x00", b"\x8b\x05\x78\x56\x34\x12", b"\x5d\xc3", b"\x48\x89\xc7", b"\xc2\x08\x00",
)  # fmt: skip


def program(size: int, seed: int = 1) -> bytes:
    """Instructions of 32 and 64 bits, every fourth a call of one of twelve functions; exactly ``size`` bytes."""
    generator = np.random.default_rng(seed)
    functions = generator.integers(0, max(size, 1), 12)
    out = bytearray()
    while len(out) < size:
        if generator.integers(4) == 0:
            target = int(functions[generator.integers(12)]) - len(out) - 5
            out += b"\xe8" + target.to_bytes(4, "little", signed=True)
        else:
            out += _INSTRUCTIONS[generator.integers(len(_INSTRUCTIONS))]
    return bytes(out[:size])
