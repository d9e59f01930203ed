"""The network of a model file as a predictor, computed by the fastest implementation that works on this machine.

Every implementation passes the model's self-test before its first use. The choice never changes a byte.
"""

import importlib
import logging
import os

from zipllm.errors import UsageError, memory_errors
from zipllm.jit.compiled import COMPILES
from zipllm.machine import threads as usual_threads
from zipllm.model.architecture import architecture_of
from zipllm.model.config import NetworkConfig
from zipllm.model_file.file import Model
from zipllm.predictor.base import PRECISION, Traits
from zipllm.predictor.late import LateNetwork
from zipllm.predictor.network import ModelNetwork, ReferenceNetwork, kernels_of, tested

KERNELS = "ZIPLLM_KERNELS"
"""Environment variable: ``reference``, ``cpu`` or ``cuda`` overrides the automatic choice."""

TRITON = (3, 6)
"""Oldest version of Triton that compiles the kernels of a GPU."""
CAPABILITY = (8, 0)
"""Oldest generation of GPUs that Triton has int8 products for (Ampere)."""

MANY_PARAMETERS = 1 << 26
"""More than caches hold: a step of one lane waits for memory, as a step of several does."""

_log = logging.getLogger(__name__)


class ModelPredictor:
    """Predicts with the integer network of a model file; the frequencies do not depend on what computes them.

    Args:
        model: loaded or built, its bounds checked.
        device: the name of a torch device.

    Raises:
        MemoryError: the model does not fit into memory.
        ModelInvalid: the model's self-test fails on this device.
        UsageError: ``ZIPLLM_KERNELS`` asks for something that does not exist here.
    """

    def __init__(self, model: Model, device: str = "cpu") -> None:
        self.vocabulary: tuple[bytes, ...] = model.tokenizer.vocabulary
        self.precision: int = PRECISION
        self.start_token: int = model.config.start_token
        self.lane_bytes: int = lane_bytes(model.config)
        self._costly_steps = sum(model.config.parameter_counts()) > MANY_PARAMETERS
        self.network = network_for(model, device)
        self.start = self.network.start
        self.predict = self.network.predict
        self.copy = self.network.copy
        self.rewind = self.network.rewind

    @property
    def traits(self) -> Traits:
        threads = usual_threads() if self.network.concurrent else 1
        selects = self.network.selects or threads > 1
        return Traits(threads, selects=selects, copies=True, costly_steps=self._costly_steps)


@memory_errors()
def network_for(model: Model, device: str) -> ModelNetwork:
    """Return the implementation that computes a model on a device; only those that need torch import it.

    On a CPU that is compiled kernels, unless ``ZIPLLM_KERNELS`` says otherwise or numba does not work. Where they were
    never compiled, the reference computes first, which is done with a small input before they would be. On a CUDA
    device it is Triton kernels where Triton can compile them, elsewhere the reference.

    Raises:
        MemoryError: the model does not fit into memory.
        ModelInvalid: its self-test fails.
        UsageError: ``ZIPLLM_KERNELS`` asks for something that does not exist here.
    """
    wanted = os.environ.get(KERNELS, "") or "auto"
    if wanted not in ("auto", "reference", "cpu", "cuda"):
        raise UsageError(f"{KERNELS}={wanted}: it is reference, cpu, cuda or not set")
    kind, packages = device.partition(":")[0], architecture_of(model.config).kernels
    possible = kind == "cpu" and "cpu" in packages and COMPILES
    if wanted == "cpu" and not possible:
        raise UsageError(f"{KERNELS}=cpu: the compiled kernels need a working numba and --device cpu")
    if wanted == "cuda" and "gpu" not in packages:
        raise UsageError(f"{KERNELS}=cuda: there are no kernels of a GPU for {model.config.architecture} models")
    on_gpu = kind == "cuda" and "gpu" in packages and triton_works(device)
    if wanted == "cuda" and not on_gpu:
        needs = f"Triton {'.'.join(map(str, TRITON))}, --device cuda and a GPU of compute capability 8.0"
        raise UsageError(f"{KERNELS}=cuda: the kernels need {needs}, or newer")
    if on_gpu and wanted != "reference":
        network: ModelNetwork = kernels_of(model, "gpu").GpuNetwork(model.integer, device)
        return tested(model, network)
    if wanted == "reference" or not possible:
        return tested(model, ReferenceNetwork(model, device))
    kernels = kernels_of(model, "cpu")
    if wanted == "auto" and not kernels.kernels_are_cached():
        return LateNetwork(model)
    network = kernels.CpuNetwork(model.integer)
    return tested(model, network)


def lane_bytes(config: NetworkConfig) -> int:
    """Return the memory of one lane's state: one number for all networks of a model, so all accept the same archives.

    The reference needs less.
    """
    packages = architecture_of(config).kernels
    if "cpu" not in packages:
        return config.state_bytes
    size: int = importlib.import_module(f"{packages['cpu']}.layout").lane_bytes(config)
    return size


def triton_works(device: str) -> bool:
    """Whether this machine's Triton compiles the kernels for a CUDA device."""
    import torch

    try:
        triton = importlib.import_module("triton")  # its distribution has more than one name
    except ModuleNotFoundError:
        return False
    except (ImportError, OSError) as error:
        _log.warning("zipllm: triton does not load, so the reference computes on %s (%s)", device, error)
        return False
    version = tuple(int(number) for number in triton.__version__.split(".")[:2])
    return version >= TRITON and torch.cuda.get_device_capability(device) >= CAPABILITY
