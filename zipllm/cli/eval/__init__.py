"""``zipllm eval``."""
