"""What every token cost, as an object of JSON."""

import base64

from zipllm.cli.results import file_json
from zipllm.measure.explanation import Explanation
from zipllm.report.words import alone_bits


def explanation_json(explanation: Explanation, source: str, offset: int) -> dict[str, object]:
    """Return all numbers; ``source`` is a path or ``-``, ``offset`` that of the first byte explained, in the file.

    Offsets of tokens count bytes of the file, or of its UTF-8 form where ``encoding`` is not null.
    """
    model_id = explanation.model_id
    return file_json("explain", source) | {
        "offset": offset,
        "raw_bytes": len(explanation.raw),
        "encoding": explanation.encoding,
        "coding": explanation.coding.name.lower(),
        "history": explanation.history,
        "lanes": explanation.lanes,
        "model": None if model_id is None else model_id.hex(),
        "bits": explanation.bits,
        "model_bits": alone_bits(explanation),
        "payload_bytes": explanation.payload_bytes,
        "container_bytes": explanation.container_bytes,
        "compressed_bytes": explanation.archive_bytes,
        "compress": {
            "coding": explanation.compress_coding.name.lower(),
            "compressed_bytes": explanation.compress_bytes,
        },
        "tokens": _tokens(explanation, offset),
    }


def _tokens(explanation: Explanation, offset: int) -> list[dict[str, object]]:
    costs, opinions, vocabulary = explanation.costs, explanation.costs.opinions, explanation.vocabulary
    records: list[dict[str, object]] = []
    columns = (costs.tokens.tolist(), costs.bits.tolist(), costs.lanes.tolist(), explanation.lengths)
    for number, (token, bits, lane, length) in enumerate(zip(*columns, strict=True)):
        record = {"offset": offset, "id": token, **_bytes_json(vocabulary[token]), "lane": lane, "bits": bits}
        if opinions is not None:
            top = zip(opinions.top[number].tolist(), opinions.top_frequency[number].tolist(), strict=True)
            record |= {
                "rank": int(opinions.rank[number]),
                "probability": int(opinions.frequency[number]) / explanation.whole,
                "top": [
                    {"id": id_, **_bytes_json(vocabulary[id_]), "probability": frequency / explanation.whole}
                    for id_, frequency in top
                ],
            }
        records.append(record)
        offset += length
    return records


def _bytes_json(token: bytes) -> dict[str, object]:
    """Return a token under ``text``; if it is not UTF-8, ``base64`` also holds the real bytes."""
    try:
        return {"text": token.decode("utf-8")}
    except UnicodeDecodeError:
        return {"text": token.decode("utf-8", "replace"), "base64": base64.b64encode(token).decode("ascii")}
