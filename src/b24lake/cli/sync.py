"""`b24lake sync`: one run, with a live display and a closing table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
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
from b24lake.errors import StopError

if TYPE_CHECKING:
    from b24lake.portal.webhook import Webhook
    from b24lake.sync.options import Options


class Deleted(StrEnum):
    """What becomes of rows that are gone at the source."""

    KEEP = "keep"
    MARK = "mark"
    REMOVE = "remove"


_STREAM = "Stream to read, by name or glob; may be given several times. [default: all]"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Read the portal's streams into Delta tables, once.")(sync)


def sync(
    url: Url = None,
    lake: LakeDir = None,
    stream: Annotated[list[str] | None, typer.Option("--stream", "-s", help=_STREAM, show_default=False)] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything, also what INCREMENTAL would skip.")] = False,
    layer: Annotated[str, typer.Option(help="Layer of the tables.")] = "raw",
    folder: Annotated[
        str | None,
        typer.Option(
            help="Folder of the tables in the catalog. [default: as it is, bitrix24 for new ones]", show_default=False
        ),
    ] = None,
    prefix: Annotated[str, typer.Option(help="What the tables' names begin with.")] = "bitrix24_",
    table: TableNames = None,
    sync_type: Annotated[
        list[str] | None, typer.Option(help="STREAM=INCREMENTAL or STREAM=FULL_TABLE.", show_default=False)
    ] = None,
    replication_key: Annotated[
        list[str] | None, typer.Option(help="STREAM=FIELD, as activities=LAST_UPDATED.", show_default=False)
    ] = None,
    deleted: Annotated[
        Deleted, typer.Option(help="What a full read of an incremental stream does with rows that vanished.")
    ] = Deleted.REMOVE,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Go on although very many rows vanished.")
    ] = False,
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
    """Read the portal's streams into Delta tables, once."""
    from b24lake.sync.options import Options

    webhook = common.webhook(url, webhook_file, allow_http=allow_http)
    options = Options(
        lake=common.lake(lake, home),
        streams=tuple(stream or ()),
        full=full,
        layer=layer,
        folder=folder,
        prefix=prefix,
        tables=common.pairs(table or [], "--table"),
        sync_types=common.pairs(sync_type or [], "--sync-type"),
        replication_keys=common.pairs(replication_key or [], "--replication-key"),
        deleted=deleted.value,
        accept_deletions=accept_deletions,
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
    raise typer.Exit(run(webhook, options, home, json=json))


def run(webhook: Webhook, options: Options, home: Path | None, *, json: bool) -> int:
    """One run with its display. Returns the exit code."""
    from b24lake.cli.progress import closing, watch
    from b24lake.sync.run import Progress
    from b24lake.sync.run import sync as sync_once

    progress = Progress()
    try:
        with watch(progress):
            report = sync_once(webhook, options, common.home(home), progress)
    except (KeyboardInterrupt, StopError) as error:
        if progress.report is None:
            raise
        report = progress.report
        report.status = "failed" if isinstance(error, StopError) else "canceled"
        if isinstance(error, StopError):
            report.error = error
            common.complain(error)
    if json:
        common.print_json(report.as_json())
    elif report.streams:
        closing(report, options.lake)
    return report.exit_code
