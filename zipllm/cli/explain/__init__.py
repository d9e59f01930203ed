"""``zipllm explain``."""
