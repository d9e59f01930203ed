"""Small tokenizers set up as the folders of open models have them, to compare ids with."""

import json
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tests.huggingface.learned_tokenizers import byte_fallback

TEXTS = [
    "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer\n",
    "The slings and arrows of outrageous fortune. 学而时习之，不亦说乎？ Ça va, naïve café? It's we'll I'M\n",
    "def main(argument: int) -> None:\n        return argument + 1984 * 2001  # 12345\r\n\r\n\tcamelCase HTTPServer\n",
] * 4
SAMPLES = [
    *TEXTS[:3],
    "",
    " ",
    "  leading and trailing  ",
    "a  1  22 333 4444 55555\n\n\n  x \n \r\n y\t\tz",
    "I'll WE'RE don't 'tis ''s",
    "学而时习之，不亦说乎？有朋自远方来。",
    "Über Straße ǅ ªº ١٢٣ Ⅷ ½ ²",
    "🎉🇩🇪👩‍👩‍👧 e\u0301 \u00a0\u2003\u3000 \u2028",
    "path/to/file//x !!! ///\n?/\n",
    "\x00\x01\x7f\x85",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GGUF_NAMES = {"gpt2": "gpt-2", "smollm": "smollm", "llama3": "llama-bpe", "qwen2": "qwen2", "tekken": "tekken"}


def split(name: str) -> Any:
    """The stage that splits words."""
    if name == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    regex = Regex({"llama3": LLAMA3, "qwen2": QWEN2, "tekken": TEKKEN}[name])
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(regex, "isolated"), letters])


def byte_level(name: str = "smollm", *, every_split: bool = False, lacking: int = 0) -> Tokenizer:
    """A tokenizer of the byte level.

    Args:
        name: how it splits words.
        every_split: whether it merges any two tokens that make one, by the rank of that, as Llama 3 does.
        lacking: single bytes without a token, from 0xff down.
    """
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = split(name)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    learned.train_from_iterator(TEXTS, trainer)
    model = json.loads(learned.to_str())["model"]
    lost = {chr(value) for value in range(256 - lacking, 256)}
    words = [*SPECIAL, *sorted(set(model["vocab"]) - lost, key=model["vocab"].__getitem__)]
    merges = [tuple(pair) for pair in model["merges"]]
    if every_split:
        known = set(words)
        pairs = ((word[:at], word[at:]) for word in words[len(SPECIAL) :] for at in range(1, len(word)))
        merges = [pair for pair in pairs if known.issuperset(pair)]
    vocabulary = {word: id_ for id_, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=every_split))
    tokenizer.pre_tokenizer, tokenizer.decoder = split(name), decoders.ByteLevel()
    tokenizer.normalizer = normalizers.NFC() if name == "qwen2" else None
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def words_of_pieces() -> Tokenizer:
    """A tokenizer of SentencePiece's kind, whose pieces have blanks at their beginning only, as those of Llama 2."""
    description = json.loads(byte_fallback().to_str())
    vocabulary = description["model"]["vocab"]
    inner = {word for word in vocabulary if "▁" in word.lstrip("▁")}
    kept = [word for word in sorted(vocabulary, key=vocabulary.__getitem__) if word not in inner]
    description["model"]["vocab"] = {word: id_ for id_, word in enumerate(kept)}
    merges = description["model"]["merges"]
    description["model"]["merges"] = [pair for pair in merges if set(kept).issuperset((*pair, "".join(pair)))]
    return Tokenizer.from_str(json.dumps(description))


def plain_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of text without a normal form and a blank in front."""
    again = Tokenizer.from_str(tokenizer.to_str())
    again.normalizer = None
    if again.pre_tokenizer is None:
        again.normalizer = normalizers.Replace(" ", "▁")
    ids: list[int] = again.encode(text, add_special_tokens=False).ids
    return ids


def gguf_fields(tokenizer: Tokenizer, pre: str) -> dict[str, Any]:
    """The tokenizer's fields in a GGUF file."""
    description = json.loads(tokenizer.to_str())
    vocabulary = description["model"]["vocab"]
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    fields: dict[str, Any] = {"tokenizer.ggml.tokens": words}
    if not description["model"]["byte_fallback"]:
        merges = [" ".join(pair) for pair in description["model"]["merges"]]
        kinds = [3 if word in SPECIAL else 1 for word in words]
        return fields | {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": pre,
            "tokenizer.ggml.merges": merges,
            "tokenizer.ggml.token_type": kinds,
            "tokenizer.ggml.bos_token_id": vocabulary[SPECIAL[1]],
            "tokenizer.ggml.eos_token_id": vocabulary[SPECIAL[2]],
        }
    kinds = [2, 3, 3, *([6] * 256), *([1] * (len(words) - 259))]
    return fields | {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.scores": [0.0 if id_ < 259 else 259.0 - id_ for id_ in range(len(words))],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }
