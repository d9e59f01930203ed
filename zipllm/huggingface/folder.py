"""Models of the Hugging Face library: a folder is checked, then loaded into torch.

``hf:FOLDER`` names a model, as does ``hf:OWNER/NAME`` if it was fetched from the hub before; neither needs a network.
``hub:OWNER/NAME`` asks the hub and fetches what is missing.

No code of a folder runs: weights are read from safetensors only (other formats are pickle), and architectures are those
of the library (``trust_remote_code`` is off).
"""

import hashlib
import importlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zipllm.errors import FileError, ModelInvalid, ModelNotFound, import_extra, memory_errors

LOCAL, HUB = "hf:", "hub:"
CONFIG, WEIGHTS = "config.json", "*.safetensors"

MOST_CONTEXT = 2048
"""Longest context, whatever the model allows: keys and values of all its tokens stay in memory."""

_CONTEXT_NAMES = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "max_seq_length",
    "seq_length", "max_target_positions",
)  # fmt: skip
_FETCHED = ["*.json", WEIGHTS, "merges.txt", "vocab.txt", "*.model"]
_TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")
_MOST_CONFIG_BYTES = 1 << 20
_MOST_LAYERS = 4096
_CHUNK = 1 << 20

Kind = Literal["causal", "masked"]


@dataclass(frozen=True)
class Folder:
    """A folder's description of its model, before anything is loaded.

    Attributes:
        path: the folder.
        architecture: class of the model in the library.
        kind: ``causal`` predicts a token from those before it, ``masked`` from both sides.
    """

    path: Path
    architecture: str
    kind: Kind

    def state(self) -> tuple[object, ...]:
        """Return place, size and times of its files: another content has another state."""
        files = [(file.name, file.stat()) for file in sorted(self.path.iterdir()) if file.is_file()]
        return tuple((name, s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in files)

    def size(self) -> int:
        """Return the bytes of its files."""
        return sum(file.stat().st_size for file in self.path.iterdir() if file.is_file())


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    Attributes:
        folder: its source.
        network: the library's module, in evaluation mode.
        tokenizer: the library's tokenizer.
        device: "cpu" or "cuda".
        rows: number of ids that it predicts.
        context: most tokens that it sees, up to ``MOST_CONTEXT``.
        parameters: their number.
        digest: SHA-256 over config, tokenizer and weights, hexadecimal.
    """

    folder: Folder
    network: Any
    tokenizer: Any
    device: str
    rows: int
    context: int
    parameters: int
    digest: str


def is_huggingface(query: object) -> bool:
    """Whether a model's name has the prefix ``hf:`` or ``hub:``."""
    return isinstance(query, str) and query.startswith((LOCAL, HUB))


def find_folder(query: str) -> Folder:
    """Check the folder of a model, without loading it.

    Args:
        query: ``hf:FOLDER``, ``hf:OWNER/NAME`` or ``hub:OWNER/NAME``.

    Raises:
        MissingPackage: the library is not installed or does not load.
        ModelNotFound: the folder does not exist, or the hub has no such model.
        ModelInvalid: it holds no language model, or one that can be read only by running code.
        FileError: it cannot be read.
    """
    _library()
    path = _path(query)
    architecture = _architecture(path)
    if not sorted(path.glob(WEIGHTS)):
        raise ModelInvalid(f"{str(path)!r} has no {WEIGHTS}; weights in other forms are not read, they can run code")
    if not any(file for pattern in _TOKENIZERS for file in path.glob(pattern)):
        raise ModelInvalid(f"{str(path)!r} has no tokenizer ({', '.join(_TOKENIZERS)})")
    return Folder(path, architecture, _kind(path, architecture))


def load_folder(folder: Folder, device: str) -> Loaded:
    """Load weights and tokenizer; in float32 on the CPU, in the number format of the weights on CUDA.

    Raises:
        ModelInvalid: they cannot be loaded, are incomplete, or need code or a missing package.
    """
    library = _library()
    auto = library.AutoModelForCausalLM if folder.kind == "causal" else library.AutoModelForMaskedLM
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_size(folder, auto, library.AutoConfig.from_pretrained(folder.path, **options))
            network, report = auto.from_pretrained(
                folder.path,
                use_safetensors=True,
                dtype="float32" if device == "cpu" else "auto",
                attn_implementation="eager",
                output_loading_info=True,
                **options,
            )
            tokenizer = library.AutoTokenizer.from_pretrained(folder.path, **options)
    except ModelInvalid:
        raise
    except Exception as error:  # a folder's contents can raise anything in the library
        raise ModelInvalid(f"{str(folder.path)!r} cannot be loaded: {_line(error)}") from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelInvalid(f"{str(folder.path)!r} lacks {len(missing)} of its weights, as {missing[0]}")
    network = network.eval().to(device)
    text = network.config.get_text_config()
    return Loaded(
        folder=folder,
        network=network,
        tokenizer=tokenizer,
        device=device,
        rows=int(network.get_output_embeddings().weight.shape[0]),
        context=_context(text),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        digest=_digest(folder.path),
    )


def ask(loaded: Loaded, **inputs: Any) -> Any:
    """Return what a model's module computes, without gradients.

    Raises:
        ModelInvalid: the module fails, for example because it cannot see as many tokens as its config says.
        MemoryError: memory, of the processor or of a GPU, has run out.
    """
    import torch

    try:
        with memory_errors(), torch.inference_mode():
            return loaded.network(**inputs)
    except MemoryError:
        raise
    except Exception as error:  # a foreign module can raise anything
        name = f"{loaded.folder.architecture} of {str(loaded.folder.path)!r}"
        raise ModelInvalid(f"{name} fails while it computes: {_line(error)}") from error


def _context(config: Any) -> int:
    """Return the most tokens that a model sees, by the first name that its config has for it."""
    for name in _CONTEXT_NAMES:
        found = getattr(config, name, None)
        if isinstance(found, int) and found > 0:
            return min(found, MOST_CONTEXT)
    return MOST_CONTEXT


def _check_size(folder: Folder, auto: Any, config: Any) -> None:
    """Compare the declared size with that of the weights, before memory is allocated for it.

    Raises:
        ModelInvalid: the config declares more than eight parameters for each byte of the weights.
    """
    import torch

    layers = int(getattr(config.get_text_config(), "num_hidden_layers", None) or 0)
    if layers > _MOST_LAYERS:
        raise ModelInvalid(f"{str(folder.path)!r} declares {layers} layers, more than {_MOST_LAYERS}")
    with torch.device("meta"):
        network = auto.from_config(config, trust_remote_code=False)
    declared = sum(parameter.numel() for parameter in network.parameters())
    held = sum(file.stat().st_size for file in folder.path.glob(WEIGHTS))
    if declared > 8 * held:
        raise ModelInvalid(f"{str(folder.path)!r} declares {declared} parameters, its weights have {held} bytes")


def tokenizer_text(loaded: Loaded) -> str:
    """Return the JSON of the model's tokenizer.

    Raises:
        ModelInvalid: it does not come from the ``tokenizers`` library.
    """
    backend = getattr(loaded.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelInvalid(f"the tokenizer of {str(loaded.folder.path)!r} is not one of the tokenizers library")
    return str(backend.to_str())


def _library() -> Any:
    """Import the library with its messages and progress bars off. Raises ``MissingPackage``."""
    library = import_extra("transformers", "a Hugging Face model needs transformers: pip install 'zipllm[hf]'")
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
    return library


def _path(query: str) -> Path:
    prefix, name = query.split(":", 1)
    path = Path(name).expanduser()
    if prefix + ":" == LOCAL and name and path.is_dir():
        return path
    if prefix + ":" == LOCAL and (path.exists() or not _is_hub_name(name)):
        raise ModelNotFound(f"{name!r} is not a folder with a Hugging Face model")
    return _fetch(name, fetch=prefix + ":" == HUB)


def _is_hub_name(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith("/")


def _fetch(name: str, *, fetch: bool) -> Path:
    """Return the folder of a model of the hub: the local copy, or fetched."""
    hub = importlib.import_module("huggingface_hub")  # comes with transformers
    try:
        return Path(hub.snapshot_download(name, allow_patterns=_FETCHED, local_files_only=not fetch))
    except Exception as error:  # from the network, the hub, or the disk
        if fetch:
            raise ModelNotFound(f"{name!r} cannot be fetched from the hub: {_line(error)}") from error
        hint = f"there is no folder {name!r}, and no model of the hub of that name was fetched before"
        raise ModelNotFound(f"{hint} ({HUB}{name} fetches it)") from error


def _architecture(path: Path) -> str:
    try:
        with (path / CONFIG).open("rb") as stream:
            text = stream.read(_MOST_CONFIG_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelInvalid(f"{str(path)!r} has no {CONFIG}: it is not the folder of a Hugging Face model") from error
    except OSError as error:
        raise FileError(f"cannot read {str(path / CONFIG)!r}: {error.strerror}") from error
    try:
        config = json.loads(text[:_MOST_CONFIG_BYTES])
        architecture = config["architectures"][0]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ModelInvalid(f"{str(path / CONFIG)!r} does not name an architecture") from error
    return str(architecture)


def _kind(path: Path, architecture: str) -> Kind:
    names = importlib.import_module("transformers.models.auto.modeling_auto")
    if architecture in names.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        return "causal"
    if architecture in names.MODEL_FOR_MASKED_LM_MAPPING_NAMES.values():
        return "masked"
    raise ModelInvalid(f"{str(path)!r} holds a {architecture[:80]}, which is not a model of the next token")


def _digest(path: Path) -> str:
    """Return the SHA-256 over names and contents of all files that determine what the model computes."""
    digest = hashlib.sha256()
    names = {file.name for pattern in _FETCHED for file in path.glob(pattern) if file.is_file()}
    for name in sorted(names):
        content = hashlib.sha256()
        with (path / name).open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                content.update(chunk)
        digest.update(f"{content.hexdigest()}  {name}\n".encode())
    return digest.hexdigest()


def _line(error: Exception) -> str:
    """Return the first line of a library's message."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
