"""A model made ready to code: its identity, its tokenizer, its predictor and the tree of its decisions."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Union

from zipllm.container import ModelRecord
from zipllm.errors import ModelInvalid, ModelMismatch
from zipllm.huggingface.folder import find_folder, is_huggingface, load_folder, tokenizer_text
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.token_path import Vocabulary
from zipllm.predictor.base import Predictor
from zipllm.tokenizer.base import LosslessTokenizer

if TYPE_CHECKING:
    from zipllm.model_file.file import Model

KEPT_BYTES = 1 << 30
"""Limit on the model files whose engines stay in memory; the last engine always does."""

ModelFile = Callable[[], bytes]
"""Gives the bytes of the whole model file; called only when the archive is to carry them."""


@dataclass(frozen=True, eq=False)
class Engine:
    """Everything the codec needs of a model. Immutable, so blocks that are coded side by side may share one.

    Attributes:
        model_id: SHA-256 of the model's canonical content, or of ``numerics``, 32 bytes.
        tokenizer: bytes <-> token ids.
        predictor: token ids -> frequencies; same vocabulary as the tokenizer.
        model_file: for embedding; None when the model has no file.
        numerics: what the frequencies depend on, for a model whose floats only this machine reproduces; None for a
            model that computes the same everywhere.
        side_by_side: whether coding several blocks at a time is faster, as on a GPU. On a processor the threads of the
            predictor share one block already.
        tree: the decisions of the vocabulary.
        vocabulary: the same, for coding with history.

    Raises:
        ModelInvalid: tokenizer and predictor have different vocabularies.
    """

    model_id: bytes
    tokenizer: LosslessTokenizer
    predictor: Predictor
    model_file: ModelFile | None = None
    numerics: bytes | None = None
    side_by_side: bool = False
    tree: DecisionTree = field(init=False)
    vocabulary: Vocabulary = field(init=False)

    def __post_init__(self) -> None:
        tokens = self.predictor.vocabulary
        if self.tokenizer.vocabulary != tokens:
            raise ModelInvalid(
                f"the tokenizer has {len(self.tokenizer.vocabulary)} tokens, the predictor {len(tokens)}, or their "
                "order differs"
            )
        object.__setattr__(self, "tree", DecisionTree.from_vocabulary(tokens))
        object.__setattr__(self, "vocabulary", Vocabulary.of(self.tree, tokens))


EngineSource = Union[Engine, Callable[[], Engine], None]  # noqa: UP007  # evaluated at run time, | needs types
"""An engine, or how to get one when a block first needs it, or None: conventional codings only."""

EngineFinder = Callable[[bytes], Engine]
"""From a 32-byte model_id to its engine. Raises ``ModelNotFound`` or another ``ModelError``."""


class LazyEngine:
    """Gets the engine at the first call and keeps it; most archives of binary data never need one.

    Threads that ask at the same time get the same one.
    """

    def __init__(self, get: Callable[[], Engine]) -> None:
        self._get = get
        self._engine: Engine | None = None
        self._lock = Lock()

    def __call__(self) -> Engine:
        """Return the engine, loading it the first time."""
        with self._lock:
            if self._engine is None:
                self._engine = self._get()
            return self._engine


def lazy_engine(source: EngineSource) -> LazyEngine | None:
    """Give every kind of ``EngineSource`` one shape."""
    if source is None:
        return None
    return LazyEngine((lambda: source) if isinstance(source, Engine) else source)


def check_model(wanted: ModelRecord, engine: Engine) -> Engine:
    """Return ``engine`` if it is the model that the archive names.

    Raises:
        ModelMismatch: it is another one; the message names both, or in what two machines differ.
    """
    if engine.model_id == wanted.model_id:
        return engine
    if wanted.numerics is None or engine.numerics is None:
        raise ModelMismatch(
            f"the archive was written with model {wanted.model_id.hex()}, the model given is {engine.model_id.hex()}"
        )
    from zipllm.huggingface.numerics import differences, read_record

    told = differences(read_record(wanted.numerics), read_record(engine.numerics))
    raise ModelMismatch(f"the archive is not portable, and was written where other floats are computed: {told}")


def engine_from_model(model: "Model", device: str = "cpu") -> Engine:
    """Make a loaded model file ready to code.

    Args:
        model: from ``zipllm.model_file.file`` or ``zipllm.model_file.store``.
        device: where the predictor computes: "cpu" or "cuda". The archive is the same for all.

    Raises:
        ModelInvalid: the model fails its self-test here.
    """
    from zipllm.model_file.file import model_to_bytes
    from zipllm.predictor.model import ModelPredictor

    predictor = ModelPredictor(model, device)
    file = partial(model_to_bytes, model)
    return Engine(model.model_id, model.tokenizer, predictor, file, side_by_side=device != "cpu")


class KeptEngines:
    """Engines that stay in memory, for as long as their model files take at most ``KEPT_BYTES`` together.

    Keys name contents, never files: a file may be replaced, and a relative path leads elsewhere after ``chdir``.
    """

    def __init__(self) -> None:
        self._engines: OrderedDict[Hashable, tuple[Engine, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, size: int, make: Callable[[], Engine]) -> Engine:
        """Return the engine of a key; threads that ask at the same time get the same one."""
        with self._lock:
            if key not in self._engines:
                self._engines[key] = make(), size
            self._engines.move_to_end(key)
            while len(self._engines) > 1 and sum(size for _, size in self._engines.values()) > KEPT_BYTES:
                self._engines.popitem(last=False)
            return self._engines[key][0]

    def clear(self) -> None:
        """Forget all."""
        self._engines.clear()


kept = KeptEngines()


def engine_from_model_file(data: bytes, device: str = "cpu") -> Engine:
    """Make an embedded model file ready to code, on a device; the last ones are kept in memory.

    Raises:
        ModelInvalid: damaged, hostile, or failing its self-test.
        LimitExceeded: larger than the limits for model files.
    """
    from zipllm.model_file.file import model_from_bytes

    key = ("embedded", hashlib.sha256(data).digest(), device)
    return kept.get(key, len(data), lambda: engine_from_model(model_from_bytes(data), device))


def load_engine(query: str | Path | None = None, device: str = "cpu") -> Engine:
    """Load a model by name, path or id (hexadecimal), as ``hf:FOLDER`` or ``hub:OWNER/NAME``, or the default model.

    The last ones are kept in memory.

    Raises:
        ModelNotFound: no such model is installed.
        ModelInvalid: its file is damaged or fails its self-test; or the Hugging Face library cannot load it, or it is
            not causal.
        MissingPackage: it needs a library that is not installed.
    """
    if is_huggingface(query):
        import torch  # only these models always need it

        folder = find_folder(str(query))
        # With another number of threads it computes other floats.
        key: Hashable = (folder.state(), device, torch.get_num_threads())
        return kept.get(key, folder.size(), lambda: huggingface_engine(str(query), device))
    from zipllm.model_file.file import load_model_file
    from zipllm.model_file.store import DEFAULT_MODEL, ModelStore

    store = ModelStore.default()
    found = store.find(DEFAULT_MODEL if query is None else query)
    make = partial(load_model_file, found.path, store.limits)
    return kept.get((found.model_id, device), found.size, lambda: engine_from_model(make(), device))


def require_model(query: str) -> None:
    """Find a model without loading it, so that a wrong name is an error even if no data needs it; as `load_engine`."""
    from zipllm.model_file.store import ModelStore

    if is_huggingface(query):
        find_folder(query)
    else:
        ModelStore.default().find(query)


def find_engine(model_id: bytes, device: str = "cpu") -> Engine:
    """Load the model with this id; an ``EngineFinder``.

    Raises:
        ModelNotFound: it is not installed.
        ModelInvalid: its file is damaged or fails its self-test.
    """
    from zipllm.model_file.store import ModelStore

    store = ModelStore.default()
    found = store.find_by_id(model_id)
    make = partial(store.load_by_id, model_id)
    return kept.get((model_id, device), found[0].size, lambda: engine_from_model(make(), device))


def huggingface_engine(query: str, device: str = "cpu") -> Engine:
    """Make a causal model of the Hugging Face library ready to code, on this machine only; errors: ``load_engine``."""
    from zipllm.huggingface.numerics import numerics
    from zipllm.huggingface.predictor import HuggingFacePredictor
    from zipllm.huggingface.tokenizer import HuggingFaceTokenizer

    folder = find_folder(query)
    if folder.kind != "causal":
        raise ModelInvalid(
            f"{folder.architecture} predicts a token from both sides, so no decoder can follow it; use eval to measure "
            "it on a text"
        )
    loaded = load_folder(folder, device)
    try:
        tokenizer = HuggingFaceTokenizer(tokenizer_text(loaded), loaded.rows)
    except ValueError as error:
        raise ModelInvalid(f"the tokenizer of {str(folder.path)!r} cannot give bytes back: {error}") from error
    predictor = HuggingFacePredictor(loaded, tokenizer)
    record = numerics(loaded, predictor)
    return Engine(hashlib.sha256(record).digest(), tokenizer, predictor, numerics=record)
