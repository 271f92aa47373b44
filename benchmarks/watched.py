"""The portal's own log of operating time: when a method was asked, what answers told, and how long it rested."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from b24lake.sandbox.errors import ApiError
from b24lake.sandbox.portal import Gauge, Portal
from b24lake.sandbox.settings import Settings

ASKED, REFUSED, TOLD = "asked", "refused", "told"
PAUSE = 1.0  # seconds; requests come closer together than this while there is something to ask


class Entry(NamedTuple):
    """One line of the log, in portal seconds: `reset_at` and `operating` are what an answer would say."""

    what: str
    method: str
    at: float
    operating: float
    reset_at: float


class Rest(NamedTuple):
    """A method was not asked from `begins` to `ends`; the last answer before had named `until` as its reset."""

    begins: float
    ends: float
    until: float

    @property
    def late(self) -> float:
        """Seconds by which it lasted longer than the portal asks; negative = it ended too early."""
        return self.ends - self.until


class Watched(Portal):
    """A portal that keeps this log."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._journal: list[Entry] = []

    def check(self, method: str, at: float, *, billed: bool) -> None:
        """As the portal's own, noted."""
        try:
            super().check(method, at, billed=billed)
        except ApiError:
            self._note(REFUSED, method, at, super().gauge(method, at))
            raise
        self._note(ASKED, method, at, super().gauge(method, at))

    def gauge(self, method: str, at: float) -> Gauge:
        """As the portal's own, noted: it is what the answer tells."""
        gauge = super().gauge(method, at)
        self._note(TOLD, method, at, gauge)
        return gauge

    def read_journal(self) -> list[Any]:
        """The log, ready for JSON."""
        with self.lock:
            return [list(entry) for entry in self._journal]

    def _note(self, what: str, method: str, at: float, gauge: Gauge) -> None:
        self._journal.append(Entry(what, method, at, *gauge))


def rests(journal: Iterable[Entry], method: str, threshold: float) -> list[Rest]:
    """When a method rested: it was not asked for longer than a pause.

    A pause counts after a refusal, after an answer with a gauge above the threshold (0 = none is), and beyond the reset
    that the last answer named.

    >>> told, asked = Entry(TOLD, "m", 1.0, 30, 60), [Entry(ASKED, "m", at, 30, 60) for at in (0.9, 61.5)]
    >>> [rest.late for rest in rests([asked[0], told, asked[1]], "m", 20)]
    [1.5]
    """
    found: list[Rest] = []
    asked = until = 0.0
    high = False
    for entry in sorted((one for one in journal if one.method == method), key=lambda one: one.at):
        if entry.what == TOLD:
            until, high = entry.reset_at, 0 < threshold < entry.operating
            continue
        if asked and entry.at - asked > PAUSE and (high or entry.at > until):
            found.append(Rest(asked, entry.at, until))
        asked, high = entry.at, high or entry.what == REFUSED
    return found
