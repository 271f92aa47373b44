"""Where one keyset stream stands: the stretches of ids still to be read, and the chain to ask for next. Pure.

A stream begins with its first page and its newest id, in the same request. From these the number of pages is guessed,
and the ids in between are cut into stretches that are read side by side, each by a chain per request. Each answer
corrects the guess. A stretch is cut again while it is being read when there is nothing else left to do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from b24lake.errors import BrokenOffError, PagingError, RestError, RetryError, StreamError
from b24lake.portal.connection import MAX_COMMANDS
from b24lake.portal.replies import Answer
from b24lake.reading.paging import PAGE, Chain, Read, Row, Since, key_of, read_chain, rows_of
from b24lake.streams.definitions import Stream

PATIENCE = 6  # times that a stretch may stay unanswered, without any progress, before the stream fails
MISSES = 0.01  # of the pages asked may be lost to stretches that turn out emptier than expected; then no more cuts
BOLD = 0.04  # of the pages asked may be lost beyond ends for the sake of fewer requests
SCOUT = 10  # pages of a chain while the first look at other stretches is still on its way
KNOWN = 500  # rows of an earlier read that tell how dense the others lie
STEADY = 0.15  # two guesses of density that differ by less let the rest be asked in one go


@dataclass(slots=True, eq=False)
class Stretch:
    """Ids in (after, upto] that are still to be read; upto None = to the end.

    density   rows per id, as the last chain found it; 0 = unknown
    steady    the last two chains found about the same density
    careful   one page at a time, after a page that could not be trusted
    fresh     just cut off: one page will show whether it is as dense as the stretch it was a part of
    busy      a chain of it is on its way
    pages     pages of the last chain, half of them if it brought nothing
    failures  chains without an answer since the last progress
    """

    after: int
    upto: int | None
    density: float = 0.0
    steady: bool = False
    careful: bool = False
    fresh: bool = False
    busy: bool = False
    pages: int = 0
    failures: int = 0


Closed = tuple[tuple[int, int], ...]  # stretches of ids (after, upto] that are completely read


@dataclass(frozen=True, slots=True)
class Done:
    """Ids that have been read before: stretches (after, upto], rising and apart, and the rows that they had.

    below   ids up to here are not wanted at all, nor those above `upto` (None: there is no such bound)
    pace   seconds of the portal's work that a page took; 0 = unknown
    """

    closed: Closed = ()
    rows: int = 0
    below: int = 0
    pace: float = 0.0
    upto: int | None = None

    @property
    def span(self) -> int:
        """How many ids they reach over."""
        return sum(upto - after for after, upto in self.closed)


NOTHING = Done()


def remaining(done: Done) -> list[Stretch]:
    """What is left between the stretches that are done, and behind them; as dense as these were until known better."""
    density = done.rows / done.span if done.span else 0.0
    starts = [done.below, *(upto for _, upto in done.closed)]
    ends = [*(after for after, _ in done.closed), done.upto]
    known = done.rows >= KNOWN
    return [
        Stretch(after, upto, density, steady=known)
        for after, upto in zip(starts, ends, strict=True)
        if upto is None or after < upto
    ]


@dataclass(slots=True)
class Walk:
    """One keyset stream of one run.

    newest   the highest id when the stream began; None where the portal does not tell
    last     the lowest id of the page of newest ids: up to there, pages are guessed
    asker    the stretch with whose chain the newest id is being asked for
    wasted   pages asked beyond an end
    asked    pages asked
    misses   fresh stretches that were emptier than expected
    rows     rows read so far, `span` the ids they are spread over
    counted  of these, rows that existed when the stream began: up to the newest id of then
    """

    stream: Stream
    since: Since | None = None
    stretches: list[Stretch] = field(default_factory=lambda: [Stretch(0, None)])
    newest: int | None = None
    last: int | None = None
    begun: bool = False
    asker: Stretch | None = None
    wasted: int = 0
    asked: int = 0
    misses: int = 0
    rows: int = 0
    span: int = 0
    counted: int = 0

    @property
    def finished(self) -> bool:
        """Whether every id has been read."""
        return not self.stretches

    @property
    def left(self) -> float:
        """Pages still to be read, as far as that can be told; infinite if it cannot."""
        left = [self._left(stretch) for stretch in self.stretches]
        return sum(math.inf if pages is None else pages for pages in left)

    def note_newest(self, answer: Answer) -> None:
        """Take the newest id from the answer to the newest-first page, if the portal kept that order."""
        if answer.error or answer.missing:
            return
        try:
            ids = [key_of(self.stream, row) for row in rows_of(self.stream, answer.result)]
        except StreamError:
            return
        known = [key for key in ids if key is not None]
        if known and len(known) == len(ids) and known == sorted(known, reverse=True):
            self.newest, self.last = max(known[0], self.stretches[-1].after), known[-1]

    def wanted(self, ways: int) -> list[tuple[Stretch, int]]:
        """Idle stretches with the number of pages to ask of each; at most `ways` stretches are on their way at once."""
        busy = sum(stretch.busy for stretch in self.stretches)
        if self.begun:
            self._split(ways)
        idle = [stretch for stretch in self.stretches if not stretch.busy]
        if self.asker is not None:  # how far an open stretch reaches will be known in a moment
            idle = [stretch for stretch in idle if stretch.upto is not None]
        return [(stretch, self._pages(stretch)) for stretch in idle[: max(0, ways - busy)]]

    def send(self, stretch: Stretch, pages: int) -> Chain:
        """The chain to send for an idle stretch, which is busy from now on."""
        self.asker = self.asker if self.begun else stretch
        stretch.busy, stretch.pages, self.begun = True, pages, True
        self.asked += pages
        return Chain(stretch.after, pages)

    def lost(self, stretch: Stretch) -> None:
        """A chain did not get through at all: the stretch is idle again."""
        stretch.busy = False
        self.asker = None if stretch is self.asker else self.asker

    def settle(self, stretch: Stretch, chain: Chain, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:
        """Take a chain's answers. Returns the rows to keep and the stretches of ids that are now closed.

        Raises what ends the stream: a refusal, or pages that cannot be trusted even one at a time.
        """
        return self.use(stretch, chain, read_chain(self.stream, chain, self.since, answers))

    def use(self, stretch: Stretch, chain: Chain, read: Read) -> tuple[list[Row], Closed]:
        """The same, where the answers have been judged already."""
        stretch.busy, stretch.pages = False, chain.pages if read.rows else chain.pages // 2
        self.asker = None if stretch is self.asker else self.asker
        self._learn(stretch, chain, read)
        closed = self._close(stretch, chain, read)
        rows = self._within(read, chain, closed)
        self.wasted += read.wasted + (len(read.rows) - len(rows)) // PAGE
        if closed or read.finished:
            stretch.failures = 0
        if read.rows:
            stretch.careful = False
        known = self.newest is None or read.reached <= self.newest
        self.counted += len(rows) if known else len(self._upto(rows, self.newest or 0))
        if stretch.upto is not None and stretch.after >= stretch.upto:
            self.stretches.remove(stretch)
        elif read.finished:
            self._end(stretch, chain, read.rows)
        elif read.problem is not None:
            self._complain(stretch, chain, read)
        return rows, closed

    def _close(self, stretch: Stretch, chain: Chain, read: Read) -> Closed:
        """Take what a chain has come through off all stretches whose next ids are in it.

        A chain may run into stretches behind its own, and its own may have been cut while it was on its way. Where a
        page that was asked alone is empty, nothing is left below a bound.
        """
        nothing_left = read.finished and not read.rows and chain.pages == 1
        closed = []
        for other in sorted(self.stretches, key=lambda one: one.after):
            upto = other.upto if other.upto is not None else read.reached
            reached = upto if other is stretch and nothing_left else min(read.reached, upto)
            if not chain.after <= other.after < reached:
                continue
            closed.append((other.after, reached))
            other.after = reached
            if other is not stretch:
                other.density, other.fresh = stretch.density, False
                if reached == other.upto and not other.busy:
                    self.stretches.remove(other)
        return tuple(closed)

    def _within(self, read: Read, chain: Chain, closed: Closed) -> list[Row]:
        """The rows of a chain that nobody has brought before."""
        if closed == ((chain.after, read.reached),):
            return read.rows
        keyed = [(key_of(self.stream, row) or 0, row) for row in read.rows]
        return [row for key, row in keyed if any(after < key <= upto for after, upto in closed)]

    def _upto(self, rows: list[Row], bound: int) -> list[Row]:
        return [row for row in rows if (key_of(self.stream, row) or 0) <= bound]

    def _end(self, stretch: Stretch, chain: Chain, rows: list[Row]) -> None:
        """An open stretch ends on a short page, unless the newest id says that there must be more.

        Then one more page is asked; if that is empty, the newest row is gone and this is the end after all. Below a
        bound, too, a short page must be followed by an empty one.
        """
        more = stretch.upto is not None or (self.newest is not None and stretch.after < self.newest)
        if more and (rows or chain.pages > 1):
            stretch.careful = True
        else:
            self.stretches.remove(stretch)

    def _complain(self, stretch: Stretch, chain: Chain, read: Read) -> None:
        problem = read.problem
        if isinstance(problem, RetryError):
            stretch.failures += 1
            if stretch.failures >= PATIENCE:
                raise BrokenOffError(problem.what, why=problem.why, fix="run it again later") from problem
        elif isinstance(problem, RestError):
            stretch.failures = 0  # the portal does answer
        elif isinstance(problem, PagingError):
            if chain.pages == 1:
                raise problem
            stretch.careful = True
        elif isinstance(problem, StreamError):
            raise problem

    def _learn(self, stretch: Stretch, chain: Chain, read: Read) -> None:
        """Density counts from the first row where the stream begins: its ids may start at ten million."""
        rows, first = len(read.rows), chain.after
        if read.rows and first == 0:
            first = (key_of(self.stream, read.rows[0]) or 1) - 1
        if read.reached <= first:
            return
        density = rows / (read.reached - first)
        self.rows, self.span = self.rows + rows, self.span + read.reached - first
        self.misses += stretch.fresh and density < stretch.density / 2
        stretch.fresh = False
        stretch.steady = abs(density - stretch.density) <= STEADY * density
        stretch.density = density or stretch.density

    def _left(self, stretch: Stretch) -> float | None:
        """Pages that a stretch should still have, if it goes on as dense as it is here; None = no idea."""
        bound = stretch.upto if stretch.upto is not None else self.last
        if bound is None or not stretch.density:
            return None
        return max(0.0, bound - stretch.after) * stretch.density / PAGE + (stretch.upto is None)

    def _pages(self, stretch: Stretch) -> int:
        """How long the next chain is: never far beyond the end, since pages there cost the portal as much as others.

        Where ids lie in clusters, a stretch is guessed as dense as all that was read so far. What the density right
        here promises beyond that is asked only as far as the waste so far leaves room.
        """
        if stretch.careful or stretch.fresh:
            return 1
        if stretch.failures:  # a portal under strain may manage less
            return max(1, stretch.pages)
        most = self._left(stretch)
        doubled = max(1, 2 * stretch.pages)
        if most is None:
            return min(MAX_COMMANDS, doubled)
        least = _share(most * min(1.0, self.rows / self.span / stretch.density), stretch.steady)
        room = max(3, (int(self.asked * BOLD) - self.wasted) // len(self.stretches))
        bold = min(doubled, _share(most, stretch.steady), least + room)
        scouting = self.asked < MAX_COMMANDS and any(other.fresh for other in self.stretches)
        uneven = max(SCOUT, 4 * room) if self.misses else MAX_COMMANDS
        return min(SCOUT if scouting else MAX_COMMANDS, uneven, max(least, bold))

    def _split(self, ways: int) -> None:
        """Cut the largest stretches until `ways` can be read side by side, as long as each has full chains to ask."""
        while len(self.stretches) < ways and self.misses <= 2 + self.asked * MISSES:
            sized = [(self._beyond(stretch), stretch) for stretch in self.stretches]
            pages, largest = max(sized, key=lambda one: one[0], default=(0.0, None))
            if largest is None or pages < 2 * MAX_COMMANDS:
                return
            start = largest.after + int(PAGE * MAX_COMMANDS / largest.density) * largest.busy
            bound = largest.upto if largest.upto is not None else self.last or 0
            middle = start + (bound - start) // 2
            tail = Stretch(middle, largest.upto, largest.density, fresh=True)
            largest.upto = middle
            self.stretches.append(tail)

    def _beyond(self, stretch: Stretch) -> float:
        """Pages of a stretch that are not on their way."""
        return (self._left(stretch) or 0.0) - (MAX_COMMANDS if stretch.busy else 0)


def _share(left: float, steady: bool) -> int:
    """Pages to ask of those left: all where the guess can be trusted, else half of them."""
    return int(left if left > MAX_COMMANDS or steady else left / 2) + 1
