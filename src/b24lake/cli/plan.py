"""`b24lake plan`: what a sync would take, before anything is read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import (
    AllowHttp,
    CallsLookBack,
    DealCategories,
    DealComments,
    DealContacts,
    DealProducts,
    Exclude,
    Hash,
    HomeDir,
    Json,
    LakeDir,
    PortalPlan,
    Reader,
    ReaderOption,
    TableNames,
    Url,
    WebhookFile,
)

if TYPE_CHECKING:
    from b24lake.sync.planning import RunPlan, StreamPlan

_STREAM = "Stream to plan, by name or glob; may be given several times. [default: all]"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Tell what a sync would take: requests, the portal's seconds and time, from a few cheap probes.")(
        plan
    )


def plan(
    url: Url = None,
    lake: LakeDir = None,
    stream: Annotated[list[str] | None, typer.Option("--stream", "-s", help=_STREAM, show_default=False)] = None,
    full: Annotated[bool, typer.Option("--full", help="Plan to read everything, also what INCREMENTAL would skip.")] = (
        False
    ),
    layer: Annotated[str, typer.Option(help="Layer of the tables.")] = "raw",
    prefix: Annotated[str, typer.Option(help="What the tables' names begin with.")] = "bitrix24_",
    table: TableNames = None,
    sync_type: Annotated[
        list[str] | None, typer.Option(help="STREAM=INCREMENTAL or STREAM=FULL_TABLE.", show_default=False)
    ] = None,
    replication_key: Annotated[
        list[str] | None, typer.Option(help="STREAM=FIELD, as activities=LAST_UPDATED.", show_default=False)
    ] = None,
    deal_contacts: DealContacts = False,
    deal_comments: DealComments = False,
    deal_products: DealProducts = False,
    deal_categories: DealCategories = "",
    overlap: Annotated[str, typer.Option(help="How far before the last start an incremental read begins.")] = "5m",
    calls_look_back: CallsLookBack = "2d",
    reader: ReaderOption = Reader.CLASSIC,
    exclude: Exclude = None,
    hash: Hash = None,  # noqa: A002  it is what the option is called
    operating_threshold: Annotated[
        float, typer.Option(help="Operating seconds above which a method rests; 0 = off.")
    ] = 200.0,
    concurrency: Annotated[int, typer.Option(help="Requests on their way at once.")] = 4,
    portal_plan: PortalPlan = "standard",
    webhook_file: WebhookFile = None,
    allow_http: AllowHttp = False,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Tell what a sync with the same options would take. Reads a few pages, writes nothing."""
    from b24lake.sync.options import Options
    from b24lake.sync.planning import plan as plan_once

    webhook = common.webhook(url, webhook_file, allow_http=allow_http)
    options = Options(
        lake=common.lake(lake, home),
        streams=tuple(stream or ()),
        full=full,
        layer=layer,
        prefix=prefix,
        tables=common.pairs(table or [], "--table"),
        sync_types=common.pairs(sync_type or [], "--sync-type"),
        replication_keys=common.pairs(replication_key or [], "--replication-key"),
        deal_contacts=deal_contacts,
        deal_comments=deal_comments,
        deal_products=deal_products,
        deal_categories=common.numbers(deal_categories, "--deal-categories"),
        calls_look_back=common.duration(calls_look_back),
        reader=reader.value,
        exclude=tuple(exclude or ()),
        hash=tuple(hash or ()),
        overlap=common.duration(overlap),
        threshold=operating_threshold,
        concurrency=concurrency,
        portal_plan=portal_plan,
    )
    planned = plan_once(webhook, options, common.home(home))
    if json:
        common.print_json({"portal": str(webhook), **planned.as_json()})
    else:
        _show(planned)
    raise typer.Exit(0 if planned.planned else 1)


def in_words(seconds: float) -> str:
    """How long something takes, as people say it.

    >>> in_words(0.4), in_words(71), in_words(4247), in_words(200_000)
    ('1 second', '1 minute 11 seconds', '1 hour 10 minutes', '2 days 7 hours')
    """
    left = max(1, round(seconds))
    units = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
    first = next(place for place, (_, size) in enumerate(units) if left >= size)
    said = []
    for name, size in units[first : first + 2]:
        count, left = divmod(left, size)
        said += [f"{count} {name}{'s' if count > 1 else ''}"] if count else []
    return " ".join(said)


def _show(planned: RunPlan) -> None:
    from rich.table import Table
    from rich.text import Text

    terminal = common.console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, heading in enumerate(("stream", "is read", "rows", "pages", "portal s", "rests", "done after")):
        table.add_column(heading, justify="right" if number > 1 else "left", no_wrap=True)
    for one in planned.streams:
        table.add_row(*_line(one))
    terminal.print(table)
    for one in planned.streams:
        if one.error:
            terminal.print(Text(f"{one.name}: {one.error}", style="yellow"))
        if one.because:
            terminal.print(Text(f"{one.name}: is read in full, since {one.because}", style="yellow"))
    for note in planned.notes:
        terminal.print(Text(note, style="yellow"))
    if planned.planned:
        terminal.print(Text(_total(planned), style="bold"))


def _line(one: StreamPlan) -> list[str]:
    if one.error:
        return [one.name, f"[yellow]{one.status}[/]", "", "", "", "", ""]
    expected = one.expected
    return [
        one.name,
        f"since {one.since:%Y-%m-%d %H:%M} UTC" if one.since else "in full",
        f"{'' if one.counted else '~'}{expected.rows:,}",
        f"{expected.commands:,}",
        f"{expected.portal_seconds:,.1f}",
        f"{expected.rests} ({in_words(expected.rest_seconds)})" if expected.rests else "",
        in_words(expected.seconds),
    ]


def _total(planned: RunPlan) -> str:
    ends = (planned.planned_at + timedelta(seconds=planned.seconds)).astimezone()
    day = "" if ends.date() == planned.planned_at.astimezone().date() else f" on {ends:%Y-%m-%d}"
    rows = sum(one.expected.rows for one in planned.streams)
    return (
        f"About {in_words(planned.seconds)}: {rows:,} rows in {planned.requests:,} requests, "
        f"{planned.portal_seconds:,.0f} seconds of the portal's work. Begun now, it ends at {ends:%H:%M}{day}."
    )
