"""The integer Transformer once more, in Python's unbounded integers, one token and one number at a time.

Written from the formulas, not from the code: what fits in 64 bits there cannot matter here, so equality shows
both that the formulas are followed and that nothing overflowed.
"""

from math import isqrt

from zipllm.model.transformer.parameters import TransformerParameters

Vector = list[int]


def rounded_shift(x: int, shift: int) -> int:
    return (x + (1 << (shift - 1))) >> shift


def clamp(x: int, limit: int) -> int:
    return max(-limit, min(limit, x))


def length(x: Vector) -> int:
    squares = sum(v * v for v in x)
    root = isqrt(squares)
    return max(1, root + (root * root < squares))


def unit8(x: Vector, constant: int, divisor: int) -> Vector:
    return [clamp(rounded_shift(v * (constant // divisor), 40), 127) for v in x]


class Oracle:
    """One stream; `feed` returns the cumulative frequencies after a token."""

    def __init__(self, model: TransformerParameters) -> None:
        self.config = model.config
        self.t = {name: tensor.tolist() for name, tensor in model.tensors().items()}
        self.head = model.head.tolist()
        self.past: list[list[tuple[Vector, Vector]]] = [[] for _ in range(model.config.layers)]
        self.limit = min((1 << 22) - 1, isqrt(((1 << 53) - 1) // model.config.width))

    def feed(self, token: int) -> list[int]:
        t = self.t
        multiplier, shift = t["embedding_multiplier"][token], t["embedding_shift"][0]
        x = [clamp(rounded_shift(e * multiplier, shift), self.limit) for e in t["embedding"][token]]
        for layer in range(self.config.layers):
            y = unit8(x, t["attention_norm"][layer], length(x))
            x = self.add(x, self.attention(y, layer))
            y = unit8(x, t["feedforward_norm"][layer], length(x))
            active = [max(0, min(4095, v)) for v in self.linear("up", y, layer)]
            squared = [min(127, (a * a + 65536) >> 17) for a in active]
            x = self.add(x, self.linear("down", squared, layer))
        return self.cumulative(self.logits(unit8(x, t["final_norm"][0], length(x))))

    def add(self, x: Vector, change: Vector) -> Vector:
        return [clamp(a + b, self.limit) for a, b in zip(x, change, strict=True)]

    def linear(self, name: str, y: Vector, layer: int) -> Vector:
        rows, multipliers = self.t[name][layer], self.t[f"{name}_multiplier"][layer]
        return self.product(rows, multipliers, self.t[f"{name}_shift"][layer], y)

    def logits(self, y: Vector) -> Vector:
        return self.product(self.head, self.t["head_multiplier"], self.t["head_shift"][0], y)

    def product(self, rows: list[Vector], multipliers: Vector, shift: int, y: Vector) -> Vector:
        sums = [sum(w * v for w, v in zip(row, y, strict=True)) for row in rows]
        return [rounded_shift(s * m, shift) for s, m in zip(sums, multipliers, strict=True)]

    def attention(self, y: Vector, layer: int) -> Vector:
        t, size = self.t, self.config.head_size
        query = [clamp(v, 32767) for v in self.linear("query", y, layer)]
        raw = [clamp(v, 32767) for v in self.linear("key", y, layer)]
        value = [clamp(v, 127) for v in self.linear("value", y, layer)]
        heads = [slice(h * size, (h + 1) * size) for h in range(self.config.heads)]
        key: Vector = []
        for h, part in enumerate(heads):
            key += unit8(raw[part], t["key_norm"][layer][h], length(raw[part]))
        self.past[layer].append((key, value))
        window = self.past[layer][-self.config.window :][::-1]  # by distance
        mixed: Vector = []
        for h, part in enumerate(heads):
            unit = unit8(query[part], t["query_norm"][layer][h], length(query[part]))
            scores = []
            for distance, (k, _) in enumerate(window):
                dot = sum(a * b for a, b in zip(unit, k[part], strict=True))
                scaled = rounded_shift(dot * t["score_multiplier"][layer][h], t["score_shift"][layer][h])
                scores.append(scaled + t["position_bias"][layer][h][distance])
            table = t["attention_exponential"]
            weights = [table[min(max(scores) - s, len(table) - 1)] for s in scores]
            sums = [sum(w * v[part][d] for w, (_, v) in zip(weights, window, strict=True)) for d in range(size)]
            mixed += unit8(sums, t["mixing_scale"][layer][h], sum(weights))
        return self.linear("output", mixed, layer)

    def cumulative(self, logits: Vector) -> list[int]:
        table, largest = self.t["frequency_exponential"], max(logits)
        weights = [table[min(largest - v, len(table) - 1)] for v in logits]
        ratio = (((1 << 24) - len(logits)) << 32) // sum(weights)
        counts = [1 + ((w * ratio) >> 32) for w in weights]
        counts[logits.index(largest)] += (1 << 24) - sum(counts)
        result = [0]
        for count in counts:
            result.append(result[-1] + count)
        return result
