"""`b24lake check`: does the webhook work, and what may it read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from b24lake.cli import common
from b24lake.cli.common import AllowHttp, HomeDir, Json, PortalPlan, Url, WebhookFile

if TYPE_CHECKING:
    from b24lake.portal.probe import Check

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
    from b24lake.sync import checking

    webhook = common.webhook(url, webhook_file, allow_http=allow_http)
    found = checking.check(webhook, common.home(home), datetime.now(UTC), portal_plan=portal_plan)
    if json:
        checks = [asdict(one) for one in found.checks]
        common.print_json({"status": found.status, "portal": str(webhook), "checks": checks})
    else:
        show(str(webhook), found.checks)
    raise typer.Exit(1 if found.status == "failed" else 0)


def show(title: str, checks: Iterable[Check]) -> None:
    """The checks as a list with ✓ and ✗."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=False)
    for one in checks:
        notes = [f"[dim]{word}: {text}[/]" for word, text in (("cause", one.cause), ("cure", one.cure)) if text]
        table.add_row(_MARKS[one.state], one.name, "\n".join([one.says, *notes]))
    common.console().print(table)
