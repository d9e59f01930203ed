"""The bytes that each token of a foreign tokenizer stands for.

Two families of vocabularies are made of bytes, so that every byte string has tokens:

- *byte level* (GPT-2 and most since; Radford et al. 2019): a token is written with 256 printable characters, one for
  each byte;
- *byte fallback* (SentencePiece, as Llama has it; Kudo and Richardson 2018): a token is text in which ``▁`` stands for
  a space, and 256 tokens ``<0x00>`` to ``<0xFF>`` stand for single bytes.

Others, as WordPiece, forget blanks, case or accents, and have no tokens for what they do not know.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

SPACE = "▁"
"""What SentencePiece writes for a blank."""

_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")
_PRINTED = (*range(33, 127), *range(161, 173), *range(174, 256))
"""Bytes that the byte level writes as the character of the same number; the others follow from 256 on."""

_LETTERS = {chr(value): value for value in _PRINTED} | {
    chr(256 + place): value for place, value in enumerate(sorted(set(range(256)) - set(_PRINTED)))
}
_WRITTEN = {value: letter for letter, value in _LETTERS.items()}


def bytes_of_tokens(description: Mapping[str, Any]) -> dict[int, bytes]:
    """Return the bytes of every id that stands for some; ids of special tokens are left out.

    Where a byte has an ordinary token and the ``<0x..>`` one, both are given.

    Args:
        description: of a tokenizer, as ``tokenizer.json`` has it.

    Raises:
        ValueError: its tokens are not made of bytes.
    """
    model = description["model"]
    spell = bytes_of_letters if is_byte_level(description) else _spell_text
    if spell is _spell_text and not _falls_back(description):
        raise ValueError(
            f"its tokens ({model['type']}) are pieces of text, and what they forget of it does not come back"
        )
    spelled = {id_: spell(text) for text, id_ in _pieces(model)}
    added = {int(token["id"]): token for token in description.get("added_tokens") or ()}
    spelled |= {id_: token["content"].encode() for id_, token in added.items()}
    special = {id_ for id_, token in added.items() if token["special"]} | _unknown(model)
    return {id_: token for id_, token in spelled.items() if token and id_ not in special}


def is_byte_fallback(text: str) -> bool:
    """Whether a token's text is that of a single byte, as ``<0x0A>``."""
    return _BYTE.fullmatch(text) is not None


def is_byte_level(description: Mapping[str, Any]) -> bool:
    """Whether tokens are written with one character for each byte."""
    return "ByteLevel" in {part["type"] for key in ("decoder", "pre_tokenizer") for part in parts(description.get(key))}


def letters_of(data: bytes) -> str:
    """Return how the byte level writes some bytes."""
    return "".join(map(_WRITTEN.__getitem__, data))


def bytes_of_letters(text: str) -> bytes:
    """Return the bytes of a token of the byte level; none if a character stands for no byte."""
    values = [_LETTERS.get(letter, -1) for letter in text]
    return b"" if -1 in values else bytes(values)


def parts(stage: Any) -> Iterator[dict[str, Any]]:
    """Yield what a stage of a tokenizer is made of: itself, or the members of a sequence."""
    if stage is None:
        return
    members = next((stage[key] for key in ("decoders", "pretokenizers", "normalizers") if key in stage), None)
    if members is None:
        yield stage
    else:
        for member in members:
            yield from parts(member)


def texts_of_tokens(description: Mapping[str, Any]) -> dict[int, str]:
    """Return how each id of the model is written, added tokens left out."""
    return {id_: text for text, id_ in _pieces(description["model"])}


def _pieces(model: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        yield from vocabulary.items()
    else:  # Unigram: pairs of text and score
        yield from ((text, id_) for id_, (text, _) in enumerate(vocabulary))


def _falls_back(description: Mapping[str, Any]) -> bool:
    return bool(description["model"].get("byte_fallback")) or any(
        part["type"] == "ByteFallback" for part in parts(description.get("decoder"))
    )


def _unknown(model: Mapping[str, Any]) -> set[int]:
    """Return the id of the token for what is unknown."""
    found = {id_ for text, id_ in _pieces(model) if text == model.get("unk_token")}
    return found if model.get("unk_id") is None else found | {int(model["unk_id"])}


def _spell_text(text: str) -> bytes:
    byte = _BYTE.fullmatch(text)
    return bytes([int(byte[1], 16)]) if byte else text.replace(SPACE, " ").encode()
