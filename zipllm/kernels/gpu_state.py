"""What lanes remember on a GPU, in memory that is used again: a captured step is bound to its memory.

A state has one lane more than it was asked for. Single steps run for a few fixed numbers of lanes, filled up with
that spare lane, so that lanes that end one by one do not need a graph for every number that is left.
"""

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.model.config import ModelConfig

SHRINK = 4
"""Steps run for all lanes, for a fourth of them, for a sixteenth, ..., whatever is enough for those that go on."""


@dataclass
class Step:
    """One token for each of a fixed number of lanes, in memory whose place does not change, so that it can be captured.

    Attributes:
        tokens: int32 ``[n, 1]``, on the device.
        lanes: int64 ``[n]``, on the device.
        staged: the same on the host, page-locked.
        uses: how often it has run.
        graph: the captured kernels, or None.
        cumulative: int32 ``[n, vocabulary + 1]``, where the captured kernels leave their result.
    """

    tokens: Tensor
    lanes: Tensor
    staged: tuple[Tensor, Tensor]
    uses: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    cumulative: Tensor | None = None

    @classmethod
    def of(cls, size: int, device: torch.device) -> "Step":
        """Return memory for a step of ``size`` lanes."""
        locked = device.type == "cuda"
        tokens = torch.zeros((size, 1), dtype=torch.int32, pin_memory=locked)
        lanes = torch.zeros(size, dtype=torch.int64, pin_memory=locked)
        return cls(tokens.to(device), lanes.to(device), (tokens, lanes))

    def fill(self, tokens: NDArray[np.int32], lanes: NDArray[np.int64], spare: int) -> None:
        """Take what is to be fed, int32 ``[n, 1]`` and int64 ``[n]``; the spare lane takes the places that are left."""
        count = len(lanes)
        for staged, values, rest in ((self.staged[0], tokens, 0), (self.staged[1], lanes, spare)):
            room = staged.numpy()
            room[:count], room[count:] = values, rest
        self.tokens.copy_(self.staged[0], non_blocking=True)
        self.lanes.copy_(self.staged[1], non_blocking=True)


@dataclass
class Memory:
    """Keys, values and steps of some lanes.

    Attributes:
        keys: int8 ``[layers, lanes + 1, slots, width]``, a ring: token ``p`` of a lane is in slot ``p % slots``.
        values: int8, as ``keys``.
        positions: int32 ``[lanes + 1]``, how many tokens each lane has been fed.
        stream: the order of work on these; None on a CPU.
        host: int32, page-locked, where predictions arrive.
        steps: by number of lanes.
    """

    keys: Tensor
    values: Tensor
    positions: Tensor
    stream: torch.cuda.Stream | None
    host: Tensor
    steps: dict[int, Step] = field(default_factory=dict)

    @property
    def lanes(self) -> int:
        """Number of lanes; also the number of the spare one."""
        return len(self.positions) - 1

    def step(self, count: int) -> Step:
        """Return the smallest step that has room for so many lanes."""
        size = max(1, self.lanes)
        while size // SHRINK >= count and size > 1:
            size //= SHRINK
        if size not in self.steps:
            self.steps[size] = Step.of(size, self.positions.device)
        return self.steps[size]

    def room(self, elements: int) -> Tensor:
        """Return int32 ``[elements]`` on the host; overwritten by the next call."""
        if self.host.numel() < elements:
            self.host = torch.empty(elements, dtype=torch.int32, pin_memory=self.stream is not None)
        return self.host[:elements]

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Put what is done inside into the order of this memory, and wait for it at the end."""
        with torch.cuda.stream(self.stream) if self.stream is not None else nullcontext():
            yield
        if self.stream is not None:
            self.stream.synchronize()


class CudaState:
    """What a batch of lanes remembers; its memory goes back to the pool when nobody holds it any more."""

    def __init__(self, memory: Memory, release: Callable[[Memory], None]) -> None:
        self.memory = memory
        weakref.finalize(self, release, memory)


class Pool:
    """Memory for states; what is no longer used serves the next of as many lanes.

    Args:
        config: of the model.
        slots: of a lane's ring.
        device: where.
    """

    def __init__(self, config: ModelConfig, slots: int, device: torch.device) -> None:
        self._config = config
        self._slots = slots
        self._device = device
        self._free: deque[Memory] = deque()  # its methods are atomic, and memory may come back at any moment

    def state(self, lanes: int) -> CudaState:
        """Return the state of ``lanes`` streams that have been fed nothing; free memory for other numbers is let go."""
        memory = None
        while memory is None and self._free:
            with suppress(IndexError):
                memory = self._free.pop()
            if memory is not None and memory.lanes != lanes:
                memory = None
        if memory is None:
            memory = self._new(lanes)
        else:
            with memory.in_order():
                memory.positions.zero_()
        return CudaState(memory, self._free.append)

    def _new(self, lanes: int) -> Memory:
        shape = (self._config.layers, lanes + 1, self._slots, self._config.width)
        stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        with torch.cuda.stream(stream) if stream is not None else nullcontext():
            keys = torch.zeros(shape, dtype=torch.int8, device=self._device)
            positions = torch.zeros(lanes + 1, dtype=torch.int32, device=self._device)
            return Memory(keys, torch.zeros_like(keys), positions, stream, torch.empty(0, dtype=torch.int32))
