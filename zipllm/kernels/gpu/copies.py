"""Predictions on their way from a GPU to the host, while the next ones are computed.

All copies to the host are in a stream of their own. torch marks page-locked memory in the streams that it was used in
when it is let go, which happens in any thread at any time: in the stream that computes, such a mark would break the
graph that another thread is just capturing there.
"""

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from zipllm.kernels.gpu.memory import Mark, Order

PLACES = 3
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

    def hand_over(self, rows: Tensor, hosts: Sequence[Tensor]) -> tuple[Mark, Mark]:
        """Begin to copy rows that the next work will overwrite.

        Args:
            rows: int32 ``[n, d]``, on the device.
            hosts: int32 ``[n_i, d]``, page-locked: where the first ``n_0`` of them go, the next ``n_1``, and so on.

        Returns:
            When the rows have been computed; when all are on the host.
        """
        if self._stream is None:
            return self._order.mark(), self.begin(rows, hosts)
        place = self._place(rows)
        waiting = place[: len(rows)]
        waiting.copy_(rows)
        computed = self._order.mark()
        arrived = self.begin(waiting, hosts, computed)
        self._places.append((place, arrived))
        return computed, arrived

    def begin(self, rows: Tensor, hosts: Sequence[Tensor], computed: Mark | None = None) -> Mark:
        """Begin to copy what stays until it has arrived, and return when that will be.

        Args:
            rows: int32, on the device; the caller keeps them.
            hosts: page-locked: where the first of them go, and so on, as many as they have rows.
            computed: when the rows are there; None is now.
        """
        parts = rows.split([len(host) for host in hosts])
        if self._stream is None:
            for host, part in zip(hosts, parts, strict=True):
                host.copy_(part)
            return Mark(None)
        (computed or self._order.mark()).before(self._stream)
        with torch.cuda.stream(self._stream):
            for host, part in zip(hosts, parts, strict=True):
                host.copy_(part, non_blocking=True)
        return Mark(self._stream)

    def _place(self, rows: Tensor) -> Tensor:
        """Return room on the device from which nothing is being copied any more when its turn comes."""
        if len(self._places) == PLACES:
            place, copied = self._places.popleft()
            copied.before(torch.cuda.current_stream())
            if place.shape[1] == rows.shape[1] and len(place) >= len(rows):
                return place
        return torch.empty_like(rows)
