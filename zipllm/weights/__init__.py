"""The model files that ship with zipllm, each with its card: ``<name>.safetensors`` and ``<name>.md``."""
