"""What computes an integer Transformer on this machine: the reference, compiled kernels, or first one, then the other.

Each is checked by the model's self-test before its first use. The choice never changes a byte.
"""

import importlib
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import UsageError, means_out_of_memory
from zipllm.jit.compiled import COMPILES
from zipllm.model_file.file import Model
from zipllm.model_file.self_test import run_self_test
from zipllm.predictor.base import Selection

if TYPE_CHECKING:
    from zipllm.model.integer import State

KERNELS = "ZIPLLM_KERNELS"
"""Environment variable: ``reference``, ``cpu`` or ``cuda`` instead of the automatic choice."""

TRITON = (3, 6)
"""Oldest version of Triton that compiles the kernels of a GPU."""
CAPABILITY = (8, 0)
"""Oldest generation of GPUs that Triton has int8 products for (Ampere)."""

PATIENCE = 2.0
"""Seconds that the reference may compute in one lane before kernels are compiled: with the import of torch less than
that takes, so a small input never waits for it, and where the reference is slow every later run gains."""

_SINGLE_STEPS = 4
"""Tokens of the self-test that are fed one by one, the rest as one pass."""

Lanes = NDArray[np.int32] | None

_log = logging.getLogger(__name__)


class Network(Protocol):
    """Token ids to cumulative frequencies; see ``zipllm.predictor.base`` for the promises."""

    @property
    def name(self) -> str:
        """What computes, for messages."""

    @property
    def concurrent(self) -> bool:
        """Whether threads of Python gain from predicting side by side, each with a state of its own."""

    def start(self, lanes: int) -> Any:
        """Return the state of ``lanes`` streams that have been fed nothing."""

    def predict_into(
        self,
        state: Any,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        out: NDArray[np.int32],
        threads: int,
        selection: Selection | None = None,
    ) -> None:
        """Put what ``predict`` gives into ``out``, with that many threads; what is wanted of it, if ``concurrent``."""

    def copies(self, state: Any, lanes: int) -> Any:
        """Return the state of ``lanes`` streams that have each been fed what stream 0 of ``state`` was."""

    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]:
        """Feed int32 ``[n, time]`` to lanes ``[n]``, or to all; int32 ``[n, time, vocabulary + 1]``.

        Raises:
            MemoryError: there is no room for what is computed.
        """


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise ``MemoryError`` where torch says in its own way that there is no memory left, on a GPU for example."""
    try:
        yield
    except RuntimeError as error:
        if means_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise


@memory_errors()
def choose_network(model: Model, device: str) -> Network:
    """Return what computes a model on a device; torch is imported only where it does.

    On a CPU that is compiled kernels, unless ``ZIPLLM_KERNELS`` says otherwise or numba does not work; where
    they have never been compiled, the reference goes first with a small input, which is done before they are. On a CUDA
    device it is Triton kernels, where there is a Triton that compiles them; elsewhere the reference.

    Raises:
        MemoryError: there is no room for the model.
        ModelInvalid: its self-test fails.
        UsageError: ``ZIPLLM_KERNELS`` asks for what does not exist here.
    """
    wanted = os.environ.get(KERNELS, "") or "auto"
    if wanted not in ("auto", "reference", "cpu", "cuda"):
        raise UsageError(f"{KERNELS}={wanted}: it is reference, cpu, cuda or not set")
    kind = device.partition(":")[0]
    possible = kind == "cpu" and COMPILES
    if wanted == "cpu" and not possible:
        raise UsageError(f"{KERNELS}=cpu: the compiled kernels need a working numba and --device cpu")
    on_gpu = kind == "cuda" and triton_works(device)
    if wanted == "cuda" and not on_gpu:
        needs = f"Triton {'.'.join(map(str, TRITON))}, --device cuda and a GPU of compute capability 8.0"
        raise UsageError(f"{KERNELS}=cuda: the kernels need {needs}, or newer")
    if on_gpu and wanted != "reference":
        return _tested(model, CudaKernels(model, device))
    if wanted == "reference" or not possible:
        return _tested(model, Reference(model, device))
    from zipllm.kernels.cpu.network import kernels_are_cached

    if wanted == "auto" and not kernels_are_cached():
        return LateKernels(model)
    return _tested(model, Kernels(model))


def triton_works(device: str) -> bool:
    """Whether this machine's Triton compiles the kernels for a CUDA device."""
    import torch

    try:
        triton = importlib.import_module("triton")  # its distribution has more than one name
    except ImportError:
        return False
    version = tuple(int(number) for number in triton.__version__.split(".")[:2])
    return version >= TRITON and torch.cuda.get_device_capability(device) >= CAPABILITY


class _Alone(ABC):
    """A network with threads of its own, or none."""

    concurrent = False

    @abstractmethod
    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]:
        """As ``Network``."""

    def predict_into(
        self,
        state: Any,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        out: NDArray[np.int32],
        threads: int,
        selection: Selection | None = None,
    ) -> None:
        assert selection is None, "asked for only where a network is concurrent"
        out[:] = self.predict(state, tokens, lanes)


class Reference(_Alone):
    """The plain torch engine, on any device."""

    def __init__(self, model: Model, device: str) -> None:
        from zipllm.model.integer import IntegerTransformer

        self.name = f"reference on {device}"
        self._network = IntegerTransformer(model.integer, device)

    @memory_errors()
    def start(self, lanes: int) -> "State":
        return self._network.start(lanes)

    @memory_errors()
    def copies(self, state: "State", lanes: int) -> "State":
        keys, values = (ring[:, :1].repeat_interleave(lanes, 1) for ring in (state.keys, state.values))
        return type(state)(keys, values, state.positions[:1].repeat_interleave(lanes))

    @memory_errors()
    def predict(self, state: "State", tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]:
        import torch

        chosen = None if lanes is None else torch.from_numpy(lanes)
        hidden = self._network.forward(state, torch.from_numpy(np.ascontiguousarray(tokens)), chosen)
        cumulative: NDArray[np.int32] = self._network.cumulative(hidden).cpu().numpy()
        return cumulative


class Kernels:
    """The compiled engine, on the CPU."""

    name = "cpu kernels"
    concurrent = True

    def __init__(self, model: Model) -> None:
        from zipllm.kernels.cpu.network import CpuTransformer

        self._network = CpuTransformer(model.integer)

    def start(self, lanes: int) -> Any:
        return self._network.start(lanes)

    def copies(self, state: Any, lanes: int) -> Any:
        from zipllm.kernels.cpu.cache import copied

        return copied(state, lanes)

    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]:
        return self._network.predict(state, tokens, lanes)

    def predict_into(
        self,
        state: Any,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        out: NDArray[np.int32],
        threads: int,
        selection: Selection | None = None,
    ) -> None:
        self._network.predict_into(state, tokens, lanes, out, threads, selection)

    def take_over(self, state: "State") -> Any:
        """Return the reference's state in the kernels' form."""
        from zipllm.kernels.cpu.cache import from_reference

        return from_reference(self._network.config, state)


class CudaKernels(_Alone):
    """Triton kernels, on a GPU."""

    def __init__(self, model: Model, device: str) -> None:
        from zipllm.kernels.gpu.network import CudaTransformer

        self.name = f"cuda kernels on {device}"
        self._network = CudaTransformer(model.integer, device)

    @memory_errors()
    def start(self, lanes: int) -> Any:
        return self._network.start(lanes)

    @memory_errors()
    def copies(self, state: Any, lanes: int) -> Any:
        return self._network.copies(state, lanes)

    @memory_errors()
    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]:
        return self._network.predict(state, tokens, lanes)

    @memory_errors()
    def select(
        self,
        state: Any,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        columns: NDArray[np.int32],
        wanted: NDArray[np.int32],
    ) -> NDArray[np.int32]:
        """As ``CudaTransformer``."""
        return self._network.select(state, tokens, lanes, columns, wanted)


@dataclass
class _LateState:
    """Attributes: ``inner``, the state of whatever computes; ``early``, whether that is still the reference."""

    inner: Any
    early: bool


class LateKernels:
    """The reference, until so much has been asked for that compiling kernels pays; then those.

    Several lanes are a long block (``codec.lanes``): then it pays at once. Each is tested when it is needed first.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._reference: Reference | None = None
        self._kernels: Kernels | None = None
        self._spent = 0.0
        self._lock = Lock()

    @property
    def name(self) -> str:
        network = self._kernels or self._reference
        return "nothing yet" if network is None else network.name

    @property
    def concurrent(self) -> bool:
        return self._kernels is not None

    def start(self, lanes: int) -> _LateState:
        kernels = self._compiled() if lanes > 1 else self._kernels
        return _LateState((kernels or self._tested_reference()).start(lanes), early=kernels is None)

    def copies(self, state: _LateState, lanes: int) -> _LateState:
        source = self._tested_reference() if state.early else self._compiled()
        return _LateState(source.copies(state.inner, lanes), state.early)

    def predict(self, state: _LateState, tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]:
        kernels = self._compiled() if self._spent > PATIENCE else self._kernels
        if kernels is None:
            begin = time.perf_counter()
            prediction = self._tested_reference().predict(state.inner, tokens, lanes)
            self._spent += time.perf_counter() - begin
            return prediction
        if state.early:
            state.inner, state.early = kernels.take_over(state.inner), False
        return kernels.predict(state.inner, tokens, lanes)

    def predict_into(
        self,
        state: _LateState,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        out: NDArray[np.int32],
        threads: int,
        selection: Selection | None = None,
    ) -> None:
        assert self._kernels is not None, "concurrent only with kernels"
        self._kernels.predict_into(state.inner, tokens, lanes, out, threads, selection)

    def _tested_reference(self) -> Reference:
        with self._lock:
            if self._reference is None:
                reference = Reference(self._model, "cpu")
                _tested(self._model, reference)
                self._reference = reference
            return self._reference

    def _compiled(self) -> Kernels:
        """Return the kernels, compiled by their self-test."""
        with self._lock:
            if self._kernels is None:
                begin = time.perf_counter()
                _log.info("compiling kernels for this processor; this happens once")
                kernels = Kernels(self._model)
                _tested(self._model, kernels)
                self._kernels = kernels
                _log.info("kernels compiled in %.1f s", time.perf_counter() - begin)
            return self._kernels


def _tested(model: Model, network: Network) -> Network:
    """Return ``network`` if it passes the model's self-test, as one pass and as single steps."""

    def run(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        state = network.start(1)
        together = max(1, len(tokens) - _SINGLE_STEPS)
        pieces = [tokens[None, :together], *(tokens[None, at : at + 1] for at in range(together, len(tokens)))]
        return np.concatenate([network.predict(state, piece)[0].copy() for piece in pieces])

    run_self_test(model.model_id, model.self_test, model.config, network.name, run)
    return network
