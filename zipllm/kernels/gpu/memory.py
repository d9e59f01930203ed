"""The state of lanes on a GPU: one allocation for the lanes of all states, and the order of work on it."""

import math
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.model.transformer.config import TransformerConfig

SPARE = 0
"""A lane of no state; it pads steps that compute a fixed number of lanes."""


class Mark:
    """A point in the order of a device's work.

    Args:
        stream: the order; None on a CPU, where work is done when it is handed over.
    """

    def __init__(self, stream: torch.cuda.Stream | None) -> None:
        self.event: torch.cuda.Event | None = None
        if stream is not None:
            self.event = torch.cuda.Event(blocking=True)  # waiting threads sleep
            self.event.record(stream)

    def wait(self) -> None:
        """Wait until all work before it is done."""
        if self.event is not None:
            self.event.synchronize()

    def before(self, stream: torch.cuda.Stream) -> None:
        """Let work handed to ``stream`` from now on begin after it."""
        if self.event is not None:
            stream.wait_event(self.event)


class Order:
    """The order in which a device does the work of all threads: that in which they hand it over.

    Attributes:
        stream: the order; None on a CPU, where work is done when it is handed over.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._lock = Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let only this thread hand over work."""
        with self._lock, torch.cuda.stream(self.stream) if self.stream is not None else nullcontext():
            yield

    def mark(self) -> Mark:
        """Return the current point in the order."""
        return Mark(self.stream)

    def locked(self, elements: int) -> Tensor:
        """Return int32 ``[elements]`` on the host, page-locked: the device copies to it without blocking."""
        return torch.empty(elements, dtype=torch.int32, pin_memory=self.stream is not None)

    def ready(self, array: NDArray[np.int32] | NDArray[np.int64]) -> Tensor:
        """Return an array as a page-locked tensor on the host: the device copies from it without blocking."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor if self.stream is None else tensor.pin_memory()

    def put(self, array: NDArray[np.int32] | NDArray[np.int64]) -> Tensor:
        """Return an array on the device, filled when its turn in the order comes."""
        return self.ready(array).to(self.device, non_blocking=True)


class LaneMemory:
    """Keys and values of the lanes of all states; grows on demand.

    Args:
        config: of the model.
        slots: tokens that a lane's ring holds.
        order: of work on it.

    Attributes:
        keys: int8 ``[layers, lanes, slots, width]``, a ring: token ``p`` of a lane is in slot ``p % slots``.
        values: int8, as ``keys``.
        positions: int32 ``[lanes]``, the number of tokens fed to each lane.
    """

    def __init__(self, config: TransformerConfig, slots: int, order: Order) -> None:
        self.slots = slots
        self._order = order
        self._shape = (config.layers, slots, config.width)
        self._free: list[int] = []
        self._returned: deque[NDArray[np.int64]] = deque()  # appending is atomic: finalizers run at any moment
        with order.held():
            self.keys, self.values, self.positions = self._allocated(1)

    def state(self, count: int) -> "GpuState":
        """Return the state of ``count`` lanes that have been fed nothing."""
        with self._order.held():
            while self._returned:
                self._free.extend(self._returned.popleft().tolist())
            if len(self._free) < count:
                self._grow(count - len(self._free))
            lanes = np.array(self._free[len(self._free) - count :], dtype=np.int64)
            del self._free[len(self._free) - count :]
            self.positions[self._order.put(lanes)] = 0
        return GpuState(lanes, self)

    def copy(self, lane: int, lanes: NDArray[np.int64]) -> None:
        """Copy one lane to others."""
        with self._order.held():
            there = self._order.put(lanes)
            for ring in (self.keys, self.values):
                ring[:, there] = ring[:, lane : lane + 1].clone()
            self.positions[there] = self.positions[lane].clone()

    def rewind(self, lanes: NDArray[np.int64], tokens: int) -> None:
        """Let lanes forget their last tokens, which new ones will overwrite."""
        with self._order.held():
            self.positions[self._order.put(lanes)] -= tokens

    def give_back(self, lanes: NDArray[np.int64]) -> None:
        """Free the lanes of a state that no longer exists."""
        self._returned.append(lanes)

    def _allocated(self, lanes: int) -> tuple[Tensor, Tensor, Tensor]:
        layers, slots, width = self._shape
        keys = torch.zeros((layers, lanes, slots, width), dtype=torch.int8, device=self._order.device)
        return keys, torch.zeros_like(keys), torch.zeros(lanes, dtype=torch.int32, device=keys.device)

    def _grow(self, more: int) -> None:
        """Add room for lanes; at least double it, so that growing is rare."""
        here = len(self.positions)
        lanes = max(2 * here - 1, here + more)
        keys, values, positions = self._allocated(lanes)
        keys[:, :here], values[:, :here], positions[:here] = self.keys, self.values, self.positions
        self.keys, self.values, self.positions = keys, values, positions
        self._free[:0] = reversed(range(here, lanes))


class GpuState:
    """Some lanes, freed when the state is garbage.

    Args:
        lanes: int64 ``[n]``, their numbers in the memory.
        memory: of all lanes.
    """

    def __init__(self, lanes: NDArray[np.int64], memory: LaneMemory) -> None:
        self.lanes = lanes
        self._rooms = deque([torch.empty(0, dtype=torch.int32)] * 2)
        weakref.finalize(self, memory.give_back, lanes)

    def room(self, shape: tuple[int, ...], order: Order, *, other: bool = False) -> Tensor:
        """Return page-locked int32 of this shape: the room of the last call, or the ``other`` of two."""
        self._rooms.rotate(other)
        elements = math.prod(shape)
        if self._rooms[0].numel() < elements:
            self._rooms[0] = order.locked(elements)
        return self._rooms[0][:elements].view(shape)
