"""Libraries of extras: not installed, or installed and not loading."""

import sys
from pathlib import Path

import pytest

from zipllm.errors import MissingPackage, import_extra

ABSENT = "it is not installed"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ``__init__`` of an empty library called ``brittle``."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "brittle").mkdir()
    return tmp_path / "brittle/__init__.py"


@pytest.mark.parametrize("name", ["no_such_library", "no_such_library.part", "brittle.part"])
def test_what_is_not_there_is_not_installed(library: Path, name: str) -> None:
    library.touch()
    with pytest.raises(MissingPackage, match=f"^{ABSENT}$"):
        import_extra(name, ABSENT)


@pytest.mark.parametrize("name", ["brittle", "brittle.part"])
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('libcudart.so.12: cannot open shared object file')", "libcudart.so.12: cannot open"),
        ("raise OSError('libsndfile.so: no such library')", "libsndfile.so: no such library"),
        ("import no_such_dependency", "No module named 'no_such_dependency'"),
        ("from os import no_such_name", "cannot import name 'no_such_name'"),
    ],
)
def test_what_is_there_and_does_not_load_says_why(library: Path, name: str, source: str, reason: str) -> None:
    library.write_text(source)
    library.with_name("part.py").touch()
    sys.modules.pop("brittle", None)
    with pytest.raises(MissingPackage, match=f"^brittle is installed but does not load: {reason}"):
        import_extra(name, ABSENT)
