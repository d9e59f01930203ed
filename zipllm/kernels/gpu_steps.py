"""Single steps on a GPU: threads that each want a token for their lanes get them from one step for all.

Whoever comes while a step is computed waits; when it is done, the first of them leads: it takes all others along. A step
is a CUDA graph, captured once for each of a few numbers of lanes, which the GPU runs unaided; its predictions travel to
the host while the next step is computed.
"""

from collections import deque
from dataclasses import dataclass
from threading import Event, Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.kernels.gpu_forward import Forward
from zipllm.kernels.gpu_memory import SPARE, LaneMemory, Mark, Order

GRAPH_AFTER = 8
"""Steps of as many lanes before they are captured: what comes seldom is not worth it."""
FINE_FROM = 128
"""Steps are for powers of two lanes; from this one on for one and a half times it, too."""
LEAST = 32
"""Lanes of the smallest step: the product that torch has takes more than 16 rows, and what fills them up takes time."""
PLACES = 2
"""Where predictions wait to be copied, while the next are computed."""


def step_size(lanes: int) -> int:
    """Return the number of lanes of the smallest step that has room for so many."""
    size = 1 << (lanes - 1).bit_length()
    between = size // 4 * 3
    return between if lanes <= between and between > FINE_FROM else size


class Request:
    """One token for each of some lanes, and where the predictions go.

    Args:
        tokens: int32 ``[n]``.
        lanes: int64 ``[n]``, in the memory.
        host: int32 ``[n, vocabulary + 1]``, page-locked.

    Attributes:
        leads: whether it takes the others along.
        called: when it has gone along, or is to lead.
        arrived: when the predictions are there.
        error: that the step raised instead.
    """

    def __init__(self, tokens: NDArray[np.int32], lanes: NDArray[np.int64], host: Tensor) -> None:
        self.tokens = tokens
        self.lanes = lanes
        self.host = host
        self.leads = False
        self.called = Event()
        self.arrived: Mark | None = None
        self.error: BaseException | None = None

    def wait(self) -> None:
        """Return when the predictions are there; raises what the step raised."""
        if self.error is not None:
            raise self.error
        assert self.arrived is not None
        self.arrived.wait()


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
    def of(cls, size: int, order: Order) -> "Step":
        """Return memory for a step of ``size`` lanes."""
        tokens, lanes = order.locked((size, 1)), order.locked((size,), torch.int64)
        return cls(tokens.to(order.device), lanes.to(order.device), (tokens, lanes))

    def fill(self, batch: list[Request]) -> None:
        """Take what is to be fed; the spare lane takes the places that are left."""
        tokens, lanes = (staged.numpy() for staged in self.staged)
        count = sum(len(request.lanes) for request in batch)
        np.concatenate([request.tokens for request in batch], out=tokens[:count, 0])
        np.concatenate([request.lanes for request in batch], out=lanes[:count])
        tokens[count:], lanes[count:] = 0, SPARE
        self.tokens.copy_(self.staged[0], non_blocking=True)
        self.lanes.copy_(self.staged[1], non_blocking=True)


class Steps:
    """Computes steps for threads that wait for them.

    Args:
        forward: feeds tokens to lanes.
        memory: of the lanes.
        order: of all work on it.
        most: lanes of a step; those of one request may be more.
    """

    def __init__(self, forward: Forward, memory: LaneMemory, order: Order, most: int) -> None:
        self._forward = forward
        self._memory = memory
        self._order = order
        self._most = most
        self._entering = Lock()
        self._waiting: deque[Request] = deque()
        self._led = False
        self._steps: dict[int, Step] = {}
        self._bound_to = len(memory.positions)
        self._computed = order.mark()
        self._copies = Copies(order)
        self._pool = self._new_pool()

    def run(self, request: Request) -> None:
        """Return when the predictions of a request have arrived.

        Raises:
            RuntimeError: the device has no memory left, or fails.
        """
        with self._entering:
            self._waiting.append(request)
            request.leads, self._led = not self._led, True
        try:
            if not request.leads:
                request.called.wait()
            if request.leads:
                self._lead(request)
        except BaseException:
            self._leave(request)
            raise
        request.wait()

    def _lead(self, request: Request) -> None:
        """Serve those that wait, as soon as the device is free, and call them and the next to lead."""
        with self._order.held():
            self._computed.wait()  # who comes meanwhile goes along
            with self._entering:
                batch = self._take()
            self._serve(batch)
        self._leave(request)
        for other in batch:
            other.called.set()

    def _leave(self, request: Request) -> None:
        """Wait no longer; if this was the leader, the first that waits is the next."""
        with self._entering:
            if request in self._waiting:
                self._waiting.remove(request)
            if request.leads:
                request.leads, self._led = False, bool(self._waiting)
                for following in list(self._waiting)[:1]:
                    following.leads = True
                    following.called.set()

    def _take(self) -> list[Request]:
        """Return those that wait, the first first, as many as a step has room for."""
        batch = [self._waiting.popleft()]
        lanes = len(batch[0].lanes)
        while self._waiting and lanes + len(self._waiting[0].lanes) <= self._most:
            batch.append(self._waiting.popleft())
            lanes += len(batch[-1].lanes)
        return batch

    def _serve(self, batch: list[Request]) -> None:
        """Hand a step to the device, and tell everybody where to wait for it."""
        try:
            count = sum(len(request.lanes) for request in batch)
            size = step_size(count if self._order.stream is None else max(count, LEAST))
            cumulative = self._run(batch, size)[:count]
            self._computed = self._copies.hand_over(cumulative, batch)
        except BaseException as error:
            for request in batch:
                request.error = error

    def _run(self, batch: list[Request], size: int) -> Tensor:
        """Kernel by kernel at first, then as one graph."""
        if self._bound_to != len(self._memory.positions):  # it has grown, and lies elsewhere
            self._steps.clear()
            self._bound_to = len(self._memory.positions)
            self._pool = self._new_pool()
        if size not in self._steps:
            self._steps[size] = Step.of(size, self._order)
        step = self._steps[size]
        step.fill(batch)
        step.uses += 1
        if self._order.stream is None or step.uses < GRAPH_AFTER:
            return self._forward(self._memory, step.tokens, step.lanes)
        if step.graph is None:
            self._capture(step)
        assert step.graph is not None
        assert step.cumulative is not None
        step.graph.replay()
        return step.cumulative

    def _new_pool(self) -> tuple[int, int] | None:
        """Return a name for the memory that graphs share; one whose graphs are gone cannot be used again."""
        return torch.cuda.graph_pool_handle() if self._order.stream is not None else None

    def _capture(self, step: Step) -> None:
        """Capture a step, which computes nothing. Graphs share their memory, since they run one after the other."""
        graph = torch.cuda.CUDAGraph()
        torch.cuda.current_stream().synchronize()
        graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        try:
            step.cumulative = self._forward(self._memory, step.tokens, step.lanes)
        finally:
            graph.capture_end()
        step.graph = graph


class Copies:
    """Brings predictions to the host while the next step is computed: from two places, in turns.

    Args:
        order: in which they are computed.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._stream = torch.cuda.Stream(order.device) if order.stream is not None else None
        self._places: deque[tuple[Tensor, Mark]] = deque()

    def hand_over(self, cumulative: Tensor, batch: list[Request]) -> Mark:
        """Copy the rows of each request, in order, to where it wants them; return when they have been computed."""
        sizes = [len(request.lanes) for request in batch]
        if self._stream is None:
            for request, rows in zip(batch, cumulative.split(sizes), strict=True):
                request.host.copy_(rows)
                request.arrived = Mark(None)
            return Mark(None)
        if len(batch) == 1:  # nobody else computes
            batch[0].host.copy_(cumulative, non_blocking=True)
            batch[0].arrived = self._order.mark()
            return batch[0].arrived
        place = self._place(cumulative)
        rows_here = place[: len(cumulative)].copy_(cumulative)
        computed = self._order.mark()
        computed.before(self._stream)
        with torch.cuda.stream(self._stream):
            for request, rows in zip(batch, rows_here.split(sizes), strict=True):
                request.host.copy_(rows, non_blocking=True)
                request.arrived = Mark(self._stream, asleep=True)
        self._places.append((place, Mark(self._stream)))
        return computed

    def _place(self, cumulative: Tensor) -> Tensor:
        """Return room on the device from which nothing is being copied any more when its turn comes."""
        if len(self._places) == PLACES:
            place, copied = self._places.popleft()
            copied.before(torch.cuda.current_stream())
            if len(place) >= len(cumulative):
                return place
        return torch.empty_like(cumulative)
