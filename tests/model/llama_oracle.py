"""The integer Llama once more, in Python's unbounded integers: one lane, one token at a time, no tensors.

It follows the text of the arithmetic, not the code: where it agrees with the reference, nothing there overflowed.
"""

import math
from typing import Any

from zipllm.model.llama.parameters import LlamaParameters

Row = list[int]


def _shift(value: int, bits: int) -> int:
    return (value + (1 << (bits - 1))) >> bits


def _clamp(value: int, limit: int) -> int:
    return max(-limit, min(limit, value))


class Oracle:
    """Feeds a stream from its first token on."""

    def __init__(self, model: LlamaParameters) -> None:
        self.config = model.config
        self.model: dict[str, Any] = {name: array.tolist() for name, array in model.values.items()}
        self.model["head"] = model.head.tolist()
        self.memory: list[list[tuple[list[Row], Row, list[Row], Row]]] = [[] for _ in range(model.config.layers)]

    def feed(self, token: int) -> Row:
        """Return the logits after a token."""
        model = self.model
        shift = model["embedding_shift"][0]
        multiplier = model["embedding_multiplier"][token]
        x = [_clamp(_shift(weight * multiplier, shift), 2**30 - 1) for weight in model["embedding"][token]]
        for layer in range(self.config.layers):
            for gain, part in (("attention_gain", self._attention), ("feedforward_gain", self._feedforward)):
                place = 0 if part == self._attention else 2
                change = part(*self._norm(x, model[gain][layer], model["levels"][layer][place]), layer)
                x = [_clamp(a + b, 2**30 - 1) for a, b in zip(x, change, strict=True)]
        return self._linear("head", *self._norm(x, model["final_gain"], model["final_levels"][0]), None)

    def _norm(self, x: Row, gain: Row, levels: int) -> tuple[Row, int]:
        length = self._length(x, self.model["epsilon"][0])
        values, scale = self._round([_shift(a * g, 20) for a, g in zip(x, gain, strict=True)], levels)
        return values, (scale << 24) // length

    def _length(self, x: Row, epsilon: int) -> int:
        largest = max(1, *(abs(value) for value in x))
        shift = max(0, largest.bit_length() - (52 - len(x).bit_length()) // 2)
        squares = sum((abs(value) >> shift) ** 2 for value in x) + (epsilon >> (2 * shift))
        root = math.isqrt(squares)
        return max(largest, (root + (root * root < squares)) << shift)

    def _round(self, x: Row, levels: int) -> tuple[Row, int]:
        largest = max(1, *(abs(value) for value in x))
        factor = (levels << 40) // largest
        return [_shift(value * factor, 40) for value in x], largest

    def _linear(self, name: str, values: Row, scale: int, layer: int | None) -> Row:
        names = (name, f"{name}_multiplier", f"{name}_shift", f"{name}_scale_shift")
        matrix, multipliers, first, behind = (self.model[n] if layer is None else self.model[n][layer] for n in names)
        if layer is None:
            first, behind = first[0], behind[0]
        bias = self.model.get(f"{name}_bias")
        result = []
        for row, multiplier in zip(matrix, multipliers, strict=True):
            total = sum(a * w for a, w in zip(values, row, strict=True))
            assert abs(total) < 2**31
            product = _shift(total * multiplier, first)
            assert abs(product) < 2**30
            result.append(_shift(product * scale, behind))
        if bias is not None and layer is not None:
            result = [a + b for a, b in zip(result, bias[layer], strict=True)]
        return [_clamp(value, 2**30 - 1) for value in result]

    def _heads(self, name: str, values: Row, scale: int, layer: int) -> list[Row]:
        flat, size = self._linear(name, values, scale, layer), self.config.head_size
        heads = [flat[at : at + size] for at in range(0, len(flat), size)]
        if not self.config.head_norms or name == "value":
            return heads
        gain, result = self.model[f"{name}_gain"][layer], []
        for head in heads:
            head = [_clamp(value, 2**20) for value in head]
            factor = self.model[f"{name}_norm"][layer] // self._length(head, 0)
            result.append([_shift(_shift(a * factor, 40) * g, 20) for a, g in zip(head, gain, strict=True)])
        return result

    def _rotate(self, head: Row, position: int) -> Row:
        table, half = self.model["cosine"], len(head) // 2
        left, right = [], []
        for pair, step in enumerate(self.model["rotary_step"]):
            index = _shift(position * step % 2**32, 32 - (len(table).bit_length() - 1))
            cosine, sine = table[index % len(table)], table[(index - len(table) // 4) % len(table)]
            a, b = head[pair], head[pair + half]
            left.append(_shift(a * cosine - b * sine, 14))
            right.append(_shift(a * sine + b * cosine, 14))
        return left + right

    def _store(self, heads: list[Row]) -> tuple[list[Row], Row]:
        rounded, scales = [], []
        for head in heads:
            head = [_clamp(value, 8 * 4095) for value in head]
            scale = max(1, (max(abs(value) for value in head) + 7) // 8)
            factor = (127 << 40) // (8 * scale)
            rounded.append([_shift(value * factor, 40) for value in head])
            scales.append(scale)
        return rounded, scales

    def _attention(self, values: Row, scale: int, layer: int) -> Row:
        config, model, memory = self.config, self.model, self.memory[layer]
        now = len(memory)
        raw = self._heads("query", values, scale, layer)
        keys = self._store([self._rotate(head, now) for head in self._heads("key", values, scale, layer)])
        memory.append((*keys, *self._store(self._heads("value", values, scale, layer))))
        gained, gains = [], model["mixed_gain"][layer]
        for number, head in enumerate(raw):
            group = number // (config.heads // config.key_heads)
            scores = {}
            for at in range(now + 1):
                if at < config.kept:
                    place = min(now, config.window + config.kept - 1)
                elif now - at < config.window:
                    place = now
                else:
                    continue
                query = [_clamp(value, 16_256) for value in self._rotate(head, place)]
                dot = sum(a * b for a, b in zip(query, memory[at][0][group], strict=True))
                product = _shift(dot, model["dot_shift"][0]) * memory[at][1][group]
                assert abs(product) + 2**11 < 2**31
                scaled = _shift(product, 12) * model["score_multiplier"][layer][number]
                assert abs(scaled) + 2**29 < 2**32
                scores[at] = _shift(scaled, model["score_shift"][layer][number])
            gained += self._mean(scores, layer, group)
        mixed = [_shift(value * gain, 20) for value, gain in zip(gained, gains, strict=True)]
        return self._linear("output", *self._round(mixed, model["levels"][layer][1]), layer)

    def _mean(self, scores: dict[int, int], layer: int, group: int) -> Row:
        table, largest = self.model["attention_exponential"], max(scores.values())
        weights = {at: table[min(largest - score, len(table) - 1)] for at, score in scores.items()}
        sums = [0] * self.config.head_size
        for at, weight in weights.items():
            scaled = _shift(weight * self.memory[layer][at][3][group], 12)
            sums = [a + scaled * b for a, b in zip(sums, self.memory[layer][at][2][group], strict=True)]
        assert all(abs(value) < 2**31 for value in sums)
        factor = (1 << 47) // sum(weights.values())
        return [_shift(value * factor, 30) for value in sums]

    def _feedforward(self, values: Row, scale: int, layer: int) -> Row:
        model, limit = self.model, 2**19 - 1
        gate, up = ([_clamp(v, limit) for v in self._linear(n, values, scale, layer)] for n in ("gate", "up"))
        table, gated = model["sigmoid"], []
        for a, b in zip(gate, up, strict=True):
            index = _shift(a * model["sigmoid_multiplier"][layer], 20) + len(table) // 2
            gated.append(_shift(_shift(a * table[max(0, min(index, len(table) - 1))], 15) * b, 8))
        return self._linear("down", *self._round(gated, model["levels"][layer][3]), layer)
