"""`b24lake streams`: what a portal has to read."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import AllowHttp, HomeDir, Json, PortalPlan, Url, WebhookFile

if TYPE_CHECKING:
    from b24lake.streams.discovery import Found


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="List the portal's streams: available or locked and why, with keys, sync types and fields.")(
        streams
    )


def streams(
    url: Url = None,
    webhook_file: WebhookFile = None,
    allow_http: AllowHttp = False,
    portal_plan: PortalPlan = "standard",
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """List the portal's streams."""
    from b24lake.sync.run import look

    webhook = common.webhook(url, webhook_file, allow_http=allow_http)
    found, _ = look(webhook, common.home(home), portal_plan=portal_plan)
    if json:
        common.print_json({"portal": str(webhook), "streams": [_document(one) for one in found.streams.values()]})
    else:
        _show(list(found.streams.values()))


def _document(found: Found) -> dict[str, Any]:
    from b24lake.streams.selection import is_hidden, switch

    stream, locked = found.stream, found.locked
    return {
        "name": stream.name,
        "title": stream.title,
        "group": stream.group,
        "status": "locked" if locked else "hidden" if is_hidden(stream, ()) else "available",
        "reason": locked.what if locked else None,
        "cure": locked.fix if locked else f"add {switch(stream)}" if stream.option else None,
        "scopes": list(stream.scopes),
        "method": stream.method,
        "primary_key": [stream.key],
        "replication_key": stream.replication_keys[0] if stream.replication_keys else None,
        "replication_keys": list(stream.replication_keys),
        "sync_types": list(stream.sync_types),
        "fields": [
            {"name": column.name, "type": str(column.type), "declared": column.kind, "label": column.label}
            for column in found.columns
        ],
    }


def _show(found: list[Found]) -> None:
    from rich.table import Table

    from b24lake.streams.definitions import GROUPS

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("stream", "", "primary key", "replication key", "sync types", "fields"):
        table.add_column(heading, justify="right" if heading == "fields" else "left")
    in_order = sorted(found, key=lambda one: GROUPS.index(one.stream.group))
    for group, members in groupby(in_order, key=lambda one: one.stream.group):
        table.add_row(f"[bold blue]{group}[/]")
        for one in members:
            table.add_row(*_line(one))
    common.console().print(table)


def _line(found: Found) -> list[str]:
    from b24lake.streams.selection import is_hidden, switch

    stream = found.stream
    if found.locked is not None:
        return [f"  {stream.name}", "[red]locked[/]", f"[dim]{found.locked.what}. {found.locked.fix}[/]"]
    if is_hidden(stream, ()):
        return [f"  {stream.name}", "[yellow]hidden[/]", f"[dim]until it is switched on with {switch(stream)}[/]"]
    keys = ", ".join(stream.replication_keys) or "–"
    return [
        f"  {stream.name}",
        "[green]available[/]",
        stream.key,
        keys,
        ", ".join(stream.sync_types),
        str(len(found.columns)),
    ]
