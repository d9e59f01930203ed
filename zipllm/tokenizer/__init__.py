"""Bytes to token ids and back. Every tokenizer here is lossless for every byte string.

base         what every tokenizer promises
byte         one token per byte
bpe          byte-level byte-pair encoding
token_bytes  the bytes behind each token of a foreign tokenizer
restore      a tokenizer from its description in a model file
"""

from zipllm.tokenizer.base import Tokenizer
from zipllm.tokenizer.bpe import BpeTokenizer, train_bpe
from zipllm.tokenizer.byte import ByteTokenizer
from zipllm.tokenizer.restore import tokenizer_from_dict

__all__ = ["BpeTokenizer", "ByteTokenizer", "Tokenizer", "tokenizer_from_dict", "train_bpe"]
