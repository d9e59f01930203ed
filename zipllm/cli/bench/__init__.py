"""``zipllm bench``."""
