"""Single steps on a GPU, batched: threads that each need a step of their lanes share one.

The first thread that waits becomes the leader and collects requests up to a full step. It hands the step over as soon
as the device computes one step and has none queued behind it, so the device never idles, and requests that arrive
meanwhile join. The predictions of a step travel to the host while the next step is computed.
"""

from collections import deque
from threading import Event, Lock

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from zipllm.kernels.gpu.copies import Copies
from zipllm.kernels.gpu.graphs import Graphs
from zipllm.kernels.gpu.memory import Mark, Order

FULL = 1024
"""Lanes of a full step; beyond this, time grows in proportion and threads only wait longer."""

AHEAD = 2
"""Most steps on the device: one computing and one queued."""


class Request:
    """One token for each of some lanes, and the room for the predictions.

    Args:
        tokens: int32 ``[n]``.
        lanes: int64 ``[n]``, in the memory.
        host: int32 ``[n, vocabulary + 1]``, page-locked.

    Attributes:
        leads: whether its thread is the leader.
        called: set when it was served or is to lead.
        arrived: the point at which the predictions are on the host.
        error: raised by the step instead.
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
        """Wait for the predictions, or raise the error of the step."""
        if self.error is not None:
            raise self.error
        assert self.arrived is not None
        self.arrived.wait()


class Steps:
    """Computes the steps of all threads.

    Args:
        graphs: run steps.
        order: of all work on the device.
        copies: brings predictions to the host.
        full: lanes of a full step; a single request may have more.
    """

    def __init__(self, graphs: Graphs, order: Order, copies: Copies, full: int = FULL) -> None:
        self._graphs = graphs
        self._order = order
        self._full = full
        self._entering = Lock()
        self._waiting: deque[Request] = deque()
        self._led = False
        self._computed = deque([order.mark()] * AHEAD, maxlen=AHEAD)
        self._copies = copies

    def run(self, request: Request) -> None:
        """Serve a request and wait for its predictions.

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
        """Serve waiting requests, wake their threads, and pass the lead on."""
        with self._order.held():
            self._computed[0].wait()
            with self._entering:
                batch = self._take()
            self._serve(batch)
        self._leave(request)
        for other in batch:
            other.called.set()

    def _leave(self, request: Request) -> None:
        """Stop waiting; a leader passes the lead to the first waiting request."""
        with self._entering:
            if request in self._waiting:
                self._waiting.remove(request)
            if request.leads:
                request.leads, self._led = False, bool(self._waiting)
                for following in list(self._waiting)[:1]:
                    following.leads = True
                    following.called.set()

    def _take(self) -> list[Request]:
        """Take waiting requests in order, as many as a step has room for."""
        batch = [self._waiting.popleft()]
        lanes = len(batch[0].lanes)
        while self._waiting and lanes + len(self._waiting[0].lanes) <= self._full:
            batch.append(self._waiting.popleft())
            lanes += len(batch[-1].lanes)
        return batch

    def _serve(self, batch: list[Request]) -> None:
        """Hand a step to the device, and set on each request what it waits for."""
        try:
            tokens = np.concatenate([request.tokens for request in batch])[:, None]
            lanes = np.concatenate([request.lanes for request in batch])
            cumulative = self._graphs.run(self._order.ready(tokens), self._order.ready(lanes))
            computed, arrived = self._copies.hand_over(cumulative, [request.host for request in batch])
            self._computed.append(computed)
            for request in batch:
                request.arrived = arrived
        except BaseException as error:
            for request in batch:
                request.error = error
