"""Predictions on their way from a GPU to the host, while the next ones are computed.

All copies to the host are in a stream of their own. torch marks page-locked memory in the streams that it was used in
when it is let go, which happens in any thread at any time: in the stream that computes, such a mark would break the
graph that another thread is just capturing there.
"""

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from zipllm.kernels.gpu_memory import Mark, Order

PLACES = 2
"""Where predictions wait to be copied, in turns."""


class Copies:
    """Brings predictions to the host. Whoever calls it holds the order.

    Args:
        order: in which they are computed.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._stream = torch.cuda.Stream(order.device) if order.stream is not None else None
        self._places: deque[tuple[Tensor, Mark]] = deque()

    def hand_over(self, rows: Tensor, hosts: Sequence[Tensor]) -> tuple[Mark, list[Mark]]:
        """Begin to copy rows that the next work will overwrite.

        Args:
            rows: int32 ``[n, d]``, on the device.
            hosts: int32 ``[n_i, d]``, page-locked: where the first ``n_0`` of them go, the next ``n_1``, and so on.

        Returns:
            When the rows have been computed; when they are in each place of the host.
        """
        place = self._place(rows) if self._stream is not None else rows
        waiting = place[: len(rows)]
        if self._stream is not None:
            waiting.copy_(rows)
        computed, arrived = self._order.mark(), []
        begin = 0
        for host in hosts:
            arrived.append(self.begin(waiting[begin : begin + len(host)], host, computed))
            begin += len(host)
        if self._stream is not None:
            self._places.append((place, Mark(self._stream)))
        return computed, arrived

    def begin(self, rows: Tensor, host: Tensor, computed: Mark) -> Mark:
        """Begin to copy what stays until it has arrived, and return when that will be.

        Args:
            rows: int32, on the device; the caller keeps them.
            host: of the same shape, page-locked.
            computed: when the rows are there.
        """
        if self._stream is None:
            host.copy_(rows)
            return Mark(None)
        computed.before(self._stream)
        with torch.cuda.stream(self._stream):
            host.copy_(rows, non_blocking=True)
        return Mark(self._stream, asleep=True)

    def _place(self, rows: Tensor) -> Tensor:
        """Return room on the device from which nothing is being copied any more when its turn comes."""
        if len(self._places) == PLACES:
            place, copied = self._places.popleft()
            copied.before(torch.cuda.current_stream())
            if place.shape[1] == rows.shape[1] and len(place) >= len(rows):
                return place
        return torch.empty_like(rows)
