"""The entry point: all commands, and what happens when one fails."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated

import typer

from b24lake import __version__
from b24lake.cli import (
    agents,
    alert,
    bookmark,
    check,
    config,
    demo,
    export,
    history,
    key,
    layers,
    plan,
    query,
    retention,
    run,
    sandbox,
    serve,
    source,
    streams,
    sync,
    table,
    tables,
    token,
    trigger,
    user,
)
from b24lake.cli.common import CANCELED_CODE, fail, print_json
from b24lake.errors import B24LakeError
from b24lake.portal.webhook import mask

app = typer.Typer(
    name="b24lake",
    help="Bitrix24 as a data source: everything in a portal, in Delta Lake tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = (
    check,
    streams,
    plan,
    sync,
    tables,
    history,
    query,
    export,
    bookmark,
    retention,
    table,
    layers,
    source,
    trigger,
    run,
    serve,
    alert,
    config,
    key,
    user,
    token,
    agents,
    sandbox,
    demo,
)
for module in _COMMANDS:
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"b24lake {__version__}")
        raise typer.Exit


@app.callback()
def options(
    home: Annotated[
        str | None, typer.Option(help="Where b24lake keeps its own files.", envvar="B24LAKE_HOME", show_default=False)
    ] = None,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of all commands."""
    if home:
        os.environ["B24LAKE_HOME"] = home


def main() -> None:
    """Run the command line; a failure is one clear message and an exit code, never a traceback of a known cause."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    code = run_commands()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that still wait for a portal must not hold up the end


def run_commands() -> int:
    """Run the command that `sys.argv` holds. Returns the exit code."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except B24LakeError as error:
        return fail(error)
    except KeyboardInterrupt:
        if "--json" in sys.argv:
            print_json({"status": "canceled"})
        return CANCELED_CODE
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        sys.stderr.write(f"Error: {mask(str(error))}\n")
        return 1
    except Exception:  # noqa: BLE001  the last line of defence: the message may hold a webhook
        sys.stderr.write(mask(traceback.format_exc()))
        return 1
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
