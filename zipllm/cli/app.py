"""The commands, and the way from arguments to an exit code.

A new command is a module with a dataclass of options, a function, and one line here. The options are its flags, so
the module is imported for ``--help`` too and must not import anything heavy.
"""

import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer
from typer.exceptions import TyperException

from zipllm import __version__
from zipllm.cli.bench.command import bench
from zipllm.cli.classify.command import classify
from zipllm.cli.command import add_command, new_group
from zipllm.cli.compress import compress
from zipllm.cli.data import data_app
from zipllm.cli.decompress import check_archives, decompress
from zipllm.cli.eval.command import evaluate
from zipllm.cli.experiment import experiment
from zipllm.cli.explain.command import explain
from zipllm.cli.generate import generate
from zipllm.cli.list import list_archives
from zipllm.cli.messages import complain, explain_error
from zipllm.cli.model import model_app
from zipllm.cli.results import StandardOutputError, discard_stdout, write_stdout
from zipllm.cli.train.command import train
from zipllm.cli.voice import BROKEN_PIPE, exit_code
from zipllm.container.header import MAJOR, MINOR

app = new_group(
    "Lossless compression by prediction: a small Transformer and a range coder.",
    name="zipllm",
    pretty_exceptions_enable=False,
)
add_command(app, "compress", compress)
add_command(app, "decompress", decompress)
add_command(app, "test", check_archives)
add_command(app, "list", list_archives)
add_command(app, "train", train)
add_command(app, "bench", bench)
add_command(app, "eval", evaluate)
add_command(app, "explain", explain)
add_command(app, "generate", generate)
add_command(app, "experiment", experiment)
add_command(app, "classify", classify)
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
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = app(args=arguments, prog_name="zipllm", standalone_mode=False)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        path = "zipllm" if context is None else context.command_path
        complain(f"{error.format_message()} (see {path} --help)")
        return error.exit_code
    except (OSError, StandardOutputError) as error:  # of the help or versions; commands handle their own
        complain(explain_error("stdout", error))
        discard_stdout()
        return exit_code(error)
    except SystemExit as error:  # typer's way to end when the reader of its help has gone
        return BROKEN_PIPE if isinstance(error.__context__, BrokenPipeError) else int(error.code or 0)
    return code if isinstance(code, int) else 0


def _versions() -> str:
    own = (f"zipllm {__version__}", f"format {MAJOR}.{MINOR} (written and read)")
    others = (f"{package} {_installed(package)}" for package in ("constriction", "torch", "numpy", "numba"))
    return "\n".join((*own, *others))


def _installed(package: str) -> str:
    try:
        return metadata.version(package)  # from its metadata: importing torch takes a second
    except metadata.PackageNotFoundError:
        return "is not installed"
