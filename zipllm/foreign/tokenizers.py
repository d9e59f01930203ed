"""Foreign tokenizers -> lossless ones, and the row of the checkpoint that each of their tokens has.

Two kinds are read: byte-level byte-pair encoding, and SentencePiece's with byte fallback. Only tokens that merges make
come along, which are those that text can have: added and special tokens, and text that merely looks like them, do not
become special. Normal forms are not applied.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import ModelInvalid
from zipllm.tokenizer import ByteLevelTokenizer, PiecesTokenizer, Tokenizer
from zipllm.tokenizer.base import MAX_TOKEN_BYTES
from zipllm.tokenizer.merges import MAX_MERGES, MAX_VOCABULARY_BYTES, SINGLE_BYTES, number_merges
from zipllm.tokenizer.patterns import PATTERNS, Stage
from zipllm.tokenizer.token_bytes import SPACE, bytes_of_letters, is_byte_fallback, letters_of, parts

Merges = Sequence[tuple[str, str]]
Rows = Mapping[str, int]
"""The checkpoint's row of each token, as the checkpoint writes it."""

START_NAMES = ("<|endoftext|>", "<|begin_of_text|>", "<|end_of_text|>", "<s>", "</s>")
"""Tokens between texts, where no field names one."""
UNKNOWN_NAMES = ("<unk>", "<|endoftext|>", "<|end_of_text|>", "</s>")

_GGUF_PATTERNS = {
    "default": "gpt2", "gpt-2": "gpt2", "gpt2": "gpt2", "smollm": "smollm", "llama-bpe": "llama3", "llama3": "llama3",
    "llama-v3": "llama3", "qwen2": "qwen2", "tekken": "tekken",
}  # fmt: skip
_WHOLE_WORDS = {"llama3", "tekken"}
_NORMAL, _UNUSED = 1, 5


@dataclass(frozen=True)
class ForeignTokenizer:
    """A tokenizer as a model file can hold it.

    Attributes:
        tokenizer: lossless for every byte string.
        rows: int64 ``[V]``, the checkpoint's row of each token.
        named: row of every token of the checkpoint by how it writes it, special ones too.
    """

    tokenizer: Tokenizer
    rows: NDArray[np.int64]
    named: Rows

    def starts(self, embedding: int, *given: object) -> tuple[int, ...]:
        """Return the given rows that are some, then those of known marks between texts; a new line if there are none.

        Args:
            embedding: number of rows.
            given: what the checkpoint's fields say, with None and lists among it.
        """
        flat = [row for item in given for row in (item if isinstance(item, list) else [item])]
        flat += [self.named[name] for name in START_NAMES if name in self.named]
        rows = [row for row in flat if type(row) is int and 0 <= row < embedding]
        return tuple(dict.fromkeys(rows)) or (int(self.rows[self.tokenizer.vocabulary.index(b"\n")]),)


def gguf_tokenizer(fields: Mapping[str, Any]) -> ForeignTokenizer:
    """Read the tokenizer of a GGUF file.

    Args:
        fields: of its header.

    Raises:
        ModelInvalid: it is missing, of another kind, or contradicts itself.
    """
    tokens = _texts(fields, "tokens")
    named: dict[str, int] = {}
    for row, text in enumerate(tokens):
        named.setdefault(text, row)
    unknown = _unknown_row(fields.get("tokenizer.ggml.unknown_token_id"), named)
    kind = fields.get("tokenizer.ggml.model")
    if kind == "gpt2":
        name = fields.get("tokenizer.ggml.pre", "default")
        if name not in _GGUF_PATTERNS:
            raise ModelInvalid(f"its tokenizer splits words as {str(name)[:40]!r} (known: {', '.join(_GGUF_PATTERNS)})")
        pattern = _GGUF_PATTERNS[name]
        merges = [_pair(text.partition(" ")[::2]) for text in _texts(fields, "merges")]
        return byte_level(named, merges, pattern, whole_words=pattern in _WHOLE_WORDS, unknown=unknown)
    if kind == "llama":
        return _scored_pieces(fields, tokens, named, unknown)
    raise ModelInvalid(f"its tokenizer is of the kind {str(kind)[:40]!r} (known: gpt2, llama)")


def json_tokenizer(description: Any) -> ForeignTokenizer:
    """Read the parsed content of a ``tokenizer.json``.

    Raises:
        ModelInvalid: it is of another kind, or contradicts itself.
    """
    try:
        return _json_tokenizer(description)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelInvalid(f"tokenizer.json is not as the tokenizers library writes it ({error!r})"[:200]) from error


def _json_tokenizer(description: Any) -> ForeignTokenizer:
    model = description["model"]
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind != "BPE":
        raise ModelInvalid(f"its tokenizer is of the kind {str(kind)[:40]!r} (known: BPE)")
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            raise ModelInvalid(f"its tokenizer has a {field}, which is not read")
    vocabulary = {text: _row(row) for text, row in model["vocab"].items()}
    merges = [_pair(item.partition(" ")[::2] if isinstance(item, str) else item) for item in model["merges"]]
    named = {token["content"]: _row(token["id"]) for token in description.get("added_tokens") or ()} | vocabulary
    unknown = _unknown_row(named.get(model.get("unk_token")), named)
    whole = model.get("ignore_merges") is True
    if model.get("byte_fallback") is True:
        _check_unsplit(description)
        ordinary = {text: row for text, row in vocabulary.items() if not is_byte_fallback(text)}
        bytes_ = {int(text[3:5], 16): row for text, row in vocabulary.items() if is_byte_fallback(text)}
        return pieces(named, ordinary, bytes_, merges, unknown=unknown)
    pattern = _pattern_of(description.get("pre_tokenizer"))
    return byte_level(named, merges, pattern, whole_words=whole, unknown=unknown, vocabulary=vocabulary)


def byte_level(
    named: Rows, merges: Merges, pattern: str, *, whole_words: bool, unknown: int, vocabulary: Rows | None = None
) -> ForeignTokenizer:
    """Make a byte-level tokenizer.

    Args:
        named: row of every token, written with a character for each byte; special ones may be among them.
        merges: parts of each, by rank.
        pattern: name of how words are split.
        whole_words: whether a word that is a token stays whole.
        unknown: row of single bytes that have no token.
        vocabulary: tokens that merges may make, by default all.

    Raises:
        ModelInvalid: the tokens are not made of bytes, or a merge makes none.
    """
    vocabulary = named if vocabulary is None else vocabulary
    letters = [letters_of(byte) for byte in SINGLE_BYTES]
    kept = _checked(merges, vocabulary, len)
    if not all(bytes_of_letters(left + right) for left, right in kept):
        raise ModelInvalid("its tokens are not made of bytes")
    pairs, ranks, created = number_merges(kept, letters, {text: len(text) for text in vocabulary})
    with _as_invalid():
        tokenizer = ByteLevelTokenizer(pairs, pattern, ranks=ranks, whole_words=whole_words)
    rows = {bytes_of_letters(text): vocabulary.get(text, unknown) for text in created}
    return ForeignTokenizer(tokenizer, _in_order(tokenizer, rows), named)


def pieces(named: Rows, ordinary: Rows, bytes_: Mapping[int, int], merges: Merges, *, unknown: int) -> ForeignTokenizer:
    """Make a tokenizer of SentencePiece's kind; the row of an ordinary character wins over that of its byte.

    Args:
        named: row of every token.
        ordinary: row of every piece of text, ``▁`` for a blank.
        bytes_: row of every single byte that has a token.
        merges: parts of each, by rank.
        unknown: row of single bytes that have no token.

    Raises:
        ModelInvalid: a merge makes no piece.
    """
    length = {text: len(text.replace(SPACE, " ").encode("utf-8", "replace")) for text in ordinary}
    kept = _checked(merges, ordinary, length.__getitem__)
    ascii_ = [SPACE if byte == ord(" ") else chr(byte) for byte in range(128)]
    singles = [text for text in ordinary if len(text) == 1 and text not in ascii_ and _is_text(text)]
    characters = sorted(set(singles) - {SPACE, " "})
    first = [*ascii_, *(f"<0x{byte:02X}>" for byte in range(128, 256)), *characters]
    pairs, ranks, created = number_merges(kept, first, length)
    with _as_invalid():
        tokenizer = PiecesTokenizer(pairs, "".join(characters), ranks=ranks)
    rows = {byte: bytes_.get(byte[0], unknown) for byte in SINGLE_BYTES}
    rows |= {text.replace(SPACE, " ").encode(): ordinary[text] for text in created if text in ordinary}
    return ForeignTokenizer(tokenizer, _in_order(tokenizer, rows), named)


def _scored_pieces(fields: Mapping[str, Any], tokens: list[str], named: Rows, unknown: int) -> ForeignTokenizer:
    """Read pieces with scores: any two pieces whose text is a piece merge, the best score first."""
    scores, kinds = _numbers(fields, "scores", len(tokens)), _numbers(fields, "token_type", len(tokens))
    ordinary: dict[str, int] = {}
    bytes_: dict[int, int] = {}
    for row, (text, kind) in enumerate(zip(tokens, kinds, strict=True)):
        if is_byte_fallback(text):
            bytes_.setdefault(int(text[3:5], 16), row)
        elif kind in (_NORMAL, _UNUSED) and 1 <= len(text) <= MAX_TOKEN_BYTES and _is_text(text):
            ordinary.setdefault(text, row)
    found = [
        (-scores[row], ordinary[text[:place]], ordinary[text[place:]], text, place)
        for text, row in ordinary.items()
        for place in range(1, len(text))
        if text[:place] in ordinary and text[place:] in ordinary
    ]
    _check_count(len(found))
    merges = [(text[:place], text[place:]) for *_, text, place in sorted(found)]
    return pieces(named, ordinary, bytes_, merges, unknown=unknown)


def _checked(merges: Merges, vocabulary: Rows, length: Any) -> list[tuple[str, str]]:
    """Return merges whose tokens are not too long. Raises ``ModelInvalid`` if parts or results are no tokens."""
    _check_count(len(merges))
    if sum(map(len, vocabulary)) > MAX_VOCABULARY_BYTES:
        raise ModelInvalid(f"its tokens have more than {MAX_VOCABULARY_BYTES} characters together")
    kept = []
    for left, right in merges:
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise ModelInvalid(f"its tokenizer merges {left[:40]!r} and {right[:40]!r}, which are not all its tokens")
        if length(left + right) <= MAX_TOKEN_BYTES:
            kept.append((left, right))
    return kept


def _check_count(merges: int) -> None:
    if merges > MAX_MERGES:
        raise ModelInvalid(f"its tokenizer has {merges} merges, more than {MAX_MERGES}")


def _in_order(tokenizer: Tokenizer, rows: Mapping[bytes, int]) -> NDArray[np.int64]:
    return np.array([rows[token] for token in tokenizer.vocabulary], dtype=np.int64)


def _pattern_of(stage: Any) -> str:
    """Return the name of the pattern that splits words as ``pre_tokenizer`` does."""
    stages = tuple(_stage(part) for part in parts(stage))
    for name, known in PATTERNS.items():
        if stages == known:
            return name
    raise ModelInvalid(f"its tokenizer splits words in a way that zipllm does not know: {str(stage)[:300]}")


def _stage(part: Mapping[str, Any]) -> Stage:
    if part["type"] == "ByteLevel":
        return ("words",) if part.get("use_regex", True) else ("bytes",)
    if part["type"] == "Digits" and part["individual_digits"] is True:
        return ("digits",)
    isolated = part.get("behavior") == "Isolated" and not part.get("invert")
    if part["type"] == "Split" and isolated and "Regex" in part["pattern"]:
        return ("split", part["pattern"]["Regex"])
    return ("unknown",)


def _check_unsplit(description: Mapping[str, Any]) -> None:
    """Refuse what splits or changes text, but for the blank in front of it and the sign for blanks."""
    stages = [*parts(description.get("normalizer")), *parts(description.get("pre_tokenizer"))]
    for stage in stages:
        prepends = stage["type"] == "Prepend" and stage["prepend"] == SPACE
        replaces = stage["type"] == "Replace" and stage["pattern"] == {"String": " "} and stage["content"] == SPACE
        metaspace = stage["type"] == "Metaspace" and stage["replacement"] == SPACE and stage.get("split") is False
        if not (prepends or replaces or metaspace or stage["type"] in ("NFC", "NFKC")):
            raise ModelInvalid(f"its tokenizer has a stage that zipllm does not know: {str(stage)[:300]}")


def _texts(fields: Mapping[str, Any], name: str) -> list[str]:
    values = fields.get(f"tokenizer.ggml.{name}")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ModelInvalid(f"it has no list of texts tokenizer.ggml.{name}")
    return values


def _numbers(fields: Mapping[str, Any], name: str, count: int) -> list[float]:
    values = fields.get(f"tokenizer.ggml.{name}")
    good = isinstance(values, list) and len(values) == count
    if not good or not all(isinstance(value, int | float) and math.isfinite(value) for value in values or ()):
        raise ModelInvalid(f"it has no list of numbers tokenizer.ggml.{name}, one for each token")
    return values or []


def _pair(item: Iterable[Any]) -> tuple[str, str]:
    pair = tuple(item)
    if len(pair) != 2 or not all(isinstance(text, str) and text for text in pair):
        raise ModelInvalid(f"its tokenizer has a merge that is no pair of texts: {str(pair)[:80]}")
    return pair


def _row(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise ModelInvalid(f"its tokenizer has an impossible id: {str(value)[:40]}")
    return value


def _unknown_row(given: Any, named: Rows) -> int:
    if type(given) is int and 0 <= given <= max(named.values(), default=-1):
        return given
    return next((named[name] for name in UNKNOWN_NAMES if name in named), 0)


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@contextmanager
def _as_invalid() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ModelInvalid(f"its tokenizer: {error}") from error
