"""The `gocell` command: signals and streams made ready before anything is loaded, and one way out for every error."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys

# `typing` alone takes as long to load as all of these, and until then Ctrl-C is a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn

    from gocell_cli.errors import GocellError

COMPLETION = "_GOCELL_COMPLETE"
"""The variable by which a shell asks for completions."""
TRACEBACK = "GOCELL_TRACEBACK"
"""The variable by which whoever mends a fault of ours sees where it is."""
NO_MEMORY, NO_MEMORY_CODE = "error: there is not enough memory even to begin: ulimit -v, the batch system's limit", 5
"""And the exit code of errors.Unfinished; no module can be loaded then."""
PLAIN_WORDS = {
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "no whole number",
    "Input should be a valid number, unable to parse string as a number": "no number",
}
"""What Typer's checks of values say, and what of it helps."""
AGAIN_SECONDS = 0.05
"""After so long a signal whose SystemExit got lost is sent again."""


_ending: dict[str, int] = {}
"""The exit code: `interrupted` once a signal came, `code` once all is done."""


def main() -> NoReturn:
    """Run the command line and leave with the exit code of the error's class."""
    # Registered first, so it runs last of all that is.
    atexit.register(_end)
    # Half the time of reading an OBO file went into generational collections that found nothing to free.
    gc.set_threshold(1_000_000)
    # Before the commands are loaded, which takes as long as many of them do: Ctrl-C in that time is no traceback.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable
    # Workers are Pythons of their own, which would look for modules in the working directory first (-P, Python 3.11).
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        from gocell_cli.commands.shell.streams import guard_streams

        guard_streams()
        code = _run()
        sys.stdout.flush()  # a full disk behind it shows here, where it can be told
    except Exception as error:
        # What a signal raised within, a class that was being made for one, came out as an error of that.
        code = _ending["interrupted"] if "interrupted" in _ending else _told(error)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # what is left is Python's own end, where nothing is to be raised
    _ending["code"] = code
    if "wandb" in sys.modules:
        atexit.register(_end)  # first: its runs are closed, and its own end waits for a server that may not answer
    sys.exit(code)


def _run() -> int:
    """Run the app with the settings in effect as its defaults, and return its exit code."""
    from gocell_cli.commands.shell.addresses import require_addresses

    require_addresses(sys.argv[1:])  # before all else: Typer takes some of them
    import typer

    from gocell_cli.commands.shell.last_resort import check_surroundings
    from gocell_cli.commands.shell.settings import any_given, load_settings
    from gocell_cli.commands.shell.terminal import note
    from gocell_cli.commands.tree import mounted

    if COMPLETION in os.environ:
        typer.main.get_command(mounted()).main(prog_name="gocell")  # which leaves by itself
    check_surroundings(sys.argv)
    # a command is the first word; what stands before it, such as --help, is of all
    tree: Any = typer.main.get_command(mounted("" if any_given() else "".join(sys.argv[1:2])))
    settings = load_settings(tree)
    for name in settings.unknown if settings is not None else ():
        note(f"{name}: no option goes by this variable; gocell config show --all lists those there are", "warning")
    defaults = settings.default_map() if settings is not None else None
    try:
        found = tree.main(prog_name="gocell", default_map=defaults, standalone_mode=False)
    except Exception as error:
        # Typer keeps a click of its own, whose place depends on its version: what it says of a word is known by this.
        if not hasattr(error, "format_message"):
            raise
        _tell_usage(error)
        if settings is not None:
            note("some options come from variables and files: gocell config show")
        return 2
    return found if isinstance(found, int) else 0  # that of typer.Exit; commands return nothing


def _tell_usage(error: Any) -> None:
    """Print what Typer says of the command line; where it has printed help instead of it, nothing."""
    from gocell_cli.commands.shell.terminal import report_error

    if type(error).__name__ != "NoArgsIsHelpError":
        path = getattr(getattr(error, "ctx", None), "command_path", "gocell")
        text = " ".join(error.format_message().split())
        for said, plain in PLAIN_WORDS.items():
            text = text.replace(said, plain)
        report_error(text, "", f"{path} --help")


def _told(error: Exception) -> int:
    """Print an error in a few lines, and return its exit code; with GOCELL_TRACEBACK set, where it came from, too."""
    try:
        from gocell_cli.commands.shell.last_resort import explained, told_where
        from gocell_cli.commands.shell.terminal import report_error

        if os.environ.get(TRACEBACK):
            sys.excepthook(type(error), error, error.__traceback__)
        found = told_where(error, explained(error))
        report_error(found.message, found.why, found.hint)
        _json_of(found)
        return found.exit_code
    except Exception:  # noqa: S110 no memory or no disk even for that: what the attempt took is given back first
        pass
    return _plainly(error)


def _plainly(error: Exception) -> int:
    """Say an error by what is loaded already, and return its exit code."""
    try:
        memory = isinstance(error, MemoryError) or "failed to map segment" in str(error)
        _say(NO_MEMORY if memory else f"error: {type(error).__name__}: {error}")
    except MemoryError:
        memory = True
        _say(NO_MEMORY)
    return NO_MEMORY_CODE if memory else getattr(error, "exit_code", 1)


def _json_of(error: GocellError) -> None:
    """Print the error on stdout as well, where --json is asked for and the exit code is an answer."""
    from gocell_cli.commands.shell.terminal import show_json
    from gocell_cli.errors import CannotWrite, DamagedCache, LevelsError

    if "--json" not in sys.argv or error.exit_code not in (LevelsError.exit_code, DamagedCache.exit_code):
        return
    try:
        show_json({"ok": False, "exit_code": error.exit_code, "error": error.message, "why": error.why})
        sys.stdout.flush()
    except (OSError, DamagedCache, CannotWrite):
        pass  # stdout itself may be what cannot be written


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Leave through every `with`: 130 for SIGINT, 143 for SIGTERM."""
    _say("error: interrupted")
    _ending["interrupted"] = 128 + number
    sys.exit(128 + number)


def _end() -> None:
    """End at once where the command is done: Python would take every object apart, and die of a signal meanwhile."""
    if "code" in _ending:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_ending["code"])


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _say(text: str) -> None:
    """Write a line to stderr past all that may be half loaded, or be writing just now."""
    try:  # noqa: SIM105 contextlib is not loaded yet
        os.write(2, text.encode(errors="backslashreplace") + b"\n")
    except OSError:
        pass


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal again that came while Python cleaned up an object: what is raised there ends nothing."""
    if isinstance(lost.exc_value, SystemExit) and isinstance(lost.exc_value.code, int) and lost.exc_value.code > 128:
        import threading

        number = lost.exc_value.code - 128
        # not now: this hook is within that clean-up itself
        again = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    sys.__unraisablehook__(lost)
