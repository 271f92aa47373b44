"""The portal's own count of a stream's rows, as the proof that none is missing. Pure.

Rows up to the newest id of when the reading began can only have become fewer meanwhile: what the portal counts when it
has ended must have come. One counted command is asked for, with that id as its bound, so that the portal counts no more
than was read.
"""

from __future__ import annotations

from dataclasses import dataclass

from b24lake.errors import StreamError
from b24lake.portal.connection import Command
from b24lake.portal.replies import Answer
from b24lake.reading.paging import count_params
from b24lake.streams.definitions import Stream

MOST = 500_000  # rows that are counted: a portal needed 50 s for 2.4 million (settings/performance/huge-data.md)
TRIES = 2  # a portal that does not count is not asked a third time


@dataclass(slots=True)
class Tally:
    """One stream's count; `open` until the portal has told it, or it is clear that it will not."""

    stream: Stream
    open: bool = True
    busy: bool = False
    tries: int = 0
    total: int | None = None

    def ask(self, newest: int | None) -> Command:
        """The command that has rows up to this id counted."""
        self.busy = True
        return Command(self.stream.method, count_params(self.stream, newest))

    def take(self, answer: Answer, read: int) -> None:
        """Compare the count with the rows that were read. Raises StreamError where the portal has more."""
        self.busy, self.tries = False, self.tries + 1
        self.total = answer.total
        self.open = self.total is None and self.tries < TRIES
        if self.total is not None and self.total > read:
            raise StreamError(
                f"{self.stream.method} counts {self.total:,} rows, but gave {read:,} of them",
                why="rows came back while they were read, or the portal hides rows that it counts",
                fix="run it again; if it stays, let an administrator make the webhook",
            )
