"""A service that `b24lake demo --serve` shows: one source over a sandbox portal, read twice, with a schedule."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from b24lake.cli import common
from b24lake.cli.control import acting, opened
from b24lake.control import runs, sources, triggers
from b24lake.control.claims import Installation
from b24lake.control.runs import ENDED
from b24lake.control.scheduler import Scheduler
from b24lake.control.sources import Wanted
from b24lake.control.worker import Worker
from b24lake.sandbox import Server as Sandbox
from b24lake.web.server import Server
from b24lake.web.site import Site

SCHEDULE = {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "times": ["06:30", "13:00"], "zone": "America/Sao_Paulo"}
FULL_SYNC = {"cron": "0 3 * * sun", "zone": "America/Sao_Paulo"}
CHANGED = 25  # deals between the two runs


class DemoService:
    """An installation of its own, with web app, scheduler and a worker, while the block runs."""

    def __init__(self, home: Path, lake: str | None, port: int) -> None:
        self._stack = ExitStack()
        try:
            self._control = control = self._stack.enter_context(opened(None, home))
            self._here = here = Installation(control.home, common.lake(lake, home))
            site = Site(control.database, control.keyring, here, control.clock, secrets.token_bytes, who=control.who)
            server = Server(site, "127.0.0.1", port)
            self._stack.callback(server.close)
            self.address = server.address
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, sandbox: Sandbox) -> None:
        """Make the source, read the portal, change some deals, and read what has changed."""
        control = self._control
        settings = {"description": "A portal of made-up companies", "deal_contacts": True}
        wanted = Wanted("Sandbox CRM", common.webhook(sandbox.url, None, allow_http=False), settings=settings)
        source_id, checked = sources.set_up(control.database, control.keyring, self._here, acting(control), wanted)
        assert source_id is not None, checked
        with control.database.writing() as session:
            source = sources.found(session, source_id)
            triggers.add(session, acting(control), source, SCHEDULE, name="Workdays")
            triggers.add(session, acting(control), source, FULL_SYNC, name="Sundays in full", full=True)
        self._run(source_id)
        for id_ in list(sandbox.portal.tables["deals"].ids)[-CHANGED:]:
            sandbox.portal.change("deals", id_, {"STAGE_ID": "WON"})
        self._run(source_id)

    def work(self) -> None:
        """Take up runs and keep to the schedule, until a signal."""
        from b24lake.cli.serve import stopped_by_signal

        scheduler = Scheduler(self._control.database, self._control.keyring, self._control.clock)
        self._stack.callback(scheduler.stop)
        scheduler.start()
        self._worker().work(stopped_by_signal())

    def _run(self, source_id: str) -> None:
        control = self._control
        run_id = runs.request(control.database, source_id, control.clock(), requested_by=control.who)
        self._worker().work(lambda: runs.shown(control.database, run_id)["state"] in ENDED)

    def _worker(self) -> Worker:
        control = self._control
        return Worker(control.database, control.keyring, control.home, self._here.lake, control.clock)
