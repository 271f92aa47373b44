"""`b24lake check`: does the webhook work, and what may it read."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from b24lake.cli import common
from b24lake.cli.common import AllowHttp, HomeDir, Json, PortalPlan, Url, WebhookFile

if TYPE_CHECKING:
    from b24lake.portal.probe import Check
    from b24lake.portal.webhook import Webhook
    from b24lake.streams.discovery import Found
    from b24lake.sync.home import Home

_MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Check the webhook: named checks with cause and cure.")(check)


def check(
    url: Url = None,
    webhook_file: WebhookFile = None,
    allow_http: AllowHttp = False,
    portal_plan: PortalPlan = "standard",
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Check the webhook: named checks with cause and cure. Exit code 1 if one failed, 0 with warnings."""
    webhook = common.webhook(url, webhook_file, allow_http=allow_http)
    checks = run(webhook, common.home(home), portal_plan)
    states = {one.state for one in checks}
    status = next((state for state in ("failed", "warning") if state in states), "ok")
    if json:
        common.print_json({"status": status, "portal": str(webhook), "checks": [asdict(one) for one in checks]})
    else:
        _show(webhook, checks)
    raise typer.Exit(1 if status == "failed" else 0)


def run(webhook: Webhook, home: Home, portal_plan: str) -> list[Check]:
    """All checks of one webhook."""
    from b24lake.errors import StopError
    from b24lake.portal.probe import Check, checks
    from b24lake.sync.run import look

    try:
        found, answered = look(webhook, home, portal_plan=portal_plan)
    except StopError as error:
        return [Check("connection", "failed", error.what, error.why, error.fix)]
    locked = [one for one in found.streams.values() if one.locked is not None]
    open_ = len(found.streams) - len(locked)
    streams = Check("streams", "ok" if open_ else "failed", f"{open_} can be read, {len(locked)} are locked")
    answers = [_connection_check(webhook, answered), *checks(found.probe, datetime.now(UTC))]
    return [*answers, streams, *_locks(locked)]


def _locks(locked: list[Found]) -> list[Check]:
    """Why streams are locked: once for each missing scope, and one by one for other reasons."""
    from b24lake.portal.probe import Check

    found: dict[str, Check] = {}
    for one in locked:
        stream, error = one.stream, one.locked
        assert error is not None
        if one.lock != "scope":
            found[stream.name] = Check(f"stream {stream.name}", "warning", error.what, error.why, error.fix)
            continue
        name = f"scope {' or '.join(stream.scopes)}"
        before = found.get(name)
        says = f"{before.says}, {stream.name}" if before else f"missing, so these are locked: {stream.name}"
        found[name] = Check(name, "warning", says, error.why, error.fix)
    return list(found.values())


def _connection_check(given: Webhook, used: Webhook) -> Check:
    from b24lake.portal.probe import Check

    if given.address == used.address:
        return Check("connection", "ok", "the portal answers")
    says = f"the portal answers at {used}"
    return Check("connection", "warning", says, "it has moved", "write the new address into your settings")


def _show(webhook: Webhook, checks: list[Check]) -> None:
    from rich.table import Table

    table = Table(title=str(webhook), title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=False)
    for one in checks:
        notes = [f"[dim]{word}: {text}[/]" for word, text in (("cause", one.cause), ("cure", one.cure)) if text]
        table.add_row(_MARKS[one.state], one.name, "\n".join([one.says, *notes]))
    common.console().print(table)
