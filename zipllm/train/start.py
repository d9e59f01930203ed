"""What a fine-tuning run starts from: a model file, restored to float weights, or the checkpoint of another run."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from zipllm.errors import FileError
from zipllm.model.architecture import architecture_of
from zipllm.model.float_network import FloatNetwork
from zipllm.model_file.store import ModelStore
from zipllm.tokenizer import Tokenizer
from zipllm.train.checkpoint import load_best, newest_checkpoint
from zipllm.train.vocabulary import read_tokenizer


@dataclass(frozen=True)
class Start:
    """Float weights to go on from, their tokenizer, and their name for the card."""

    model: FloatNetwork
    tokenizer: Tokenizer
    name: str


def load_start(query: str, store: ModelStore | None = None) -> Start:
    """Load the weights to go on from.

    The folder of a run gives its best checkpoint, else its newest. A model file holds integers only: float weights
    restored from them lose about the rounding of int8. The optimizer always begins afresh.

    Raises:
        ModelError: no such model, or not a usable one.
        FileError: the run has no checkpoint, or it cannot be read.
    """
    folder = Path(query)
    if folder.is_dir():
        return _from_run(folder)
    model = (store or ModelStore.default()).load(query)
    network = architecture_of(model.config).restore(model.integer)
    return Start(network, model.tokenizer, f"{model.card.name} ({model.model_id.hex()[:16]})")


def _from_run(folder: Path) -> Start:
    newest = newest_checkpoint(folder, lambda text: None)
    if newest is None:
        raise FileError(f"{folder} is not the folder of a run: it has no checkpoint")
    model, state = load_best(newest)
    model.set_rounding(False)
    model.final_clip.zero_()
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    digest = hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    if state.prepared.get("tokenizer.json", digest) != digest:
        raise FileError(f"{folder}/tokenizer.json is not the tokenizer of the run's checkpoints")
    return Start(model, tokenizer, f"{folder.name} at step {state.step}")
