"""Streams on their way into a program: the events of the reader become batches, a bookmark and a report."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from b24lake.api.bookmark import Bookmark
from b24lake.errors import B24LakeError, StreamError
from b24lake.reading.decode import MISFITS, SCHEMA_TAIL
from b24lake.reading.pull import Pull
from b24lake.reading.reader import Ended, Event, Reader, Restarted, Rows
from b24lake.reading.schedule import Ask, Stats
from b24lake.reading.steps import check_whole
from b24lake.streams.fields import schema

MOST_ROWS = 10_000  # of one batch; a request brings 2,500 at most, but for the few streams that come as a whole
Undeclared = Literal["misfits", "columns"]
Status = Literal["waiting", "reading", "success", "empty", "locked", "failed", "canceled"]
OVER: frozenset[Status] = frozenset(("success", "empty"))


@dataclass(frozen=True, slots=True)
class Range:
    """Ids in (after, upto] of one stream; `upto` None = to the end."""

    stream: str
    after: int = 0
    upto: int | None = None


class Replaced(NamedTuple):
    """Records of which all rows were read: rows that you have of them, and that did not come, are gone.

    column   of the rows, that names their record
    ids      of these records (int64)
    """

    column: str
    ids: pa.Array


@dataclass(frozen=True, slots=True)
class Report:
    """The completeness record of one stream.

    status          waiting, reading; success; empty: a full read found no rows; locked, failed (`error` says why);
                    canceled: somebody stopped before the end
    incremental     whether only what has changed was asked for
    rows            that came; those of attempts that are void do not count
    misfits         values that did not fit the type of their column, and are in `_misfits`
    requests        of the whole pass, with those of the streams that were read side by side
    commands        calls, up to 50 of which go in one request
    portal_seconds  of the portal's work
    rests           of the method, because its operating time was used up; `rest_seconds` in all
    seconds         from the first request to the last row
    portal_total    the portal's own count, where it told one: as many rows came
    filter_ignored  the portal ignored the filter on changes, so that everything was read
    restarts        how often the rows began to come anew
    """

    stream: str
    status: Status
    incremental: bool
    rows: int = 0
    misfits: int = 0
    requests: int = 0
    commands: int = 0
    portal_seconds: float = 0.0
    rests: int = 0
    rest_seconds: float = 0.0
    seconds: float = 0.0
    portal_total: int | None = None
    filter_ignored: bool = False
    restarts: int = 0
    error: str | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for has been read."""
        return self.status in OVER

    def as_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {**asdict(self), "complete": self.complete}


@dataclass(kw_only=True)
class Course:
    """One stream, from the first question to its bookmark.

    portal      the portal's id
    overlap     how far before its start the next incremental read begins
    within      the only ids that are wanted; None = all
    undeclared  what becomes of keys that nobody declared: text in `_misfits`, or columns of their own
    """

    pull: Pull
    portal: str
    overlap: timedelta
    within: Range | None = None
    undeclared: Undeclared = "misfits"
    notes: list[str] = field(default_factory=list)
    status: Status = "waiting"
    error: B24LakeError | None = None
    bookmark: Bookmark | None = None
    restarts: int = 0
    closed: list[tuple[int, int]] = field(default_factory=list)
    stats: Stats = field(default_factory=Stats)
    reader: Reader | None = None
    requests: int | None = None
    began: float = 0.0

    @property
    def name(self) -> str:
        """The stream's."""
        return self.pull.selected.name

    @property
    def schema(self) -> pa.Schema:
        """The declared columns of its batches."""
        return pa.schema([*schema(self.pull.selected.found.columns), *SCHEMA_TAIL])

    def begin(self, reader: Reader) -> None:
        """It is about to be asked for."""
        self.reader, self.status, self.began = reader, "reading", time.monotonic()

    def use(self, event: Event, reader: Reader) -> tuple[list[pa.RecordBatch | None], Ask | None]:
        """The batches that an event brings, None for "what came so far is void"; and what to read next.

        Raises the StreamError that ends the stream.
        """
        self.stats = stats = reader.stats[self.name]
        more = None
        match event:
            case Rows():
                pieces = list(self.pull.take(event, stats))
            case Restarted():
                return ([None] if self._void() else []), None
            case Ended(error=error):
                more = self.pull.go_on(stats) if error is None else self.pull.instead(error, stats)
                pieces, self.pull.released = self.pull.released, []
        self.closed += [one for piece in pieces for one in piece.closed]
        return [batch for piece in pieces for batch in self._shaped(piece.batch)], more

    def finish(self) -> None:
        """Everything has been read. Raises StreamError where ids were left out."""
        pull, within = self.pull, self.within
        bound = [(within.upto, within.upto)] if within is not None and within.upto is not None else []
        check_whole([*self.closed, *bound], pull.rows.done.below)
        value = pull.marked(self.stats.started or pull.clock, self.overlap, tuple(self.closed))
        if value and within is None:
            self.bookmark = Bookmark(self.portal, self.name, pull.kind, value, pull.fingerprint)
        self.notes += pull.notes(self.stats.rows, self.stats.portal_total)
        self.status = "success" if self.stats.rows or pull.incremental else "empty"
        self._over()

    def broken(self, error: BaseException) -> None:
        """It ends too early."""
        self.error = error if isinstance(error, B24LakeError) else None
        self.status = "failed" if isinstance(error, Exception) else "canceled"
        self._over()

    def report(self) -> Report:
        """What became of it so far."""
        stats = self.stats
        return Report(
            stream=self.name,
            status=self.status,
            incremental=self.pull.incremental,
            rows=stats.rows,
            misfits=stats.misfits,
            requests=self._requests(),
            commands=stats.commands,
            portal_seconds=round(stats.portal_seconds, 3),
            rests=stats.rests,
            rest_seconds=round(stats.rest_seconds, 1),
            seconds=round(max(0.0, stats.ended - stats.began), 3),
            portal_total=stats.portal_total,
            filter_ignored=stats.filter_ignored,
            restarts=self.restarts,
            error=str(self.error) if self.error else None,
        )

    def _requests(self) -> int:
        counted = self.reader.connection.counters.requests if self.reader is not None else 0
        return counted if self.requests is None else self.requests

    def _over(self) -> None:
        self.requests, self.reader = self._requests(), None
        self.stats = replace(self.stats)

    def _void(self) -> bool:
        void = self.pull.restart()
        if void:
            self.closed.clear()
            self.restarts += 1
        return void

    def _shaped(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The batch in its lasting shape, in pieces of a bounded number of rows."""
        names = self.schema.names
        extra = [name for name in batch.schema.names if name not in names]
        if extra and self.undeclared == "columns":
            fields = [batch.schema.field(name) for name in (*names[:-1], *extra, MISFITS)]
            batch = batch.select([one.name for one in fields])
        else:
            columns = {name: batch.column(batch.schema.get_field_index(name)) for name in names}
            if extra:
                columns[MISFITS] = _beside(columns[MISFITS], batch.select(extra))
            batch = pa.RecordBatch.from_arrays([*columns.values()], schema=self.schema)
        for start in range(0, batch.num_rows, MOST_ROWS):
            yield batch.slice(start, MOST_ROWS)


def _beside(misfits: pa.Array, extra: pa.RecordBatch) -> pa.Array:
    """The misfits of each row, with its values of columns that nobody declared."""
    rows: list[list[tuple[str, str]] | None] = misfits.to_pylist()
    for name, column in zip(extra.schema.names, extra.columns, strict=True):
        for place, text in enumerate(column.to_pylist() if column.null_count < len(column) else ()):
            if text is not None:
                rows[place] = [*(rows[place] or ()), (name, text)]
    return pa.array(rows, misfits.type)


Taken = tuple[Course, pa.RecordBatch | None]


def drive(opened: Callable[[], AbstractContextManager[Reader]], courses: Sequence[Course]) -> Iterator[Taken]:
    """Read streams side by side: each batch with its stream, None where all that came of the stream so far is void.

    However it ends, nothing is asked any more. A stream that fails does not stop the others; when these are there, its
    error is raised. Raises StopError where nothing can go on.
    """
    open_ = {course.name: course for course in courses if course.status == "waiting"}
    try:
        if open_:
            with opened() as reader:
                yield from _through(reader, open_)
    except BaseException as error:
        for course in open_.values():
            course.broken(error)
        raise
    failed = [course.error for course in courses if course.error is not None]
    if len(failed) == 1:
        raise failed[0]
    if failed:
        names = ", ".join(course.name for course in courses if course.error is not None)
        raise StreamError(
            f"{len(failed)} of {len(courses)} streams could not be read: {names}",
            why=str(failed[0]),
            fix="see each report",
        )


def _through(reader: Reader, open_: dict[str, Course]) -> Iterator[Taken]:
    for course in open_.values():
        course.begin(reader)
    with closing(reader.read([course.pull.ask for course in open_.values()])) as events:
        while (event := _next(events)) is not None:
            if event.name not in open_:
                continue
            course = open_[event.name]
            try:
                batches, more = course.use(event, reader)
                for batch in batches:
                    yield course, batch
                if more is not None:
                    reader.add(more)
                elif isinstance(event, Ended):
                    course.finish()
                    del open_[event.name]
            except StreamError as error:
                reader.drop(event.name)
                course.broken(error)
                del open_[event.name]


def _next(events: Iterator[Event]) -> Event | None:
    with _without_collecting():
        return next(events, None)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """No looking for cycles among millions of parsed values, until the program has its batch."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
