"""Makes the archives of this folder, their hashes and the table in README.md.

    python -m tests.vectors.make_vectors

It is a second, independent implementation of ``zipllm/container/FORMAT.md``: nothing of zipllm is imported here or in
the files that this one joins, so that a vector says what the specification says and not what the code happens to do.
"""

import hashlib
from itertools import chain
from pathlib import Path

from tests.vectors.bad import bad
from tests.vectors.good_conventional import conventional
from tests.vectors.good_predicted import predicted
from tests.vectors.parts import Vector
from tests.vectors.refused import over_a_limit, unsupported

FOLDER = Path(__file__).parent


def vectors() -> list[Vector]:
    """All vectors, with the prefix that says what a reader must do with them."""
    good = chain(conventional(), predicted())
    kinds = {"good": good, "bad": bad(), "unsupported": unsupported(), "limit": over_a_limit()}
    return [
        Vector(f"{kind}-{vector.name}", vector.reason, vector.data, vector.content)
        for kind, members in kinds.items()
        for vector in members
    ]


def hashes(made: list[Vector]) -> str:
    """The text of SHA256SUMS, for ``sha256sum -c``."""
    return "".join(f"{hashlib.sha256(vector.data).hexdigest()}  {vector.name}.zllm\n" for vector in made)


def table(made: list[Vector]) -> str:
    """The table of README.md."""
    rows = [f"| `{vector.name}` | {len(vector.data)} | {vector.reason} |\n" for vector in made]
    return "| vector | bytes | why |\n| --- | --- | --- |\n" + "".join(rows)


def readme(text: str, made: list[Vector]) -> str:
    """README.md with its table made anew."""
    before = text.split("| vector |")[0]
    return before + table(made)


def main() -> None:
    """Write all files; vectors that no longer exist are removed."""
    made = vectors()
    for old in FOLDER.glob("*.zllm"):
        old.unlink()
    for vector in made:
        (FOLDER / f"{vector.name}.zllm").write_bytes(vector.data)
    (FOLDER / "SHA256SUMS").write_text(hashes(made), encoding="ascii")
    page = FOLDER / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
