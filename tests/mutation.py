"""Counts how many small changes of the code the tests notice: python -m tests.mutation [--mutants N] [--again FILE].

Each mutant is the package with one operator, constant, comparison or condition changed. The tests of its folder run
against it, and the first failure kills it; survivors are printed with their lines. After you have added tests,
``--again`` tries only the survivors that an earlier run printed. mutmut knows more kinds of change, but it copies the
whole project and cannot run tests that start processes.
"""

import argparse
import ast
import importlib
import os
import random
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = {
    "container": ["tests/container", "tests/vectors"],
    "coder": ["tests/coder"],
}
"""The tests that must notice a change in each folder of zipllm."""

MORE_TESTS = {"survey.py": ["tests/codec/reading/test_salvage.py"]}
"""Tests in other folders that a file needs too."""

HEAVY = ("torch", "numba", "constriction", "zstandard", "safetensors", "tokenizers")
"""Libraries that take longer to import than most tests take to fail: the parent loads them once for all mutants."""

SECONDS = 100
"""Processor time of a mutant; one that needs more loops forever and counts as killed."""

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr, ast.Mod: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the file, the line, what was done, and the whole changed source."""

    path: Path
    line: int
    what: str
    source: str


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of one file."""
    text = path.read_text(encoding="utf-8")
    for number in range(len(list(_places(ast.parse(text))))):
        tree = ast.parse(text)
        node = list(_places(tree))[number]
        before = ast.unparse(node)
        _change(node)
        yield Mutant(path, node.lineno, f"{before}  ->  {ast.unparse(node)}", ast.unparse(tree))


def _places(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yield the nodes to change, in order, except in error messages and assertions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr) or _is_no_behavior(tree, node):
            continue
        if _changes(node):
            yield node  # type: ignore[misc]
        yield from _places(node)


def _is_no_behavior(parent: ast.AST, node: ast.AST) -> bool:
    """Whether a node is a type or a decorator: their flags (frozen, slots, cache) change no result."""
    return node in getattr(parent, "decorator_list", []) or node in (
        getattr(parent, "annotation", None),
        getattr(parent, "returns", None),
    )


def _changes(node: ast.AST) -> bool:
    match node:
        case ast.Compare(ops=[operator]):
            return type(operator) in _COMPARISONS
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            return type(operator) in _OPERATORS
        case ast.Constant(value=value):
            return isinstance(value, int)  # bool too
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
    return False


def _change(node: ast.AST) -> None:
    match node:
        case ast.Compare(ops=[operator]):
            node.ops = [_COMPARISONS[type(operator)]()]
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            node.op = _OPERATORS[type(operator)]()
        case ast.Constant(value=bool() as value):
            node.value = not value
        case ast.Constant(value=int() as value):
            node.value = value + 1
        case ast.BoolOp(op=operator):
            node.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
        case ast.UnaryOp(op=ast.Not()):
            node.op = ast.UAdd()  # of a truth value: the value itself
            node.operand = ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])


def killed(mutant: Mutant, copy: Path) -> bool:
    """Run the tests against a copy of the project in which the mutant stands in for its file."""
    relative = mutant.path.relative_to(ROOT)
    target = copy / relative
    original = target.read_text(encoding="utf-8")
    target.write_text(mutant.source, encoding="utf-8")
    try:
        return not _passes([*MORE_TESTS.get(relative.name, []), *TESTS[relative.parts[1]]], copy)
    finally:
        target.write_text(original, encoding="utf-8")


def _passes(tests: list[str], copy: Path) -> bool:
    """Run tests in a child process, which inherits the libraries and imports zipllm and the tests from the copy."""
    for name in HEAVY:
        importlib.import_module(name)
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            os._exit(_run_tests(tests, copy))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return status == 0


def _run_tests(tests: list[str], copy: Path) -> int:
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "zipllm")]:
        del sys.modules[name]
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path[:] = [str(copy), *(path for path in sys.path if path not in ("", str(ROOT)))]
    sys.dont_write_bytecode = True
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))


def survivor(mutant: Mutant) -> str:
    """The line to print for a survivor."""
    return f"survived: {mutant.path.relative_to(ROOT)}:{mutant.line}  {mutant.what}"


def main() -> None:
    """Try randomly chosen mutants and print the survivors."""
    parser = argparse.ArgumentParser(description="Mutation test of zipllm/container and zipllm/coder.")
    parser.add_argument("--folder", action="append", choices=sorted(TESTS), help="only this folder")
    parser.add_argument("--mutants", type=int, default=100, help="how many, chosen at random; 0 is all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=Path, metavar="FILE", help="only the survivors that an earlier run printed")
    arguments = parser.parse_args()
    folders = arguments.folder or sorted(TESTS)
    paths = [path for folder in folders for path in sorted((ROOT / "zipllm" / folder).glob("*.py"))]
    found = [mutant for path in paths for mutant in mutants(path)]
    if arguments.again:
        printed = arguments.again.read_text(encoding="utf-8").splitlines()
        found = [mutant for mutant in found if survivor(mutant) in printed]
    chosen = random.Random(arguments.seed).sample(found, min(arguments.mutants or len(found), len(found)))
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", ".*_cache", "runs"))
        for folder_name in folders:
            if not _passes(TESTS[folder_name], copy):
                raise SystemExit(f"the tests of {folder_name} fail without any mutant")
        for number, mutant in enumerate(chosen, 1):
            if not killed(mutant, copy):
                survivors += 1
                sys.stdout.write(f"{survivor(mutant)}\n")
            if number % 20 == 0 or number == len(chosen):
                sys.stdout.write(f"{number - survivors} of {number} killed ({len(found)} mutants)\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
