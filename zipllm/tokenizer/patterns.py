"""How open models split text into words before merges apply, by name: a model file must not bring its own regex.

Each pattern is a list of stages of the ``tokenizers`` library, as ``tokenizer.json`` has them. The last makes one
character of every byte (Radford et al. 2019, whose own pattern is that of the stage ``ByteLevel``).
"""

from typing import Any

from tokenizers import Regex, pre_tokenizers

_ENGLISH_ENDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_BLANKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_CAPITALS = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_SMALL = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_WORD = rf"{_BEFORE}\p{{L}}+"
_CAMEL = f"{_BEFORE}{_CAPITALS}*{_SMALL}+|{_BEFORE}{_CAPITALS}+{_SMALL}*"

Stage = tuple[str, ...]
"""``("words",)``, ``("bytes",)`` or ``("digits",)``, or ``("split", regex)``: isolated matches."""

PATTERNS: dict[str, tuple[Stage, ...]] = {
    "gpt2": (("words",),),
    "smollm": (("digits",), ("words",)),
    "llama3": (("split", "|".join((_ENGLISH_ENDS, _WORD, r"\p{N}{1,3}", _SIGNS, _BLANKS))), ("bytes",)),
    "qwen2": (("split", "|".join((_ENGLISH_ENDS, _WORD, r"\p{N}", _SIGNS, _BLANKS))), ("bytes",)),
    "tekken": (("split", "|".join((_CAMEL, r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", _BLANKS))), ("bytes",)),
}


def splitter(name: str) -> Any:
    """Return the library's object for a pattern."""
    return pre_tokenizers.Sequence([_library_stage(stage) for stage in PATTERNS[name]])


def _library_stage(stage: Stage) -> Any:
    if stage[0] == "split":
        return pre_tokenizers.Split(Regex(stage[1]), behavior="isolated")
    if stage[0] == "digits":
        return pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=stage[0] == "words")
