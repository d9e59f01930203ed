"""Published figures that more than one study quotes."""

from typing import NamedTuple


class Rates(NamedTuple):
    """Sizes in percent of 1 GB: enwik9 without and with weights (two bytes each), ImageNet in gray, LibriSpeech.

    Models have a number of parameters, other codecs have none.
    """

    name: str
    text: float
    adjusted: float
    pictures: float
    sound: float
    parameters: int = 0


DELETANG = 'Delétang et al., "Language Modeling Is Compression" (ICLR 2024)'

TABLE_1 = (
    Rates("Transformer of enwik8, 200K parameters", 30.9, 30.9, 194.0, 146.6, 200_000),
    Rates("Transformer of enwik8, 800K parameters", 21.7, 21.9, 185.1, 131.1, 800_000),
    Rates("Transformer of enwik8, 3.2M parameters", 17.0, 17.7, 215.8, 228.2, 3_200_000),
    Rates("Chinchilla 1B", 11.3, 211.3, 62.2, 24.9, 1_000_000_000),
    Rates("Chinchilla 70B", 8.3, 14008.3, 48.0, 21.0, 70_000_000_000),
    Rates("gzip", 32.3, 32.3, 70.7, 36.4),
    Rates("LZMA2", 23.0, 23.0, 57.9, 29.9),
    Rates("PNG", 42.9, 42.9, 58.5, 32.2),
    Rates("FLAC", 89.5, 89.5, 61.9, 30.9),
)
"""Table 1 of that paper; models see 2,048 bytes at a time, the other codecs everything."""
