"""`b24lake streams`: what a portal has to read, and what stands in the way of the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import (
    AllowHttp,
    DealComments,
    DealContacts,
    DealProducts,
    HomeDir,
    Json,
    PortalPlan,
    Reader,
    ReaderOption,
    Url,
    WebhookFile,
)

if TYPE_CHECKING:
    from rich.console import Console

    from b24lake.streams.discovery import Discovery, Found

_LOCKS = {"scope": "no scope", "plan": "not on plan", "rights": "refused", "gone": "gone", "other": "locked"}
WIDE = 130  # columns of a terminal that has room for titles
_MISSING = (
    "A stream you miss? First see that its scope is ticked. What docs/streams.md does not name is not read yet: "
    "ask for it in an issue."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="List the portal's streams: available or locked and why, with keys, sync types and fields.")(
        streams
    )


def streams(
    url: Url = None,
    deal_contacts: DealContacts = False,
    deal_comments: DealComments = False,
    deal_products: DealProducts = False,
    reader: ReaderOption = Reader.CLASSIC,
    webhook_file: WebhookFile = None,
    allow_http: AllowHttp = False,
    portal_plan: PortalPlan = "standard",
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """List the portal's streams."""
    from b24lake.sync.run import look

    webhook = common.webhook(url, webhook_file, allow_http=allow_http)
    found, _ = look(webhook, common.home(home), portal_plan=portal_plan, reader=reader.value)
    switches = {"deal_contacts": deal_contacts, "deal_comments": deal_comments, "deal_products": deal_products}
    on = {name for name, value in switches.items() if value}
    if json:
        common.print_json(_document(found, on, portal=str(webhook)))
    else:
        _show(found, on)


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _document(discovery: Discovery, on: Collection[str], *, portal: str) -> dict[str, Any]:
    from b24lake.portal.probe import invisible

    probe, warning = discovery.probe, invisible(discovery.probe)
    return {
        "portal": portal,
        "owner": {"id": probe.owner, "name": probe.owner_name, "admin": probe.admin},
        "scopes": sorted(probe.scopes) if probe.tells_scopes else None,
        "warnings": [warning] if warning else [],
        "streams": [_stream(found, on) for found in discovery.streams.values()],
    }


def _stream(found: Found, on: Collection[str]) -> dict[str, Any]:
    from b24lake.streams.selection import is_hidden, switch

    stream, locked = found.stream, found.locked
    hidden, changes = is_hidden(stream, on), [found.column(key) for key in stream.replication_keys]
    reason, cure = (locked, locked.fix) if locked else (None, f"add {switch(stream)}" if hidden else None)
    return {
        "name": stream.name,
        "title": stream.title,
        "group": stream.group,
        "status": "locked" if locked else "hidden" if hidden else "available",
        "lock": found.lock,
        "reason": f"{reason.what}: {reason.why}" if reason else "it is switched off" if hidden else None,
        "cure": cure,
        "scopes": list(stream.scopes),
        "method": stream.method,
        "reader": stream.reader,
        "note": found.note or None,
        "cost": stream.cost,
        "primary_key": [found.column(stream.key)],
        "replication_key": changes[0] if changes else None,
        "replication_keys": changes,
        "sync_types": list(stream.sync_types),
        "fields": [
            {"name": column.name, "type": str(column.type), "declared": column.kind, "label": column.label}
            for column in found.columns
        ],
    }


# --- in the terminal --------------------------------------------------------------------------------------------------


def _show(discovery: Discovery, on: Collection[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from b24lake.portal.probe import invisible
    from b24lake.streams.definitions import GROUPS

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading, width in (("stream", 20), ("state", 9), ("key", 3), ("changes by", 21), ("sync types", 23)):
        table.add_column(heading, no_wrap=True, min_width=width)
    table.add_column("fields", justify="right", no_wrap=True, min_width=6)
    terminal = common.console()
    wide = terminal.width >= WIDE
    if wide:
        table.add_column("what it holds", style="dim", no_wrap=True, overflow="ellipsis")
    in_order = sorted(discovery.streams.values(), key=lambda one: GROUPS.index(one.stream.group))
    for group, members in groupby(in_order, key=lambda one: one.stream.group):
        table.add_row(Text(group, style="bold blue"))
        for one in members:
            line = _line(one, on)
            table.add_row(*line, *[""] * (6 - len(line)), *([Text(one.stream.title)] if wide else []))
    terminal.print(table)
    _explain(terminal, in_order)
    for one in in_order:
        if one.note:
            terminal.print(Text(f"\n{one.stream.name}: {one.note}.", style="yellow"))
    warning = invisible(discovery.probe)
    if warning:
        terminal.print(Text(f"\n{warning}.", style="yellow"))
    terminal.print(Text(f"\n{_MISSING}", style="dim"))


def _line(found: Found, on: Collection[str]) -> list[Any]:
    from rich.text import Text

    from b24lake.streams.selection import is_hidden, switch

    stream, name = found.stream, f"  {found.stream.name}"
    if found.lock is not None:
        return [name, Text(_LOCKS[found.lock], style="red")]
    key, changes = found.column(stream.key), ", ".join(found.column(one) for one in stream.replication_keys)
    badge = Text(stream.cost, style="yellow") if stream.parent else Text(changes or "–")
    if is_hidden(stream, on):
        return [name, Text("hidden", style="yellow"), key, badge, Text(f"until {switch(stream)}", style="dim")]
    types = ", ".join(stream.sync_types)
    return [name, Text("available", style="green"), key, badge, types, str(len(found.columns))]


def _explain(terminal: Console, found: Iterable[Found]) -> None:
    """Why streams are locked and what to do about it, once for all that lack the same."""
    from rich.padding import Padding
    from rich.text import Text

    reasons: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in found:
        if one.locked is not None:
            scopes = " or ".join(one.stream.scopes)
            what = f"Without the scope {scopes}" if one.lock == "scope" else one.locked.what
            reasons[what, "" if one.lock == "scope" else one.locked.why, one.locked.fix].append(one.stream.name)
    for (what, why, fix), names in reasons.items():
        terminal.print(Text(f"\n{what}: ", style="red").append(", ".join(names), style="default"))
        cure = ". ".join(part[:1].upper() + part[1:] for part in (why, fix) if part)
        terminal.print(Padding(Text(f"{cure}.", style="dim"), (0, 0, 0, 2)))
