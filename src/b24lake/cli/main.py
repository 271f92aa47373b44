"""The entry point: all commands, and what happens when one fails."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated

import typer

from b24lake import __version__
from b24lake.cli import check, demo, query, sandbox, streams, sync, tables
from b24lake.cli.common import CANCELED_CODE, fail
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
for module in (check, streams, sync, tables, query, sandbox, demo):
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
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except B24LakeError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(CANCELED_CODE)
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception:  # noqa: BLE001  the last line of defence: the message may hold a webhook
        sys.stderr.write(mask(traceback.format_exc()))
        sys.exit(1)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
