"""The loop where paging, packing, limits and connection meet: streams in, typed Arrow batches out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, tzinfo

import pyarrow as pa

from b24lake.errors import OverlongError, RestError, StreamError
from b24lake.portal.connection import Batch, Connection
from b24lake.reading.decode import Decoder
from b24lake.reading.paging import FilterIgnoredError
from b24lake.reading.schedule import Ask, Schedule, Sent, Stats, Taken
from b24lake.reading.walk import Closed

LONGEST_NAP = 1.0  # seconds between two looks at a resting method, so that a run can be cancelled


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of one stream, and the stretches of ids that are complete with it."""

    name: str
    batch: pa.RecordBatch
    closed: Closed


@dataclass(frozen=True, slots=True)
class Restarted:
    """A stream begins anew: what came of it so far is void."""

    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream is complete (`error` None), or cannot go on."""

    name: str
    error: StreamError | None = None


Event = Rows | Restarted | Ended


class Reader:
    """Reads streams side by side through one connection.

    concurrency   requests on their way at once
    threshold     operating seconds above which a method rests; 0 = off
    zone          the server's, for times without an offset
    """

    def __init__(
        self,
        connection: Connection,
        *,
        concurrency: int = 4,
        threshold: float = 200.0,
        zone: tzinfo = UTC,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self.schedule = Schedule(concurrency=concurrency, threshold=threshold, zone=zone)
        self._clock, self._sleep = clock, sleep
        self._decoders: dict[str, Decoder] = {}
        self._memory = threading.Semaphore(1)  # one large answer is parsed at a time, when the one before is decoded

    @property
    def stats(self) -> dict[str, Stats]:
        """What each stream took so far, by name."""
        return self.schedule.stats

    def read(self, asks: Sequence[Ask]) -> Generator[Event, None, None]:
        """Everything asked for, as it comes. Raises StopError where nothing can go on."""
        for ask in asks:
            self.add(ask)
        flying: dict[Future[Batch], Sent] = {}
        pool = ThreadPoolExecutor(self.schedule.concurrency, thread_name_prefix="portal")
        try:
            while self.schedule.active:
                self._launch(pool, flying)
                yield from self._without_more()
                if not flying and self.schedule.active:
                    self._sleep(self._nap())
                    continue
                done, _ = wait(flying, timeout=self._nap(beyond=True), return_when=FIRST_COMPLETED)
                for future in done:
                    yield from self._use(flying.pop(future), future, lambda: self._launch(pool, flying))
        finally:
            for _waiting in range(self.schedule.concurrency):
                self._memory.release()
            pool.shutdown(wait=not flying, cancel_futures=True)  # who is interrupted does not wait for the portal

    def add(self, ask: Ask) -> None:
        """Read one more stream; also while others are being read."""
        self.schedule.add(ask)
        decoder = self._decoders[ask.stream.name] = self._decoder(ask)
        decoder.misfits = self.stats[ask.stream.name].misfits

    def _decoder(self, ask: Ask) -> Decoder:
        return Decoder(ask.columns, ask.stream.key, self.schedule.zone, ask.held, ask.stream.of_keys, fixed=ask.fixed)

    def drop(self, name: str) -> None:
        """Read no more of a stream: nobody can take its rows."""
        self.schedule.drop(name)

    def _nap(self, *, beyond: bool = False) -> float:
        """Seconds until the first stream may go on; never long, so that a run can be canceled.

        beyond   of those that may not go on now
        """
        now = self._clock()
        return min(LONGEST_NAP, max(0.01, self.schedule.ready_at(now if beyond else 0.0) - now))

    def _launch(self, pool: ThreadPoolExecutor, flying: dict[Future[Batch], Sent]) -> None:
        while len(flying) < self.schedule.concurrency:
            sent = self.schedule.next(self._clock())
            if not sent.orders:
                return
            flying[pool.submit(self._fetch, sent)] = sent

    def _fetch(self, sent: Sent) -> Batch:
        """In a thread: send a request, and parse its answer when there is room for it in memory."""

        def turn() -> None:
            if not sent.in_memory:
                self._memory.acquire()
                sent.in_memory = True

        return self.connection.batch(sent.commands, halt=sent.halt, turn=turn, splits=True)

    def _use(self, sent: Sent, future: Future[Batch], launch: Callable[[], None]) -> Iterator[Event]:
        """Judge an answer, ask for more at once so that the portal works while we decode, then decode."""
        try:
            taken = list(self._take(sent, future))
            launch()
            while taken:
                yield from self._emit(taken.pop(0))
        finally:
            if sent.in_memory:
                self._memory.release()

    def _take(self, sent: Sent, future: Future[Batch]) -> Iterator[Taken]:
        try:
            batch = future.result()
        except RestError:
            self.schedule.rest(sent, self._clock())
        except OverlongError as error:
            yield from self.schedule.ask_for_less(sent, error, self._clock())
        else:
            yield from self.schedule.take(sent, batch, self._clock())

    def _without_more(self) -> Iterator[Event]:
        """Streams that are complete because a rest made them do without their last question."""
        for active in [active for active in self.schedule.active.values() if active.task.finished]:
            self.drop(active.name)
            yield Ended(active.name)

    def _emit(self, taken: Taken) -> Iterator[Event]:
        active, rows, closed, error = taken
        name, decoder = active.name, self._decoders[active.name]
        if self.schedule.active.get(name) is not active:
            return
        if isinstance(error, FilterIgnoredError):
            self.schedule.ask_otherwise(active)
            self._decoders[name] = self._decoder(active.ask)
            yield Restarted(name)
            return
        stats = self.stats[name]
        if error is None and (rows or closed):
            try:
                batch = decoder.batch(rows)
            except StreamError as unreadable:
                error = unreadable
            else:
                stats.rows, stats.ended = stats.rows + len(rows), self._clock()
                stats.misfits, stats.wasted = decoder.misfits, active.task.wasted
                yield Rows(name, batch, closed)
        if self.schedule.active.get(name) is active and (error is not None or active.task.finished):
            self.drop(name)
            yield Ended(name, error)
