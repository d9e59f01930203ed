"""Rules for the project as a whole: layers, lazy imports, forbidden functions, names, the wheel."""

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import zipllm

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "zipllm"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = {"torch", "numpy", "numba", "constriction", "tokenizers", "safetensors"}
PAGES = sorted(page for pattern in ("*.md", "docs/*.md", "examples/*.md") for page in ROOT.glob(pattern))
MOST_LINES = 400
MOST_WHEEL_BYTES = 32 << 20


def python(program: str) -> str:
    """Return what a program prints in a fresh interpreter."""
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_layers() -> None:
    """In an interpreter of its own: import-linter turns off all loggers that exist, which other tests listen to."""
    call = "lint_imports(config_filename='pyproject.toml', no_cache=True)"
    assert python(f"from importlinter.cli import lint_imports; print({call})").splitlines()[-1] == "0"


@pytest.mark.parametrize("module", ["zipllm", "zipllm.errors", "zipllm.cli", "zipllm.container"])
def test_start_up_loads_nothing_heavy(module: str) -> None:
    loaded = set(python(f"import sys, {module}; print(*sys.modules)").split())
    assert module in loaded
    assert not HEAVY & loaded


@pytest.mark.parametrize(
    ("room", "libraries"), [("cli", "typer|rich|click"), ("huggingface", "transformers|huggingface_hub")]
)
def test_libraries_stay_in_their_room(room: str, libraries: str) -> None:
    """No other room imports them, not even inside a function or by name."""
    imports = re.compile(rf"""^\s*(from|import) ({libraries})\b|import_module\(["']({libraries})\b""", re.MULTILINE)
    outside = [path for path in SOURCES if path.relative_to(PACKAGE).parts[0] != room]
    assert [name_of(path) for path in outside if imports.search(path.read_text(encoding="utf-8"))] == []


FORBIDDEN = {
    "import pickle": "TID251",
    "from pickle import loads": "TID251",
    "import marshal": "TID251",
    "import shelve": "TID251",
    "import click": "TID251",
    "import torch\n\ntorch.load('x')": "TID251",
    "import torch as t\n\nt.load('x', weights_only=True)": "TID251",
    "import numpy as np\n\nnp.load('x')": "TID251",
    "eval('1')": "S307",
    "exec('1')": "S102",
    "import os\n\nos.system('ls')": "TID251",
    "import subprocess\n\nsubprocess.run('ls', shell=True)": "S602",
    "import tempfile\n\ntempfile.mktemp()": "S306",
    "print('x')": "T201",
    "from . import errors": "TID252",
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The rules by which the linter refuses each piece of forbidden code."""
    folder = tmp_path_factory.mktemp("linted")
    files = {str(folder / f"x{number}.py"): code for number, code in enumerate(FORBIDDEN)}
    for path, code in files.items():
        Path(path).write_text(code, encoding="utf-8")
    command = ["ruff", "check", "--no-cache", f"--config={ROOT / 'pyproject.toml'}", "--output-format=json", *files]
    run = subprocess.run([sys.executable, "-m", *command], capture_output=True, check=False)
    found: dict[str, set[str]] = {code: set() for code in FORBIDDEN}
    for problem in json.loads(run.stdout):
        found[files[problem["filename"]]].add(problem["code"])
    return found


@pytest.mark.parametrize("code", FORBIDDEN)
def test_linter_refuses(code: str, refused: dict[str, set[str]]) -> None:
    assert FORBIDDEN[code] in refused[code]


def test_security_rules_are_silenced_for_compiled_kernels_alone() -> None:
    """Kernels are kept as numba's pickles, in a private folder; see ``tests/jit/test_compiled_cache.py``."""
    silenced = re.compile(r"noqa(?!:)|noqa:.*\b(TID251|S102|S301|S302|S307|S60[2-5])\b")
    assert [name_of(path) for path in SOURCES if silenced.search(path.read_text(encoding="utf-8"))] == [
        name_of(PACKAGE / "jit/cache.py")
    ]


def test_files_are_short() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*SOURCES, *TESTS]}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_files_say_one_thing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert [name_of(path) for path in SOURCES if path.stem in vague] == []


def test_no_two_test_files_have_the_same_name() -> None:
    """Except where pytest prescribes the name, and for the tests of damage that several rooms need."""
    names = Counter(path.name for path in TESTS)
    again = {name for name, number in names.items() if number > 1}
    assert again <= {"__init__.py", "conftest.py", "test_damage.py"}


def test_maps_name_every_module() -> None:
    """The docstring of a package lists its modules and folders, a line each."""
    missing = []
    for init in PACKAGE.rglob("__init__.py"):
        folder = init.parent
        if folder in (PACKAGE, PACKAGE / "weights"):
            continue
        map_ = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
        folders = {path.parent.name for path in folder.glob("*/__init__.py")}
        listed = set(re.findall(r"^ *`*(\w+)", map_, re.MULTILINE))
        missing += [f"{name_of(folder)}: {name}" for name in sorted((modules | folders) - listed)]
    assert missing == []


def test_tests_mirror_the_package() -> None:
    """Each folder of tests has the name of the package that it tests, except those that test across rooms."""
    across = {
        "fuzz",  # random inputs, guided by coverage or by Hypothesis
        "golden",  # archives of earlier versions
        "gpu",  # what needs a CUDA device
        "vectors",  # the format's test vectors
    }
    tests = ROOT / "tests"
    folders = {path.parent.relative_to(tests) for path in tests.rglob("__init__.py")}
    assert {folder.as_posix() for folder in folders if not (PACKAGE / folder / "__init__.py").exists()} == across


def test_folders_are_packages() -> None:
    folders = {path.parent for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")]}
    assert [name_of(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_version_stands_once() -> None:
    assert zipllm.__version__ == PROJECT["project"]["version"]


def test_public_names_exist() -> None:
    assert zipllm.__all__
    assert [name for name in zipllm.__all__ if not hasattr(zipllm, name)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    assert Path(path).stat().st_size < MOST_WHEEL_BYTES
    return zipfile.ZipFile(path)


def test_wheel_holds_the_whole_package(wheel: zipfile.ZipFile) -> None:
    """The wheel has every file of the checkout, tracked or not, with the weights and FORMAT.md."""
    names = set(wheel.namelist())
    needed = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert [name_of(path) for path in needed if name_of(path) not in names] == []
    assert {"zipllm/py.typed", "zipllm/container/FORMAT.md"} <= names


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    other = [name for name in wheel.namelist() if not name.startswith(("zipllm/", "zipllm-"))]
    assert other == []
    assert [name for name in wheel.namelist() if "__pycache__" in name or name.endswith((".pyc", ".zllm", ".pt"))] == []


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    text = wheel.read(metadata).decode()
    assert "Requires-Python: >=3.11" in text
    assert "License-Expression: Apache-2.0" in text
    assert {"bench", "plots", "train", "hf", "classify", "dev"} <= set(re.findall(r"Provides-Extra: (\S+)", text))
    folder = metadata.rsplit("/", 1)[0]
    assert "zipllm = zipllm.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()
    assert b"Apache License" in wheel.read(f"{folder}/licenses/LICENSE")
