"""``zipllm train``."""
