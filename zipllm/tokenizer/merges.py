"""Merges of byte-pair encoding as pairs of ids, and how model files store them.

Ids count tokens in creation order: the given first tokens, then every new byte string that a merge makes. Foreign
tokenizers also have merges that need a token which only a later one makes. Files then hold the merges by length of
their tokens, which puts parts first, and beside them their ranks.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence

import numpy as np

from zipllm.tokenizer.base import MAX_TOKEN_BYTES

MAX_VOCABULARY = 262_144
MAX_VOCABULARY_BYTES = 1 << 24
"""All tokens together; vocabularies of open models have one to three million bytes."""
MAX_MERGES = 1 << 20

Pairs = Sequence[tuple[int, int]]
SINGLE_BYTES = tuple(bytes([value]) for value in range(256))


def created_tokens(merges: Pairs, first: Sequence[bytes] = SINGLE_BYTES, most: int = MAX_VOCABULARY) -> list[bytes]:
    """Return byte strings in creation order.

    Args:
        merges: pairs of ids, parts before what is made of them.
        first: tokens that no merge makes, distinct.
        most: tokens allowed.

    Raises:
        ValueError: a merge names an id that does not exist yet or makes too long a token, or there are too many.
    """
    created = list(first)
    known, total = set(created), sum(map(len, created))
    for left, right in merges:
        if not (0 <= left < len(created) and 0 <= right < len(created)):
            raise ValueError(f"bpe merge ({left}, {right}) names a token that does not exist yet")
        token = created[left] + created[right]
        if len(token) > MAX_TOKEN_BYTES:
            raise ValueError(f"a bpe merge makes a token longer than {MAX_TOKEN_BYTES} bytes")
        if token not in known:
            known.add(token)
            created.append(token)
            total += len(token)
        if len(created) > most:
            raise ValueError(f"bpe vocabulary is larger than {most} tokens")
        if total > MAX_VOCABULARY_BYTES:
            raise ValueError(f"tokens have more than {MAX_VOCABULARY_BYTES} bytes together")
    return created


def by_rank(merges: Pairs, ranks: Sequence[int]) -> list[tuple[int, int]]:
    """Return merges in the order in which they apply.

    Args:
        merges: pairs of ids.
        ranks: place of each merge in that order; empty if they are in it.

    Raises:
        ValueError: ranks are not every number below that of the merges, once.
    """
    if not ranks:
        return list(merges)
    order = np.argsort(ranks, kind="stable")
    if len(ranks) != len(merges) or not np.array_equal(np.asarray(ranks)[order], np.arange(len(merges))):
        raise ValueError("ranks are not one for each merge")
    return [merges[place] for place in order.tolist()]


def number_merges(
    merges: Sequence[tuple[str, str]], first: Iterable[str], length: dict[str, int]
) -> tuple[list[tuple[int, int]], list[int], list[str]]:
    """Turn merges of texts into pairs of ids; merges whose parts nothing makes are left out, as they never apply.

    Args:
        merges: parts of each, by rank.
        first: tokens that no merge makes, distinct.
        length: bytes of every token.

    Returns:
        Pairs, their ranks (empty if pairs are in order of rank), and all tokens in creation order.
    """
    first = list(first)
    pairs, tokens = _numbered(merges, range(len(merges)), first)
    if len(pairs) == len(merges):
        return [pair for _, pair in pairs], [], tokens
    order = sorted(range(len(merges)), key=lambda rank: (length[merges[rank][0]] + length[merges[rank][1]], rank))
    pairs, tokens = _numbered(merges, order, first)
    places = [place for place, _ in pairs]
    ranks = np.argsort(np.argsort(places)).tolist()
    return [pair for _, pair in pairs], [] if ranks == sorted(ranks) else ranks, tokens


def _numbered(
    merges: Sequence[tuple[str, str]], order: Iterable[int], first: list[str]
) -> tuple[list[tuple[int, tuple[int, int]]], list[str]]:
    ids = {token: id_ for id_, token in enumerate(first)}
    pairs = []
    for place in order:
        left, right = merges[place]
        if left in ids and right in ids:
            pairs.append((place, (ids[left], ids[right])))
            ids.setdefault(left + right, len(ids))
    return pairs, list(ids)


def pack(numbers: object) -> str:
    """Return integers below ``2**32`` as base64 of 32-bit words."""
    return base64.b64encode(np.array(numbers, dtype="<u4").tobytes()).decode("ascii")


def unpack(encoded: object, what: str) -> list[int]:
    """Return integers from base64 of 32-bit words. Raises ``ValueError``."""
    raw = _raw(encoded, what, 4 * MAX_MERGES)
    if len(raw) % 4:
        raise ValueError(f"bpe {what} are not 32-bit numbers")
    numbers: list[int] = np.frombuffer(raw, dtype="<u4").tolist()
    return numbers


def unpack_pairs(encoded: object, width: int = 4) -> list[tuple[int, int]]:
    """Return pairs of ids, each of ``width`` bytes, from base64. Raises ``ValueError``."""
    raw = _raw(encoded, "merges", 2 * width * MAX_MERGES)
    if len(raw) % (2 * width):
        raise ValueError(f"bpe merges are not pairs of {8 * width}-bit ids")
    return list(map(tuple, np.frombuffer(raw, dtype=f"<u{width}").reshape(-1, 2).tolist()))


def _raw(encoded: object, what: str, most: int) -> bytes:
    if not isinstance(encoded, str):
        raise ValueError(f"bpe {what} are not a base64 string")
    if len(encoded) > 4 * (most // 3 + 1):
        raise ValueError(f"bpe {what} are more than {MAX_MERGES}")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"bpe {what} are not valid base64") from error
