"""Which reader a checkpoint needs, by what its path or name leads to."""

from pathlib import Path

from zipllm.errors import ModelInvalid
from zipllm.foreign.checkpoint import Checkpoint
from zipllm.foreign.folder import read_folder
from zipllm.foreign.gguf_file import read_gguf
from zipllm.foreign.gguf_header import MAGIC
from zipllm.huggingface.folder import CONFIG, find_folder, is_huggingface
from zipllm.model_file.summary import open_model_file


def is_checkpoint(source: str) -> bool:
    """Whether a source is something that `read_checkpoint` takes, by its kind alone."""
    path = Path(source).expanduser()
    if is_huggingface(source) or (path / CONFIG).exists():
        return True
    if not path.is_file():
        return False
    with open_model_file(path) as (stream, _):
        return stream.read(len(MAGIC)) == MAGIC


def read_checkpoint(source: str, *, window: int, kept: int) -> Checkpoint:
    """Read an open model of the Llama family.

    Args:
        source: a GGUF file, a folder of the Hugging Face library, or ``hub:OWNER/NAME``, which is fetched (``hf:``
            finds what was fetched before; both need transformers).
        window: most tokens that a layer shall see.
        kept: first tokens that every token attends to.

    Raises:
        MissingPackage: a package of the extra ``llm`` or ``hf`` is not installed.
        ModelNotFound: there is nothing of that name.
        ModelInvalid: it is damaged, hostile, or of a kind that is not read.
        FileError: it cannot be read.
    """
    if is_huggingface(source):
        folder, name = find_folder(source).path, source.partition(":")[2].rstrip("/")
        on_disk = folder == Path(name).expanduser()
        return read_folder(folder, window=window, kept=kept, name=None if on_disk else name)
    path = Path(source).expanduser()
    if path.is_dir():
        return read_folder(path, window=window, kept=kept)
    with open_model_file(path) as (stream, _):
        magic = stream.read(len(MAGIC))
    if magic != MAGIC:
        raise ModelInvalid(f"{source!r} is neither a GGUF file nor a folder with a model")
    return read_gguf(path, window=window, kept=kept)
