"""`b24lake alert …`: where alerts go, whether they arrive, and what was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json
from b24lake.cli.control import DatabaseAddress, moment, opened
from b24lake.errors import UsageError

app = typer.Typer(help="Alerts: channels, a test, what was sent.", no_args_is_help=True)
channel = typer.Typer(help="Where alerts go: a JSON webhook or e-mail.", no_args_is_help=True)
app.add_typer(channel, name="channel")

Name = Annotated[str, typer.Argument(help="The channel's name.", show_default=False)]


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="alert")


@channel.command(help="Add a channel. Its address and password are sealed; files keep them out of the command line.")
def add(
    name: Name,
    webhook_file: Annotated[
        Path | None, typer.Option(help="A file whose first line is the address to post JSON to.", show_default=False)
    ] = None,
    smtp: Annotated[str, typer.Option(help="Mail server, HOST:PORT.", show_default=False)] = "",
    sender: Annotated[str, typer.Option("--from", help="Sender of the mail.", show_default=False)] = "",
    to: Annotated[list[str] | None, typer.Option(help="Who gets the mail; several times.", show_default=False)] = None,
    user: Annotated[str, typer.Option(help="Who logs in to the mail server.", show_default=False)] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="A file whose first line is the password.", show_default=False)
    ] = None,
    tls: Annotated[str, typer.Option(help="starttls, ssl or none.")] = "starttls",
    event: Annotated[
        list[str] | None,
        typer.Option(help="Only this event: failed, stopped, late or recovered. [default: all]", show_default=False),
    ] = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Add a channel."""
    from b24lake.control import channels

    if bool(webhook_file) == bool(smtp):
        raise UsageError("A channel is a webhook or a mail server", fix="pass --webhook-file or --smtp")
    if webhook_file:
        address = channels.webhook_address(common.first_line(webhook_file, "webhook"))
    else:
        host, _, port = smtp.rpartition(":")
        address = channels.smtp_address(
            host=host,
            port=int(port) if port.isdecimal() else 0,
            sender=sender,
            to=to or (),
            user=user,
            password=common.first_line(password_file, "password") if password_file else "",
            tls=tls,
        )
    with opened(database, home) as control:
        channels.add(control.database, control.keyring, name, address, events=event or ())
    _done({"channel": name, "added": True}, f"Channel {name} added; try it with `b24lake alert test {name}`", json)


@channel.command("list", help="All channels, without their secrets.")
def list_channels(database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """All channels."""
    from b24lake.control import channels

    with opened(database, home) as control:
        found = channels.listed(control.database)
    if json:
        common.print_json({"channels": found})
        return
    for one in found:
        common.console().print(f"{one['name']}  {one['kind']}  {one['shown']}  {', '.join(one['events'])}")


@channel.command(help="Remove a channel.")
def delete(name: Name, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """Remove a channel."""
    from b24lake.control import channels

    with opened(database, home) as control:
        channels.delete(control.database, name)
    _done({"channel": name, "deleted": True}, f"Channel {name} deleted", json)


@app.command(help="Send a message through a channel now.")
def test(name: Name, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """Send a message through a channel now."""
    from b24lake.control import channels, delivery

    with opened(database, home) as control:
        now = control.clock()
        number = channels.ask_for_test(control.database, name, now)
        arrived = delivery.deliver(control.database, control.keyring, now, only=number)
        alert = next(one for one in channels.sent(control.database) if one["id"] == number)
    _done(alert, "It arrived" if arrived else f"Error: {alert['error']}", json)
    raise typer.Exit(0 if arrived else 1)


@app.command("list", help="What was sent, the newest first.")
def list_(
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """What was sent."""
    from b24lake.control import channels

    with opened(database, home) as control:
        found = channels.sent(control.database, limit=limit)
    if json:
        common.print_json({"alerts": found})
        return
    for one in found:
        arrived = f"sent {moment(one['sent_at'])}" if one["sent_at"] else f"{one['tries']} tries: {one['error'] or ''}"
        words = [moment(one["created_at"]), one["event"], one["source"] or "", one["channel"], arrived]
        common.console().print("  ".join(word for word in words if word), soft_wrap=True)


def _done(document: dict[str, object], words: str, json: bool) -> None:
    if json:
        common.print_json(document)
    else:
        common.console().print(words, soft_wrap=True)
