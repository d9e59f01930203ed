"""Single steps on a GPU: threads that each want a token for their lanes get them from one step for all.

Whoever comes while a step is computed waits; when it is done, the first of them leads: it takes all others along. The
predictions of a step travel to the host while the next is computed.
"""

from collections import deque
from threading import Event, Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.kernels.gpu_graphs import Graphs
from zipllm.kernels.gpu_memory import Mark, Order

FEW = 4
"""Threads that may keep a core each while predictions travel; more sleep, which takes longer to end."""
PLACES = 2
"""Where predictions wait to be copied, while the next are computed."""


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


class Steps:
    """Computes steps for threads that wait for them.

    Args:
        graphs: run steps.
        order: of all work on the device.
        most: lanes of a step; those of one request may be more.
    """

    def __init__(self, graphs: Graphs, order: Order, most: int) -> None:
        self._graphs = graphs
        self._order = order
        self._most = most
        self._entering = Lock()
        self._waiting: deque[Request] = deque()
        self._led = False
        self._computed = order.mark()
        self._copies = Copies(order)

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
            tokens = np.concatenate([request.tokens for request in batch])[:, None]
            lanes = np.concatenate([request.lanes for request in batch])
            cumulative = self._graphs.run(self._order.put(tokens), self._order.put(lanes))
            self._computed = self._copies.hand_over(cumulative, batch)
        except BaseException as error:
            for request in batch:
                request.error = error


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
                request.arrived = Mark(self._stream, asleep=len(batch) > FEW)
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
