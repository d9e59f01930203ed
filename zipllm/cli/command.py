"""From a function and its options to a command of typer."""

import inspect
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import typer

from zipllm.cli.options import PANELS, Options
from zipllm.cli.voice import finish

Chosen = TypeVar("Chosen", bound=Options)


def add_command(app: typer.Typer, name: str, options: type[Chosen], run: Callable[[Chosen], int]) -> None:
    """Add a command.

    Args:
        app: to which.
        name: of the command.
        options: a dataclass whose fields are the command's arguments and flags.
        run: the command; returns the exit code. Its docstring is the help.
    """

    def command(**values: Any) -> NoReturn:
        chosen = options(**values)
        finish(chosen.voice, lambda: run(chosen))

    command.__signature__ = inspect.Signature(_parameters(options))  # type: ignore[attr-defined]  # typer reads it
    paragraphs = inspect.cleandoc(run.__doc__ or "").split("\n\n")
    app.command(name, help="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))(command)


def new_group(help: str) -> typer.Typer:
    """Return a command that has commands of its own."""
    settings = {"help_option_names": ["-h", "--help"]}
    return typer.Typer(help=help, add_completion=False, no_args_is_help=True, context_settings=settings)


def _parameters(options: type[Options]) -> list[inspect.Parameter]:
    """Return the arguments, then the flags panel by panel; in a panel a class's own come before those it inherits."""
    parameters = inspect.signature(options).parameters
    names = dict.fromkeys(name for owner in options.__mro__ for name in inspect.get_annotations(owner))
    return sorted((parameters[name] for name in names if name in parameters), key=_panel)


def _panel(parameter: inspect.Parameter) -> int:
    panel = parameter.annotation.__metadata__[0].rich_help_panel
    return -1 if panel is None else PANELS.index(panel)
