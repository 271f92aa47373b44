"""`b24lake trigger …`: when sources run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json
from b24lake.cli.control import DatabaseAddress, acting, opened
from b24lake.errors import UsageError

app = typer.Typer(help="Triggers: schedules of sources, and sources that wait for others.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="TRIGGER", help="The trigger's id, SOURCE.NAME.", show_default=False)]


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="trigger")


@app.command(help="Add a trigger: --at and --on, --cron, or --after another source.")
def add(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source's id or name.", show_default=False)],
    at: Annotated[list[str] | None, typer.Option("--at", help="Time of day, as 06:30; several times.")] = None,
    on: Annotated[
        list[str] | None, typer.Option("--on", help="Weekday, as mon or mon,fri; several times. [default: every day]")
    ] = None,
    cron: Annotated[str, typer.Option(help="A cron line of five fields instead.", show_default=False)] = "",
    zone: Annotated[str, typer.Option(help="IANA zone of these times, as Europe/Berlin.", show_default=False)] = "",
    after: Annotated[
        list[str] | None, typer.Option("--after", help="Run after this source has succeeded; several times.")
    ] = None,
    mode: Annotated[str, typer.Option(help="Whether any of these sources is enough, or all are needed.")] = "any",
    full: Annotated[bool, typer.Option("--full", help="An additional full sync: reads everything.")] = False,
    name: Annotated[str, typer.Option(help="What it is called.", show_default=False)] = "",
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Add a trigger."""
    from b24lake.control import sources, triggers

    days = [word for each in on or [] for word in each.replace(",", " ").split()]
    timed = {"cron": cron, "weekdays": days, "times": at or [], "zone": zone}
    if after and any(timed.values()):
        raise UsageError("A trigger is a schedule or waits for sources, not both", fix="add two triggers")
    with opened(database, home) as control:
        with control.database.writing() as session:
            awaited = [sources.found(session, each).id for each in after or []]
            spec = (
                {"sources": awaited, "mode": mode} if after else {key: value for key, value in timed.items() if value}
            )
            owner = sources.found(session, source)
            made = triggers.add(session, acting(control), owner, spec, name=name, full=full)
        _answer(triggers.document(made, control.clock()), json=json)


@app.command("list", help="List the triggers.")
def list_(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Of this source only.", show_default=False)
    ] = None,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """List the triggers."""
    from b24lake.control import sources, triggers

    with opened(database, home) as control:
        now = control.clock()
        with control.database.reading() as session:
            owner = sources.found(session, source).id if source else ""
            found = [triggers.document(one, now, 1) for one in triggers.listed(session, owner)]
    if json:
        common.print_json({"triggers": found})
        return
    if not found:
        common.console().print("There are no triggers yet: add one with `b24lake trigger add SOURCE`.")
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("trigger", "fires", "reads", "next", "state"):
        table.add_column(heading, no_wrap=heading != "fires")
    for one in found:
        reads = "everything" if one["full"] else "what changed"
        table.add_row(one["id"], one["says"], reads, *one["next_local"] or [""], "on" if one["enabled"] else "off")
    common.console().print(table)


@app.command("next", help="Tell the next times of a trigger.")
def next_(
    trigger: Id,
    count: Annotated[int, typer.Option("--count", "-n", help="How many.", min=1, max=100)] = 5,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Tell the next times of a trigger."""
    from b24lake.control import triggers

    with opened(database, home) as control, control.database.reading() as session:
        found = triggers.document(triggers.found(session, trigger), control.clock(), count)
    _answer(found, json=json)


@app.command(help="Switch a trigger on again.")
def enable(trigger: Id, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """Switch a trigger on again."""
    _switch(trigger, database, home, enabled=True, json=json)


@app.command(help="Switch a trigger off, and keep it.")
def disable(trigger: Id, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """Switch a trigger off, and keep it."""
    _switch(trigger, database, home, enabled=False, json=json)


def _switch(trigger: str, database: str | None, home: Any, *, enabled: bool, json: bool) -> None:
    from b24lake.control import triggers

    with opened(database, home) as control:
        with control.database.writing() as session:
            found = triggers.found(session, trigger)
            triggers.change(session, acting(control), found, enabled=enabled)
        _answer(triggers.document(found, control.clock()), json=json)


@app.command(help="Delete a trigger; what it has queued stays queued.")
def delete(trigger: Id, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """Delete a trigger."""
    from b24lake.control import triggers

    with opened(database, home) as control, control.database.writing() as session:
        triggers.delete(session, acting(control), triggers.found(session, trigger))
    if json:
        common.print_json({"deleted": trigger})
    else:
        common.console().print(f"Deleted {trigger}.")


def _answer(found: dict[str, Any], *, json: bool) -> None:
    """A trigger, with its next times."""
    if json:
        common.print_json(found)
        return
    terminal = common.console()
    state = "" if found["enabled"] else ", switched off"
    terminal.print(f"{found['id']}: {'full sync ' if found['full'] else ''}{found['says']}{state}", markup=False)
    for moment in found["next_local"]:
        terminal.print(f"  {moment}", markup=False)
