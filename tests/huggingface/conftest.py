"""Models for the tests of this folder."""

from tests.huggingface.fixtures import bert, gpt2, llama

__all__ = ["bert", "gpt2", "llama"]
