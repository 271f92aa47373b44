"""`b24lake user …`: who may log in to the web app, and as what."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json
from b24lake.cli.control import DatabaseAddress, acting, local, opened
from b24lake.errors import UsageError

if TYPE_CHECKING:
    from b24lake.control.models import Account

app = typer.Typer(help="Accounts: who may log in to the web app.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.", show_default=False)]
Role = Annotated[str, typer.Option(help="viewer (look), editor (change and run) or manager (accounts, too).")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        help="A file whose first line is the password. [default: it is asked for, or read from stdin]",
        show_default=False,
    ),
]


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="user")


@app.command(help="Add an account.")
def add(
    name: Name,
    role: Role = "viewer",
    password_file: PasswordFile = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Add an account."""
    from b24lake.control import accounts

    password = _password(password_file)
    with opened(database, home) as control:
        with control.database.writing() as session:
            made = accounts.add(session, acting(control), name, role, password)
        _answer(made, "may log in", json=json)


@app.command("list", help="List the accounts.")
def list_(database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """List the accounts."""
    from b24lake.control import accounts

    with opened(database, home) as control, control.database.reading() as session:
        found = [accounts.document(one) for one in accounts.listed(session)]
    if json:
        common.print_json({"accounts": found})
        return
    if not found:
        common.console().print("There are no accounts yet: add one with `b24lake user add NAME --role manager`.")
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("account", "role", "since", "last login"):
        table.add_column(heading)
    for one in found:
        table.add_row(one["name"], one["role"], local(one["created_at"]), local(one["last_login_at"]) or "never")
    common.console().print(table)


@app.command("role", help="Give an account another role; it has to log in again.")
def role_(
    name: Name,
    role: Annotated[str, typer.Argument(help="viewer, editor or manager.", show_default=False)],
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Give an account another role."""
    from b24lake.control import accounts

    with opened(database, home) as control:
        with control.database.writing() as session:
            account = accounts.found(session, name)
            accounts.change_role(session, acting(control), account, role)
        _answer(account, f"is {role}", json=json)


@app.command(help="Give an account another password; it has to log in again, and may do so at once.")
def password(
    name: Name,
    password_file: PasswordFile = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Give an account another password."""
    from b24lake.control import accounts

    with opened(database, home) as control:
        with control.database.reading() as session:
            accounts.found(session, name)  # before anybody is asked for a password
        given = _password(password_file)
        with control.database.writing() as session:
            account = accounts.found(session, name)
            accounts.change_password(session, acting(control), account, given)
        _answer(account, "has another password", json=json)


@app.command(help="Remove an account and its tokens.")
def remove(name: Name, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """Remove an account and its tokens."""
    from b24lake.control import accounts

    with opened(database, home) as control, control.database.writing() as session:
        account = accounts.found(session, name)
        accounts.remove(session, acting(control), account)
    common.done(f"{account.name} is removed.", {"removed": account.name}, json=json)


def _password(file: Path | None) -> str:
    """The password: never an argument, which others on the machine could read."""
    if file is not None:
        return common.first_line(file, "password")
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    import getpass

    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("The two passwords differ", fix="try again")
    return first


def _answer(account: Account, said: str, *, json: bool) -> None:
    from b24lake.control import accounts

    document: dict[str, Any] = accounts.document(account)
    common.done(f"{account.name} ({account.role}) {said}.", document, json=json)
