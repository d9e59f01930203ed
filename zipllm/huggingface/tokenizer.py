"""The tokenizer of a Hugging Face model, made lossless: tokens whose bytes join to any given bytes.

The library's own tokenizer finds the tokens, without its normalization, leading space and special tokens; then most
text comes back unchanged. The rest, like invalid UTF-8, is written with the longest token that fits at each place.
"""

import copy
import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as _Library

from zipllm.tokenizer.base import MAX_TOKEN_BYTES, check_vocabulary
from zipllm.tokenizer.bpe import chunks
from zipllm.tokenizer.token_bytes import (
    SPACE,
    bytes_of_tokens,
    is_byte_fallback,
    is_byte_level,
    parts,
    texts_of_tokens,
)

_NO_TEXT = re.compile("([\udc80-\udcff]+)")
"""Bytes that do not decode, as the ``surrogateescape`` handler shows them (PEP 383)."""

_FEW = 16
"""Texts up to this many characters are not halved when the library does not give them back."""


class HuggingFaceTokenizer:
    """Bytes to tokens and back.

    Args:
        text: JSON of the ``tokenizers`` library.
        rows: number of ids that the model predicts; the vocabulary may name more.

    Attributes:
        vocabulary: byte strings of the tokens, sorted; V entries.
        model_ids: int64 ``[V]``, the model's id of each token.
        doubles: int64 ``[n, 2]``, further ids with the bytes of a token: token, id.
        left_out: number of ids that are no tokens: special, unused, or too long.

    Raises:
        ValueError: the JSON cannot be read, its tokens are not made of bytes, or a byte has no token.
    """

    def __init__(self, text: str, rows: int) -> None:
        description = _parse(text)
        spelled = {
            id_: token
            for id_, token in bytes_of_tokens(description).items()
            if id_ < rows and len(token) <= MAX_TOKEN_BYTES
        }
        self.vocabulary: tuple[bytes, ...] = tuple(sorted(set(spelled.values())))
        _check(self.vocabulary)
        self._rank = {token: rank for rank, token in enumerate(self.vocabulary)}
        self._longest = max(map(len, self.vocabulary))
        self.model_ids, self.doubles = self._ids(spelled, texts_of_tokens(description))
        self.left_out = rows - len(spelled)
        self._token_of = np.full(max(rows, max(spelled) + 1), -1, dtype=np.int32)
        for id_, token in spelled.items():
            self._token_of[id_] = self._rank[token]
        self._library = _Library.from_str(json.dumps(_plain(description)))

    def encode(self, data: bytes) -> NDArray[np.int32]:
        ids: list[int] = []
        for chunk in chunks(data):
            for part in filter(None, _NO_TEXT.split(chunk.decode("utf-8", "surrogateescape"))):
                if _NO_TEXT.match(part):
                    ids += self._longest_tokens(part.encode("utf-8", "surrogateescape"))
                else:
                    ids += self._tokens(part)
        return np.array(ids, dtype=np.int32)

    def encode_all(self, pieces: Sequence[bytes]) -> list[NDArray[np.int32]]:
        return [self.encode(piece) for piece in pieces]

    def decode(self, ids: Iterable[int]) -> bytes:
        return b"".join([self.vocabulary[token] for token in ids])

    def _ids(self, spelled: dict[int, bytes], texts: dict[int, str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Choose an id for each token: text rather than ``<0x..>``, then the smallest."""
        order = sorted(spelled, key=lambda id_: (self._rank[spelled[id_]], is_byte_fallback(texts.get(id_, "")), id_))
        chosen, doubles = [], []
        for token, same in groupby(order, key=lambda id_: self._rank[spelled[id_]]):
            first, *others = same
            chosen.append(first)
            doubles += [(token, id_) for id_ in others]
        return np.array(chosen, dtype=np.int64), np.array(doubles, dtype=np.int64).reshape(-1, 2)

    def _tokens(self, text: str) -> list[int]:
        """Return the library's tokens if they join to the text; else those of its halves."""
        found = self._library.encode(text, add_special_tokens=False).ids
        tokens = [int(self._token_of[id_]) if id_ < self._token_of.size else -1 for id_ in found]
        if -1 not in tokens and self.decode(tokens) == text.encode():
            return tokens
        if len(text) <= _FEW:
            return self._longest_tokens(text.encode())
        middle = len(text) // 2
        return self._tokens(text[:middle]) + self._tokens(text[middle:])

    def _longest_tokens(self, data: bytes) -> list[int]:
        """Return the longest token at each place; every single byte is a token."""
        tokens, at = [], 0
        while at < len(data):
            lengths = range(min(self._longest, len(data) - at), 0, -1)
            length = next(length for length in lengths if data[at : at + length] in self._rank)
            tokens.append(self._rank[data[at : at + length]])
            at += length
        return tokens


def _parse(text: str) -> dict[str, Any]:
    """Return the description as the installed library spells it; files of older versions lack members."""
    try:
        description = json.loads(_Library.from_str(text).to_str())
    except Exception as error:  # the library raises nothing more precise
        raise ValueError(f"it cannot be read: {error}") from error
    assert isinstance(description, dict), "the library writes an object"
    return description


def _check(vocabulary: tuple[bytes, ...]) -> None:
    missing = sorted(set(range(256)) - {token[0] for token in vocabulary if len(token) == 1})
    if missing:
        raise ValueError(f"{len(missing)} of the 256 bytes have no token, as {missing[-1]:#04x}")
    check_vocabulary(vocabulary)


def _plain(description: dict[str, Any]) -> dict[str, Any]:
    """Return a tokenizer that adds, drops and changes nothing."""
    plain = copy.deepcopy(description)
    added = [token for token in plain.get("added_tokens") or () if not token["special"]]
    plain |= {"added_tokens": added, "normalizer": None, "post_processor": None, "truncation": None, "padding": None}
    if plain["model"].get("dropout") is not None:
        plain["model"]["dropout"] = None  # it would draw tokens at random
    stages = list(parts(plain.get("pre_tokenizer")))
    for stage in stages:
        stage |= {"add_prefix_space": False} if "add_prefix_space" in stage else {}
        stage |= {"prepend_scheme": "never"} if stage["type"] == "Metaspace" else {}
    if not is_byte_level(description) and not any(stage["type"] == "Metaspace" for stage in stages):
        plain["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    return plain
