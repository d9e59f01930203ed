"""``zipllm classify``."""
