"""`b24lake demo`: a sandbox portal, a sync of it, and a look at the tables; with --serve, in the web app."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import Json, LakeDir

if TYPE_CHECKING:
    from b24lake.sandbox import Portal
    from b24lake.sync.report import RunReport

_SQL = """\
SELECT "CATEGORY_ID" AS funnel, "STAGE_SEMANTIC_ID" AS outcome, count(*) AS deals, sum("OPPORTUNITY") AS amount
FROM raw.bitrix24_deals GROUP BY 1, 2 ORDER BY 1, 2"""
# tables of the lake whose rows can be counted in the portal as well: stream -> table of the sandbox
_COUNTED = {
    "activities": "activities",
    "companies": "companies",
    "contacts": "contacts",
    "deals": "deals",
    "departments": "departments",
    "leads": "leads",
    "product": "products",
    "users": "users",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="See it work: a sandbox portal, its data in Delta tables, and a SQL query over them.")(demo)


def demo(
    deals: Annotated[int, typer.Option(help="Deals in the sandbox portal.")] = 10_000,
    serve: Annotated[bool, typer.Option("--serve", help="Go on with the web app, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(help="Port of the web app; 0 = any free one.")] = 8025,
    lake: LakeDir = None,
    json: Json = False,
) -> None:
    """See it work: a sandbox portal, its data in Delta tables, and a SQL query over them."""
    if serve:
        _served(deals, port, lake, json=json)
        return
    from b24lake.cli.progress import closing, watch
    from b24lake.cli.query import show
    from b24lake.lake.query import query
    from b24lake.sandbox import Portal, Server, Settings
    from b24lake.sync.options import Options
    from b24lake.sync.run import Progress, sync

    place = Path(tempfile.mkdtemp(prefix="b24lake-demo-"))
    folder = common.lake(lake or place / "lake", None)
    portal, progress = Portal(Settings(deals=deals)), Progress()
    with Server(portal) as server, watch(progress):
        webhook = common.webhook(server.url, None, allow_http=False)
        report = sync(webhook, Options(lake=folder), common.home(place), progress)
    counts = _counts(report, portal)
    equal = all(there == here for _, there, here in counts)
    if json:
        rows = query(folder, _SQL).to_pylist()
        common.print_json({**report.as_json(), "lake": str(folder), "counts_equal": equal, "query": rows})
    else:
        typer.echo(f"A sandbox portal with {deals:,} deals was read into {folder}\n")
        closing(report, folder)
        _compare(counts)
        typer.echo(f"\n{_SQL}\n")
        show(query(folder, _SQL))
        typer.echo(f"\nLook further:  b24lake tables --lake {folder}")
        typer.echo(f"               b24lake show raw.bitrix24_deals --lake {folder}")
    raise typer.Exit(report.exit_code or int(not equal))


def _served(deals: int, port: int, lake: str | None, *, json: bool) -> None:
    """A service with one source over a sandbox portal that has been read twice, and its web app."""
    from b24lake.cli.demo_service import DemoService
    from b24lake.sandbox import Portal, Server, Settings

    place = Path(tempfile.mkdtemp(prefix="b24lake-demo-"))
    with Server(Portal(Settings(deals=deals))) as sandbox, DemoService(place, lake, port) as service:
        typer.echo(f"A sandbox portal with {deals:,} deals is read into tables …", err=True)
        service.read(sandbox)
        told = {"address": service.address, "home": str(place), "webhook": sandbox.url}
        if json:
            common.print_json(told)
        else:
            typer.echo(f"Open {service.address} to look around; Ctrl-C ends it. Everything is kept in {place}")
        service.work()


def _counts(report: RunReport, portal: Portal) -> list[tuple[str, int, int]]:
    """Per table: its name, the rows in the portal, the rows that were read."""
    return [
        (line.table, sum(1 for _ in portal.truth(_COUNTED[line.name])), line.rows_read)
        for line in report.streams
        if line.name in _COUNTED
    ]


def _compare(counts: list[tuple[str, int, int]]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("table", "in the portal", "in the lake", ""):
        table.add_column(heading, justify="right" if "in the" in heading else "left")
    for name, there, here in counts:
        table.add_row(name, f"{there:,}", f"{here:,}", "[green]equal[/]" if there == here else "[red]different[/]")
    typer.echo()
    common.console().print(table)
