"""Every model that a user can name, made ready to code: model files, and folders of the Hugging Face library."""

from zipllm.engine import engine as model_files
from zipllm.engine.engine import Engine
from zipllm.huggingface.folder import is_huggingface


def named_engine(query: str | None, device: str = "cpu") -> Engine:
    """Load a model by name, path or id (hexadecimal), as ``hf:FOLDER`` or ``hub:OWNER/NAME``, or the default model.

    Raises:
        ModelNotFound: there is none.
        ModelInvalid: its file is damaged or fails its self-test; or the library cannot load it, or it is not causal.
        UsageError: it needs a library that is not installed.
    """
    if query is None or not is_huggingface(query):
        return model_files.load_engine(query, device)
    import torch  # only these models always need it

    from zipllm.engine.huggingface import kept_engine

    return kept_engine(query, device, torch.get_num_threads())
