"""A Typer whose every command takes `--quiet`."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from gocell_cli.commands.shell.terminal import be_quiet

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Only what was asked for: no notes, no progress, of what was made only its path."
    ),
]


class Commands(typer.Typer):
    """Registers commands, each with `--quiet` besides its own options."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Register a command; the function itself stays as it is."""
        register = super().command(name, **settings)

        def take(function: Callable[..., None]) -> Callable[..., None]:
            register(_with_quiet(function))
            return function

        return take


def _with_quiet(command: Callable[..., None]) -> Callable[..., None]:
    hints = get_type_hints(command, include_extras=True)
    given = inspect.signature(command).parameters.values()
    parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in given]
    quiet_option = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet)

    @functools.wraps(command)
    def run(*, quiet: bool, **values: Any) -> None:
        be_quiet(quiet)
        command(**values)

    run.__signature__ = inspect.Signature([*parameters, quiet_option])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*parameters, quiet_option)}
    return run
