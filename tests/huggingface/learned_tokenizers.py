"""Tokenizers as Hugging Face models have them, learned from a few lines."""

import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "to be, or not to be, that is the question: whether 'tis nobler in the mind to suffer\n",
    "The slings and arrows of outrageous fortune. 学而时习之，不亦说乎？ Ça va, naïve café?\n",
] * 4
END = "<|endoftext|>"


def byte_level() -> Tokenizer:
    """As GPT-2 has it; with a normal form, a blank in front, and a mark at the end that all must not matter."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=380, initial_alphabet=letters, special_tokens=[END], show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def byte_fallback() -> Tokenizer:
    """As Llama has it."""
    special = ["<unk>", "<s>", "</s>"]
    learned = Tokenizer(models.BPE())
    learned.normalizer = normalizers.Replace(" ", "▁")
    learned.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=120, show_progress=False))
    model = json.loads(learned.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    words = [*special, *(f"<0x{value:02X}>" for value in range(256)), *pieces]
    merges = [tuple(pair) for pair in model["merges"]]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens(special)
    return tokenizer


def metaspace() -> Tokenizer:
    """The same with the pre-tokenizer that newer Llamas have."""
    tokenizer = byte_fallback()
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    return tokenizer


def unigram() -> Tokenizer:
    """SentencePiece's other kind: pieces with scores."""
    pieces = [("<unk>", 0.0), *((f"<0x{value:02X}>", -9.0) for value in range(256)), ("▁to", -1.0), ("▁be", -1.5)]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return tokenizer


def word_piece() -> Tokenizer:
    """As BERT has it."""
    return Tokenizer(models.WordPiece({"[UNK]": 0, "to": 1, "be": 2}, unk_token="[UNK]"))
