"""`b24lake config …`: sources, triggers, channels and layers as a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.cli.control import DatabaseAddress, MoveTables, acting, installation, opened
from b24lake.errors import UsageError

if TYPE_CHECKING:
    from b24lake.control.config_file import Entry
    from b24lake.control.configuring import Plan

app = typer.Typer(help="Configuration as code: export, diff, apply.", no_args_is_help=True)

File = Annotated[str, typer.Argument(metavar="FILE", help="A YAML file; - reads stdin.", show_default=False)]
Prune = Annotated[
    bool, typer.Option("--prune", help="Delete what is not in the file: sources (tables stay), triggers, channels.")
]
_STYLES = {"+": "green", "-": "red", "~": "yellow"}


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="config")


@app.command(help="Print the configuration as YAML; secrets as names of environment variables.")
def export(lake: LakeDir = None, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """Print the configuration as YAML."""
    from b24lake.control.configuration import current
    from b24lake.control.exporting import export as as_yaml

    with opened(database, home) as control, control.database.reading() as session:
        here = installation(control, lake)
        if json:
            common.print_json(current(session, here))
        else:
            typer.echo(as_yaml(session, here), nl=False)


@app.command(help="Show what applying a file would change. Changes nothing.")
def diff(
    file: File,
    prune: Prune = False,
    lake: LakeDir = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Show what applying a file would change."""
    from b24lake.control.configuring import compare

    entry = _read(file)
    with opened(database, home) as control, control.database.reading() as session:
        _, plan = compare(session, control.keyring, installation(control, lake), entry, prune=prune)
    _show(plan, "Nothing differs.", json=json, applied=False)


@app.command(help="Bring everything to what a file says; doing it again changes nothing.")
def apply(
    file: File,
    prune: Prune = False,
    move_tables: MoveTables = False,
    lake: LakeDir = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Bring everything to what a file says."""
    from b24lake.control import configuring, relocation

    entry = _read(file)
    with opened(database, home) as control:
        here = installation(control, lake)
        with relocation.moves(here.home) as mover, control.database.writing() as session:
            move = mover if move_tables else None
            plan = configuring.apply(session, control.keyring, here, acting(control), entry, prune=prune, move=move)
    _show(plan, "Nothing to do: everything is as the file says.", json=json, applied=True)


def _read(file: str) -> Entry:
    from b24lake.control.config_file import load

    try:
        text = sys.stdin.read() if file == "-" else Path(file).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"The file {file} cannot be read", why=why or "", fix="check its path") from None
    return load(text, "stdin" if file == "-" else file)


def _show(plan: Plan, nothing: str, *, json: bool, applied: bool) -> None:
    from rich.text import Text

    if json:
        changes = [change.as_json() for change in plan.changes]
        common.print_json({"applied": applied, "changes": changes, "kept": plan.kept, "effects": plan.effects})
        return
    terminal = common.console()
    for change in plan.changes:
        terminal.print(Text(str(change), style=_STYLES[change.sign]))
    for each in plan.effects:
        terminal.print(Text(f"{each}.", style="yellow"))
    if not plan.changes:
        terminal.print(nothing)
    elif applied:
        terminal.print(f"{len(plan.changes)} changes made.")
    if plan.kept:
        terminal.print(Text(f"Not in the file, and kept without --prune: {', '.join(plan.kept)}.", style="dim"))
