"""`b24lake key …` and `b24lake audit`: the key that seals secrets, and who did what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json
from b24lake.cli.control import DatabaseAddress, acting, moment, opened

app = typer.Typer(help="The key that seals webhooks and passwords in the database.", no_args_is_help=True)


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="key")
    main.command(help="Tell who changed what.")(audit)


@app.command(help="Print a new key, for B24LAKE_KEY. Changes nothing.")
def new() -> None:
    """Print a new key."""
    from b24lake.control.secrets import new_key

    typer.echo(new_key())


@app.command(help="Seal every secret with another key. Programs that run have to be started again.")
def rotate(database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """Seal every secret with another key."""
    from b24lake.control import keys
    from b24lake.control.secrets import VARIABLE

    with opened(database, home) as control:
        renewed = keys.rotate(control.database, control.keyring, acting(control))
    if json:
        common.print_json({"fingerprint": renewed.fingerprint, "file": str(renewed.file) if renewed.file else None})
        return
    then = f"The new key is in {renewed.file}." if renewed.file else f"Set {VARIABLE} to the new key now."
    common.console().print(f"All secrets are sealed with another key. {then} Start `serve` and workers again.")


def audit(
    thing: Annotated[
        str, typer.Argument(metavar="[OBJECT]", help="About this only, as 'source crm'.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 50,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Tell who changed what, the newest first."""
    from b24lake.control.audit import entries

    with opened(database, home) as control:
        found: list[dict[str, Any]] = [
            {"at": one.at.isoformat(), "who": one.who, "action": one.action, "object": one.object, "detail": one.detail}
            for one in entries(control.database, thing, limit=limit)
        ]
    if json:
        common.print_json({"entries": found})
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("at", "who", "did", "what", "detail"):
        table.add_column(heading, no_wrap=heading != "detail")
    for one in found:
        detail = ", ".join(f"{name} {value}" for name, value in one["detail"].items())
        table.add_row(moment(one["at"]), one["who"], one["action"], one["object"], detail)
    common.console().print(table)
