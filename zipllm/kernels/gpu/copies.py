"""Copies of predictions from a GPU to the host, while the next ones are computed.

They have a stream of their own. When page-locked memory is freed, in any thread at any time, torch records an event in
the streams that used it; in the computing stream, that would break a graph that another thread is capturing.
"""

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from zipllm.kernels.gpu.memory import Mark, Order

PLACES = 3
"""Buffers in which predictions wait to be copied."""


class Copies:
    """Brings predictions to the host. Callers hold the order.

    Args:
        order: of the work that computes them.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._stream = torch.cuda.Stream(order.device) if order.stream is not None else None
        self._places: deque[tuple[Tensor, Mark]] = deque()

    def hand_over(self, rows: Tensor, hosts: Sequence[Tensor]) -> tuple[Mark, Mark]:
        """Start to copy rows that the next work will overwrite.

        Args:
            rows: int32 ``[n, d]``, on the device.
            hosts: int32 ``[n_i, d]``, page-locked: receive the first ``n_0`` rows, the next ``n_1``, and so on.

        Returns:
            The points at which the rows are computed, and at which all are on the host.
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
        """Start to copy rows that stay unchanged, and return the point at which they have arrived.

        Args:
            rows: int32, on the device.
            hosts: as ``hand_over``.
            computed: the point at which the rows are computed; None: the current one.
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
        """Return a buffer on the device that is free when its turn in the order comes."""
        if len(self._places) == PLACES:
            place, copied = self._places.popleft()
            copied.before(torch.cuda.current_stream())
            if place.shape[1] == rows.shape[1] and len(place) >= len(rows):
                return place
        return torch.empty_like(rows)
