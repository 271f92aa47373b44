"""`b24lake serve` and `b24lake worker`: the service, and one more worker for it."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.cli.control import Control, DatabaseAddress, opened

if TYPE_CHECKING:
    from types import FrameType

    from b24lake.lake.place import Place

Runs = Annotated[int, typer.Option("--runs", help="How many runs at once.", min=1, max=100)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="The service: web app, schedules, alerts, metrics and a worker, until it is stopped.")(serve)
    app.command(help="One more worker on the same database, on this machine or another one.")(worker)


def serve(
    runs: Runs = 4,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 = any free one.", min=0, max=65535)] = 8025,
    login: Annotated[
        bool, typer.Option("--login", help="Have people log in on this machine's own address, too.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name that the app may be called by; several times. Needs a login.", show_default=False),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of a proxy whose X-Forwarded-For and -Proto are believed; several times. Needs a login.",
            show_default=False,
        ),
    ] = None,
    allow_private: Annotated[
        bool,
        typer.Option(
            "--allow-private",
            help="Let webhooks lead into private networks, and use plain http.",
            envvar="B24LAKE_ALLOW_PRIVATE",
        ),
    ] = False,
    database: DatabaseAddress = None,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Web app, scheduler and worker in one process."""
    from b24lake.control.claims import Installation
    from b24lake.control.scheduler import Scheduler
    from b24lake.web.reach import reach, require_a_manager
    from b24lake.web.server import Server
    from b24lake.web.site import Site

    with opened(database, home) as control, ExitStack() as stack:
        reached = reach(host, login=login, names=allow_host or (), proxies=proxy or ())
        if reached.login:
            require_a_manager(control.database, reached)
        if reached.in_clear:
            sys.stderr.write("Passwords and tokens travel in clear: put a proxy with TLS in front (docs/security.md)\n")
        stopped, where = stopped_by_signal(), common.lake(lake, home)
        site = Site(
            control.database,
            control.keyring,
            Installation(control.home, where),
            control.clock,
            secrets.token_bytes,
            hosts=reached.hosts,
            login=reached.login,
            who=control.who,
            private=allow_private,
        )
        server = Server(site, host, port, proxies=reached.proxies)
        stack.callback(server.close)
        scheduler = Scheduler(control.database, control.keyring, control.clock)
        stack.callback(scheduler.stop)
        scheduler.start()
        _work(control, where, runs, stopped, server.address, json=json)


def worker(
    runs: Runs = 4,
    database: DatabaseAddress = None,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """A worker alone."""
    with opened(database, home) as control:
        _work(control, common.lake(lake, home), runs, stopped_by_signal(), None, json=json)


def _work(
    control: Control, lake: Place, most: int, stopped: Callable[[], bool], address: str | None, *, json: bool
) -> None:
    from b24lake.control.worker import Worker

    with _logged():
        at_work = Worker(control.database, control.keyring, control.home, lake, control.clock, most=most)
        told = {"worker": at_work.id, "runs": most, "database": control.database.shown, "lake": str(lake)}
        if json:
            common.print_json({**({"address": address} if address else {}), **told})
        else:
            where = f"Serving on {address} with worker" if address else "Worker"
            sys.stdout.write(f"{where} {at_work.id}: up to {most} runs at once, tables in {lake}; Ctrl-C ends it\n")
            sys.stdout.flush()
        at_work.work(stopped)


def stopped_by_signal() -> Callable[[], bool]:
    """Whether a signal asked for the end; the second one ends at once, and the next worker takes over."""
    import signal

    asked: list[int] = []

    def take(number: int, _frame: FrameType | None) -> None:
        if asked:
            os._exit(common.CANCELED_CODE)
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, take)
    return lambda: bool(asked)


@contextmanager
def _logged() -> Iterator[None]:
    """What the service has to say goes to stderr, without secrets."""
    from b24lake.portal.webhook import mask

    class Masked(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return mask(super().format(record))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Masked("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("b24lake")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
