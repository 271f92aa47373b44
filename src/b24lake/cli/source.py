"""`b24lake source …`: what is read, from where, and into which tables."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import AllowHttp, HomeDir, Json, LakeDir, Url, WebhookFile
from b24lake.cli.control import Control, DatabaseAddress, MoveTables, acting, installation, local, opened
from b24lake.cli.run import add_to_sources
from b24lake.errors import UsageError

app = typer.Typer(help="Sources: a portal, its webhook, its streams and their tables.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="SOURCE", help="The source's id or name.", show_default=False)]
_BADGES = {"ok": "green", "late": "red", "failing": "red", "stopped": "red", "partial": "yellow", "running": "blue"}
_STREAM = "Stream to read, by name or glob; may be given several times. [default: all that can be read]"
_SETTINGS = "KEY=VALUE or STREAM.KEY=VALUE, as retries=3 or deals.sync_type=FULL_TABLE; see `b24lake source settings`."


def register(main: typer.Typer) -> None:
    """Add the commands."""
    add_to_sources(app)
    main.add_typer(app, name="source")


@app.command(help="Add a source: checks the webhook, chooses streams, and switches it on.")
def add(
    name: Annotated[str, typer.Argument(help="What it is called.", show_default=False)],
    url: Url = None,
    stream: Annotated[list[str] | None, typer.Option("--stream", "-s", help=_STREAM, show_default=False)] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help=_SETTINGS, show_default=False)] = None,
    source_id: Annotated[str, typer.Option("--id", help="Its id. [default: from the name]", show_default=False)] = "",
    draft: Annotated[
        bool, typer.Option("--draft", help="Keep it as a draft, without asking the portal; streams by exact names.")
    ] = False,
    webhook_file: WebhookFile = None,
    allow_http: AllowHttp = False,
    lake: LakeDir = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Add a source."""
    from b24lake.cli.check import show as show_checks
    from b24lake.control import choices, sources
    from b24lake.control.sources import Wanted

    webhook = common.webhook(url, webhook_file, allow_http=allow_http)
    wanted = Wanted(name, webhook, source_id, tuple(stream or ()), *choices.split_changes(settings or []))
    with opened(database, home) as control:
        here = installation(control, lake)
        if draft:
            with control.database.writing() as session:
                made: str | None = sources.create(session, control.keyring, here, acting(control), wanted).id
        else:
            made, checked = sources.set_up(control.database, control.keyring, here, acting(control), wanted)
        if made is None:
            if json:
                common.print_json({"status": "failed", "checks": [asdict(one) for one in checked.checks]})
            else:
                show_checks(str(webhook), checked.checks)
                common.console().print("Nothing was added.")
            raise typer.Exit(1)
        _answer(control, here, made, json=json)


@app.command("list", help="List the sources, with their health.")
def list_(database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """List the sources."""
    from b24lake.control import summaries

    with opened(database, home) as control, control.database.reading() as session:
        found = summaries.sources(session, control.clock())
    if json:
        common.print_json({"sources": found})
        return
    if not found:
        common.console().print("There are no sources yet: add one with `b24lake source add NAME`.")
        return
    from rich.text import Text

    table = _table("source", "name", "health", "portal", "streams", "last success", "next run")
    for line in found:
        badge = Text(line["health"], style=_BADGES.get(line["health"], ""))
        times = [local(line[key]) for key in ("fresh_at", "next_at")]
        table.add_row(line["id"], line["name"], badge, line["portal"], str(line["streams"]), *times)
    common.console().print(table)


@app.command(help="Show a source: settings, streams, tables, triggers, last checks.")
def show(
    name: Name, lake: LakeDir = None, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False
) -> None:
    """Show a source."""
    with opened(database, home) as control:
        _answer(control, installation(control, lake), name, json=json)


@app.command(help="Check a source: its webhook, its streams, its lake and its tables.")
def check(
    name: Name, lake: LakeDir = None, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False
) -> None:
    """Check a source. Exit code 1 if a check failed, 0 with warnings."""
    from b24lake.cli.check import show as show_checks
    from b24lake.control import sources

    with opened(database, home) as control:
        with control.database.reading() as session:
            source = sources.found(session, name)
        checked = sources.check(source, control.keyring, installation(control, lake), control.clock())
        with control.database.writing() as session:
            sources.keep_checks(session, sources.found(session, source.id, lock=True), checked, control.clock())
    if json:
        checks = [asdict(one) for one in checked.checks]
        common.print_json({"status": checked.status, "source": source.id, "checks": checks})
    else:
        show_checks(f"{source.id}: {source.webhook_shown}", checked.checks)
    raise typer.Exit(1 if checked.status == "failed" else 0)


@app.command(help="List what a source can read, or with -s choose what it reads.")
def streams(
    name: Name,
    stream: Annotated[
        list[str] | None,
        typer.Option("--stream", "-s", help="Read this, by name or glob, and nothing else; several times."),
    ] = None,
    add_: Annotated[list[str] | None, typer.Option("--add", help="Read this, too; several times.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="No longer read this; several times.")] = None,
    lake: LakeDir = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """List or choose the streams of a source."""
    from b24lake.control import offers, sources

    with opened(database, home) as control:
        with control.database.reading() as session:
            source = sources.found(session, name)
        offered = offers.offered(source, control.keyring, here := installation(control, lake))
        said: list[str] = []
        if stream or add_ or drop:
            with control.database.writing() as session:
                source = sources.found(session, source.id, lock=True)
                names = offers.picked(source, offered, only=stream or (), add=add_ or (), drop=drop or ())
                said = sources.edit(session, here, acting(control), source, {}, only=names)
    lines = offers.lines(source, offered)
    if json:
        common.print_json({"source": source.id, "streams": lines, "effects": said})
        return
    _print_streams(lines)
    _say(said)


@app.command("set", help="Change settings of a source, of its streams, or its webhook.")
def set_(
    name: Name,
    changes: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=_SETTINGS)] = None,
    webhook_file: WebhookFile = None,
    new_webhook: Annotated[
        bool, typer.Option("--new-webhook", help="Take the webhook from B24LAKE_WEBHOOK_URL or --webhook-file.")
    ] = False,
    move_tables: MoveTables = False,
    allow_http: AllowHttp = False,
    lake: LakeDir = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Change a source."""
    from b24lake.control import choices, relocation, sources

    fresh = common.webhook(None, webhook_file, allow_http=allow_http) if new_webhook or webhook_file else None
    if not changes and fresh is None:
        raise UsageError("Nothing is to be changed", fix="give KEY=VALUE; `b24lake source settings` lists the keys")
    plain, of_streams = choices.split_changes(changes or [])
    with opened(database, home) as control:
        here, actor = installation(control, lake), acting(control)
        with relocation.moves(here.home) as mover, control.database.writing() as session:
            source = sources.found(session, name, lock=True)
            move = mover if move_tables else None
            if fresh is not None:
                sources.change_webhook(session, control.keyring, here, actor, source, fresh)
            said = sources.edit(session, here, actor, source, plain, streams=of_streams, move=move) if changes else []
        _answer(control, here, source.id, json=json, said=said)


@app.command(help="List the settings of sources, with their defaults.")
def settings(json: Json = False) -> None:
    """List the settings of sources."""
    from b24lake.control.choices import STREAM_FIELDS
    from b24lake.control.source_settings import FIELDS

    found = [
        {"name": name, "default": field.default, "says": field.in_words(field.default), "about": field.about}
        for name, field in FIELDS.items()
    ]
    if json:
        of_streams = [{"name": name, "about": about} for name, about in STREAM_FIELDS.items()]
        common.print_json({"settings": found, "stream_settings": of_streams})
        return
    table = _table("setting", "default", "about")
    for one in found:
        table.add_row(
            one["name"], "" if one["default"] is None and one["says"] == "None" else one["says"], one["about"]
        )
    for key, about in STREAM_FIELDS.items():
        table.add_row(f"STREAM.{key}", "", about)
    common.console().print(table)


@app.command(help="Finish a draft: from now on its triggers count.")
def activate(
    name: Name, lake: LakeDir = None, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False
) -> None:
    """Finish a draft."""
    _turn("activate", name, lake, database, home, json=json)


@app.command(help="Pause a source: no runs by schedule or event until it is resumed.")
def pause(
    name: Name, lake: LakeDir = None, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False
) -> None:
    """Pause a source."""
    _turn("pause", name, lake, database, home, json=json)


@app.command(help="Resume a source that was paused, or stopped after too many failures.")
def resume(
    name: Name, lake: LakeDir = None, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False
) -> None:
    """Resume a source."""
    _turn("resume", name, lake, database, home, json=json)


def _turn(action: str, name: str, lake: str | None, database: str | None, home: Path | None, *, json: bool) -> None:
    from b24lake.control import sources

    with opened(database, home) as control:
        with control.database.writing() as session:
            source = sources.found(session, name, lock=True)
            getattr(sources, action)(session, acting(control), source)
        _answer(control, installation(control, lake), source.id, json=json)


@app.command(help="Copy a source: a draft with the same webhook and streams, and tables of its own.")
def duplicate(
    name: Name,
    copy: Annotated[
        str, typer.Option("--name", help="Name of the copy. [default: NAME copy]", show_default=False)
    ] = "",
    lake: LakeDir = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Copy a source."""
    from b24lake.control import sources

    with opened(database, home) as control:
        here = installation(control, lake)
        with control.database.writing() as session:
            made = sources.duplicate(session, here, acting(control), sources.found(session, name, lock=True), copy).id
        _answer(control, here, made, json=json)


@app.command(help="Delete a source, its triggers and the record of its runs.")
def delete(
    name: Name,
    tables: Annotated[str, typer.Option(help="What becomes of its tables: keep or remove.", show_default=False)] = "",
    lake: LakeDir = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Delete a source."""
    from b24lake.control import claims, sources

    with opened(database, home) as control:
        here = installation(control, lake)
        with control.database.writing() as session:
            source = sources.found(session, name, lock=True)
            gone = sources.delete(session, here, acting(control), source, tables=tables)
        claims.remove(gone, here.home)
    removed = [claims.shown(path) for path in gone]
    if json:
        common.print_json({"deleted": source.id, "tables": tables, "removed": removed})
    else:
        what = f"removed {len(removed)} tables with it" if removed else "its tables are as they were"
        common.console().print(f"Deleted {source.id}; {what if tables == 'keep' or removed else 'it had no tables'}.")


# --- showing ----------------------------------------------------------------------------------------------------------


def _answer(control: Control, here: Any, name: str, *, json: bool, said: list[str] | None = None) -> None:
    """The source as it is now."""
    from b24lake.control import sources, triggers

    now = control.clock()
    with control.database.reading() as session:
        source = sources.found(session, name)
        found = sources.document(source, here)
        found["triggers"] = [triggers.document(one, now, 1) for one in triggers.listed(session, source.id)]
    if json:
        common.print_json({**found, **({"effects": said} if said is not None else {})})
        return
    _print(found)
    _say(said or [])


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from b24lake.control.source_settings import FIELDS

    terminal = common.console()
    terminal.print(Text(f"{found['id']}: {found['name']}", style="bold"))
    about = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    about.add_row("state", Text(found["state"], style=_BADGES.get(found["state"], "")))
    about.add_row("webhook", Text(found["webhook"]))
    about.add_row("lake", Text(found["lake"]))
    settings = found["settings"]
    usual = {name: field.default for name, field in FIELDS.items()}
    for name, value in settings.items():
        if name in {"layer", "folder", "prefix"} or (value != usual[name] and name != "lake"):
            about.add_row(name, Text(FIELDS[name].in_words(value)))
    for one in found["triggers"]:
        following = f", next {one['next_local'][0]}" if one["next"] else ""
        kind = "full sync " if one["full"] else ""
        about.add_row(
            "trigger", Text(f"{one['id']}: {kind}{one['says']}{following}{'' if one['enabled'] else ', off'}")
        )
    failed = [one for one in found["checks"] if one["state"] == "failed"]
    for one in failed:
        about.add_row("check", Text(f"{one['name']}: {one['says']}", style="red"))
    terminal.print(about)
    streams = [one for one in found["streams"] if one["selected"]]
    if not streams:
        terminal.print("It reads no stream yet.")
        return
    hidden = any(_hidden(one) for one in streams)
    table = _table("stream", "sync type", "changes by", "table", *(["hidden columns"] if hidden else []))
    for one in streams:
        more = [_hidden(one)] if hidden else []
        table.add_row(one["stream"], one["sync_type"], _changes_by(one), one["table"], *more)
    terminal.print(table)


def _print_streams(lines: list[dict[str, Any]]) -> None:
    from rich.text import Text

    table = _table("", "stream", "state", "sync type", "changes by", "table")
    for group, members in groupby(lines, key=lambda one: one["group"]):
        table.add_row("", Text(group, style="bold blue"))
        for one in members:
            mark = Text("✓", style="green") if one["selected"] else ""
            style = "" if one["status"] == "available" else "yellow"
            chosen = [one["sync_type"], _changes_by(one), one["table"]] if one["selected"] else []
            table.add_row(mark, f"  {one['stream']}", Text(one["status"], style=style), *chosen)
    common.console().print(table)


def _changes_by(one: dict[str, Any]) -> str:
    return one["replication_key"] if one["replication_key"] and one["sync_type"] == "INCREMENTAL" else "–"


def _hidden(one: dict[str, Any]) -> str:
    parts = [f"{what} {', '.join(one[key])}" for key, what in (("exclude", "without"), ("hash", "hashed")) if one[key]]
    return "; ".join(parts)


def _say(said: list[str]) -> None:
    from rich.text import Text

    for each in said:
        common.console().print(Text(f"{each}.", style="yellow"))


def _table(*headings: str) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading == "streams" else "left", no_wrap=heading != "about")
    return table
