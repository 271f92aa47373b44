"""Does a webhook work, and what may it read: named checks with cause and cure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from b24lake.errors import StopError
from b24lake.portal.probe import Check, checks
from b24lake.portal.webhook import Webhook
from b24lake.streams.definitions import ReaderName
from b24lake.streams.discovery import Discovery, Found
from b24lake.sync.home import Home
from b24lake.sync.run import look


@dataclass(frozen=True)
class Checked:
    """What the checks of a webhook found; `discovery` is None where the portal could not be asked."""

    checks: list[Check]
    discovery: Discovery | None = None

    @property
    def status(self) -> str:
        """The worst of the checks: ok, warning or failed."""
        states = {one.state for one in self.checks}
        return next((state for state in ("failed", "warning") if state in states), "ok")


def check(
    webhook: Webhook, home: Home, now: datetime, *, portal_plan: str = "standard", reader: ReaderName = "classic"
) -> Checked:
    """All checks of one webhook; `now` is this machine's clock."""
    try:
        found, answered = look(webhook, home, portal_plan=portal_plan, reader=reader)
    except StopError as error:
        return Checked([Check("connection", "failed", error.what, error.why, error.fix)])
    locked = [one for one in found.streams.values() if one.locked is not None]
    open_ = len(found.streams) - len(locked)
    streams = Check("streams", "ok" if open_ else "failed", f"{open_} can be read, {len(locked)} are locked")
    answers = [_connection(webhook, answered), *checks(found.probe, now)]
    return Checked([*answers, streams, *_locks(locked)], found)


def _locks(locked: Iterable[Found]) -> list[Check]:
    """Why streams are locked: once for each missing scope, and one by one for other reasons."""
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


def _connection(given: Webhook, used: Webhook) -> Check:
    if given.address == used.address:
        return Check("connection", "ok", "the portal answers")
    says = f"the portal answers at {used}"
    return Check("connection", "warning", says, "it has moved", "write the new address into your settings")
