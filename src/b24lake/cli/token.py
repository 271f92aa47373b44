"""`b24lake token …`: what programs show to the API."""

from __future__ import annotations

from typing import Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json
from b24lake.cli.control import DatabaseAddress, acting, local, opened

app = typer.Typer(help="Tokens: what programs show to the JSON API and to /metrics.", no_args_is_help=True)


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="token")


@app.command(help="Make a token. It is shown once, and never again.")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, run, write or admin; may be given several times. [default: read]", show_default=False),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Only for this source, by id; may be given several times.", show_default=False),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            help="Reads only these tables, as raw.bitrix24_deals or 'raw.*'; may be given several times.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[
        str, typer.Option(help="Of this account: it may do no more than they may, and goes with them.")
    ] = "",
    expires: Annotated[str, typer.Option(help="After this time, as 90d or 12h.", show_default=False)] = "",
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Make a token."""
    from b24lake.control import tokens

    with opened(database, home) as control:
        actor = acting(control)
        until = actor.at + common.duration(expires) if expires else None
        with control.database.writing() as session:
            made, text = tokens.add(
                session,
                actor,
                name,
                scope or ["read"],
                account=user or None,
                sources=source or (),
                tables=tables or (),
                expires_at=until,
            )
    common.done(text, {**tokens.document(made), "token": text}, json=json)


@app.command("list", help="List the tokens.")
def list_(database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """List the tokens."""
    from b24lake.control import tokens

    with opened(database, home) as control, control.database.reading() as session:
        found = [tokens.document(one) for one in tokens.listed(session)]
    if json:
        common.print_json({"tokens": found})
        return
    if not found:
        common.console().print("There are no tokens yet: make one with `b24lake token add NAME`.")
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("token", "name", "account", "scopes", "sources", "tables", "expires", "last use"):
        table.add_column(heading, no_wrap=heading not in {"sources", "tables"})
    for one in found:
        sources, tables = (", ".join(one[what]) or "all" for what in ("sources", "tables"))
        ends, used = local(one["expires_at"]) or "never", local(one["used_at"]) or "never"
        table.add_row(
            one["id"], one["name"], one["account"] or "", " ".join(one["scopes"]), sources, tables, ends, used
        )
    common.console().print(table)


@app.command(help="End a token at once.")
def revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id, as `token list` shows it.")],
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """End a token."""
    from b24lake.control import tokens

    with opened(database, home) as control, control.database.writing() as session:
        ended = tokens.revoke(session, acting(control), token)
    common.done(f"The token {ended.name!r} is worth nothing any more.", {"revoked": ended.id}, json=json)
