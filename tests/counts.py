"""Counts the cases that the tests of damage and interruption try: python -m tests.counts.

The numbers come from the tables of the tests; only the kill points are run again to be counted.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

from tests.codec import test_damage as blocks
from tests.codec.engines import compress
from tests.container import test_damage as records
from tests.files.test_kill_points import kill_points_survived
from tests.vectors.make_vectors import vectors
from zipllm import temporary
from zipllm.container import Coding


def main() -> None:
    """Print a line for each kind of case."""
    kinds = Counter(vector.name.split("-")[0] for vector in vectors())
    show("vectors", ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())))
    archives = [blocks.archive_by(coding) for coding in Coding]
    small = sum(map(len, records.SAMPLES.values()))
    show("truncations", f"{sum(map(len, archives))} of archives with each coding, {small} of records")
    header = blocks.header_bits(compress(blocks.SMALL))
    show("bits of a header, each flipped", str(header))
    show("bits of a body, flipped at random", f"{sum(blocks.FLIPS.values())} by {len(blocks.FLIPS)} codings")
    show("bits of whole small archives, each flipped", str(8 * small))
    show("bytes inserted and removed", str(2 * small))
    with mock.patch.object(temporary, "ABANDONED_SECONDS", 0):
        for force in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                points = kill_points_survived(Path(folder), force)
            show(f"kill points survived, {'replaced' if force else 'new'} file", str(points))


def show(what: str, number: str) -> None:
    """Print one count."""
    sys.stdout.write(f"{what}: {number}\n")


if __name__ == "__main__":
    main()
