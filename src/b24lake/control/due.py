"""Which schedules are due, and when they are due next. Pure: rows and a moment in, decisions out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from b24lake.control.models import Trigger

After = Callable[[Trigger, datetime], datetime | None]
"""The first time of a trigger after a moment; None = never again."""


class Decision(NamedTuple):
    """What becomes of a trigger whose time has come.

    due_at    the time for which a run is queued; None = none
    next_at   the time after that; None = never
    """

    trigger: Trigger
    due_at: datetime | None
    next_at: datetime | None


def decide(triggers: Iterable[tuple[Trigger, str]], now: datetime, after: After) -> list[Decision]:
    """Decide about schedules whose `next_at` has passed, each with the state of its source.

    However many times were missed while nobody looked, there is one run, for the first of them. The schedules of a
    source that is not active pass without one.
    """
    return [
        Decision(trigger, trigger.next_at if state == "active" else None, after(trigger, now))
        for trigger, state in triggers
        if trigger.next_at is None or trigger.next_at <= now
    ]
