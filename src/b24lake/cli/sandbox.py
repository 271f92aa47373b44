"""`b24lake sandbox`: a Bitrix24 portal to try things on."""

from __future__ import annotations

from typing import Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import Json
from b24lake.errors import UsageError

Count = Annotated[
    int | None, typer.Option(help="Rows; a sensible share of the deals if not given.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Run a Bitrix24 portal with made-up data to try things on; prints its webhook URL.")(sandbox)


def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 = any free one.")] = 8024,
    deals: Annotated[int, typer.Option(help="Deals.")] = 10_000,
    contacts: Count = None,
    companies: Count = None,
    leads: Count = None,
    activities: Count = None,
    products: Count = None,
    users: Annotated[int, typer.Option(help="Employees.")] = 40,
    deal_fields: Annotated[int, typer.Option(help="Columns of a deal, custom fields included.")] = 100,
    seed: Annotated[int, typer.Option(help="Another seed is another company.")] = 1,
    id_start: Annotated[int, typer.Option(help="The first id.")] = 2,
    id_gap: Annotated[float, typer.Option(help="How sparse ids are; 1.0 = no gaps.")] = 1.3,
    offset: Annotated[int, typer.Option(help="The server's time zone, minutes east of UTC.")] = 180,
    threshold: Annotated[int, typer.Option(help="Requests in a burst before the portal refuses; 0 = never.")] = 50,
    drain: Annotated[float, typer.Option(help="Requests a second after the burst.")] = 2.0,
    page_ms: Annotated[float, typer.Option(help="Milliseconds a page of 50 rows takes on the portal.")] = 0.0,
    count_ms: Annotated[
        float | None, typer.Option(help="What counting all rows adds; as much again if not given.", show_default=False)
    ] = None,
    command_ms: Annotated[float, typer.Option(help="Milliseconds any other call takes.")] = 0.0,
    round_trip_ms: Annotated[float, typer.Option(help="Milliseconds there and back, per HTTP request.")] = 0.0,
    book: Annotated[bool, typer.Option("--book", help="Only book the time pages take; never wait.")] = False,
    acceleration: Annotated[float, typer.Option(help="Seconds of the portal's clock per real second.")] = 1.0,
    operating_limit: Annotated[
        float, typer.Option(help="Seconds of work per method in ten minutes before it is blocked; 0 = never.")
    ] = 480.0,
    operating_floor: Annotated[float, typer.Option(help="Calls shorter than these seconds are not booked.")] = 0.1,
    billing: Annotated[str, typer.Option(help="What a batch is booked on: method, batch.")] = "method",
    counters: Annotated[str, typer.Option(help="Operating counters in answers: present, zero, absent.")] = "present",
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope of the webhook, several times. [default: all]", show_default=False)
    ] = None,
    admin: Annotated[bool, typer.Option(help="Whether the webhook's owner is an administrator.")] = True,
    json: Json = False,
) -> None:
    """Run a Bitrix24 portal with made-up data; prints its webhook URL and serves until it is stopped."""
    from b24lake.sandbox import Portal, Server, Settings
    from b24lake.sandbox.settings import ALL_SCOPES

    try:
        settings = Settings(
            deals=deals,
            contacts=contacts,
            companies=companies,
            leads=leads,
            activities=activities,
            products=products,
            users=users,
            deal_fields=deal_fields,
            seed=seed,
            id_start=id_start,
            id_gap=id_gap,
            server_offset=offset,
            threshold=threshold,
            drain=drain,
            page_ms=page_ms,
            count_ms=count_ms,
            command_ms=command_ms,
            round_trip_ms=round_trip_ms,
            book=book,
            acceleration=acceleration,
            operating_limit=operating_limit,
            operating_floor=operating_floor,
            billing=billing,
            operating=counters,
            scopes=tuple(scope or ALL_SCOPES),
            admin=admin,
        )
        server = Server(Portal(settings), port=port)
    except ValueError as error:
        raise UsageError(
            "The sandbox cannot be set up so", why=str(error), fix="see `b24lake sandbox --help`"
        ) from None
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be used", why=error.strerror or str(error), fix="choose another with --port"
        ) from None
    if json:
        common.print_json({"url": server.url, "deals": deals})
    else:
        typer.echo(server.url)
    server.serve_forever()
