"""Bytes to token ids and back. Every tokenizer here is lossless for every byte string."""

from zipllm.tokenizer.base import Tokenizer, tokenizer_from_dict
from zipllm.tokenizer.bpe import BpeTokenizer, train_bpe
from zipllm.tokenizer.byte import ByteTokenizer

__all__ = ["BpeTokenizer", "ByteTokenizer", "Tokenizer", "tokenizer_from_dict", "train_bpe"]
