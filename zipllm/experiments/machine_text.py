"""Text that lies on any machine with Python and zipllm; none of it is a benchmark.

It differs a little from version to version, so rows name the version.
"""

import ast
import importlib.util
import os
import platform
import sysconfig
import unicodedata
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from pydoc_data import topics

import zipllm

_LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "pydoc_data", "encodings"}
"""Folders of the standard library that hold tests, other packages, documentation and tables."""
_SHORTEST = 200
"""Characters; shorter docstrings are left out."""
_NAMES_PER_DOCUMENT = 64


def sources() -> Iterator[bytes]:
    """Yield Python: every module of the standard library."""
    for path in _modules():
        yield path.read_bytes()


def documentation() -> Iterator[bytes]:
    """Yield English: the docstrings of the standard library, and the topics of ``help()``."""
    for text in topics.topics.values():
        yield text.encode()
    for path in _modules():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes that a later Python will refuse
            tree = ast.parse(path.read_bytes())
        found = (ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, _DOCUMENTED))
        document = "\n\n".join(text for text in found if len(text) >= _SHORTEST)
        if document:
            yield document.encode(errors="replace")


def headers() -> Iterator[bytes]:
    """Yield C++: the headers that come with torch."""
    spec = importlib.util.find_spec("torch")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        for path in sorted(Path(place, "include").rglob("*.h")):
            yield path.read_bytes()


def character_names() -> Iterator[bytes]:
    """Yield a table: code, name, category and direction of every named Unicode character."""
    lines = []
    for code in range(0x110000):
        character = chr(code)
        name = unicodedata.name(character, "")
        if name and not name.startswith(("CJK UNIFIED", "HANGUL SYLLABLE", "TANGUT IDEOGRAPH")):
            category, direction = unicodedata.category(character), unicodedata.bidirectional(character)
            lines.append(f"{code:04X};{name};{category};{direction}\n")
    for begin in range(0, len(lines), _NAMES_PER_DOCUMENT):
        yield "".join(lines[begin : begin + _NAMES_PER_DOCUMENT]).encode()


def own_sources() -> Iterator[bytes]:
    """Yield the modules of the installed zipllm, which are newer than the open models of its time."""
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        yield path.read_bytes()


def origin(name: str) -> str:
    """Describe the source of a domain."""
    python = f"Python {platform.python_version()}"
    return {
        "python": f"standard library of {python}",
        "english": f"docstrings and help topics of {python}",
        "c": f"headers of torch {metadata.version('torch')}",
        "zipllm": f"source of zipllm {zipllm.__version__}",
        "table": f"Unicode {unicodedata.unidata_version} character names",
    }[name]


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _modules() -> Iterator[Path]:
    """Yield modules of the standard library in sorted order, without tests."""
    for root, folders, names in os.walk(sysconfig.get_path("stdlib")):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted(names):
            if name.endswith(".py"):
                yield Path(root, name)
