"""The commands, and the way from arguments to an exit code.

A new command is a module with one function and one line in ``_COMMANDS``. The function's signature is its flags, so
its module is imported for ``--help`` too and must not import anything heavy.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated

import typer
from typer.exceptions import TyperException

from zipllm import __version__
from zipllm.cli.bench.command import bench
from zipllm.cli.classify.command import classify
from zipllm.cli.compress import compress
from zipllm.cli.data import data_app
from zipllm.cli.decompress import decompress
from zipllm.cli.eval.command import evaluate
from zipllm.cli.exit_codes import BROKEN_PIPE, exit_code
from zipllm.cli.experiment import experiment
from zipllm.cli.explain.command import explain as explain_file
from zipllm.cli.generate import generate
from zipllm.cli.list import list_archives
from zipllm.cli.messages import complain, explain
from zipllm.cli.model import model_app
from zipllm.cli.results import StandardOutputError, write_stdout
from zipllm.cli.test import check_archives
from zipllm.cli.train.command import train
from zipllm.container.header import MAJOR, MINOR

_COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("compress", compress),
    ("decompress", decompress),
    ("test", check_archives),
    ("list", list_archives),
    ("train", train),
    ("bench", bench),
    ("eval", evaluate),
    ("explain", explain_file),
    ("generate", generate),
    ("experiment", experiment),
    ("classify", classify),
)

app = typer.Typer(
    name="zipllm",
    help="Lossless compression by prediction: a small Transformer and a range coder.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _function in _COMMANDS:
    app.command(_name)(_function)
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("-V", "--version", help="Show versions; -qV the number only.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="With -V: the number only.")] = False,
) -> None:
    if version:
        write_stdout(f"{__version__ if quiet else _versions()}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        write_stdout(f"{context.get_help()}\n")
        raise typer.Exit(2)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (None: those of the process) name, and return its exit code."""
    arguments = _spell_levels(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=arguments, prog_name="zipllm", standalone_mode=False)
    except TyperException as error:
        complain(_usage_message(error))
        return error.exit_code
    except (OSError, StandardOutputError) as error:  # of the help or versions; commands deal with their own
        complain(explain("stdout", error))
        return exit_code(error)
    except SystemExit as error:  # typer ends so when whoever read its help went away
        return BROKEN_PIPE if isinstance(error.__context__, BrokenPipeError) else int(error.code or 0)
    return code if isinstance(code, int) else 0


def _spell_levels(arguments: Sequence[str]) -> list[str]:
    """Write ``-1`` to ``-9``, ``--fast`` and ``--best`` of ``compress`` as ``--level``, up to a ``--``."""
    if not arguments or arguments[0] != "compress":
        return list(arguments)
    spelled = {f"-{level}": f"--level={level}" for level in range(1, 10)}
    spelled |= {"--fast": "--level=1", "--best": "--level=9"}
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [spelled.get(argument, argument) for argument in arguments[:end]] + list(arguments[end:])


def _usage_message(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = "zipllm" if context is None else context.command_path
    return f"{error.format_message()} (see {path} --help)"


def _versions() -> str:
    own = (f"zipllm {__version__}", f"format {MAJOR}.{MINOR} (written and read)")
    others = (f"{package} {_installed(package)}" for package in ("constriction", "torch", "numpy", "numba"))
    return "\n".join((*own, *others))


def _installed(package: str) -> str:
    try:
        return metadata.version(package)  # from its metadata: importing torch takes a second
    except metadata.PackageNotFoundError:
        return "is not installed"
