"""A read as a program holds it: iterate, and ask afterwards where it ended and whether it is complete."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from b24lake.api import collecting
from b24lake.api.bookmark import Bookmark
from b24lake.api.course import Course, Range, Replaced, Report, Taken, drive
from b24lake.api.stream_info import StreamInfo
from b24lake.errors import B24LakeError, UsageError
from b24lake.reading.reader import Reader

if TYPE_CHECKING:
    import polars

__all__ = ["Range", "Reading", "Readings", "Replaced", "Report"]
Opened = Callable[[], AbstractContextManager[Reader]]


class _Pass:
    """Something that can be iterated once. Nothing is asked before that, and nothing after `close`."""

    def __init__(self, opened: Opened, courses: Sequence[Course]) -> None:
        self._opened, self._courses = opened, courses
        self._begun = False
        self._running: weakref.ref[Generator[Taken, None, None]] | None = None

    def _taken(self) -> Iterator[Taken]:
        if self._begun:
            raise UsageError("This reading has been read already", fix="call read() again; it begins anew")
        self._begun = True
        running = _generated(drive(self._opened, self._courses))
        # Whoever leaves a loop early drops the only reference to it, and with that it is closed.
        self._running = weakref.ref(running)
        return running

    def close(self) -> None:
        """Ask for nothing more. Requests that are on their way are not waited for."""
        running = self._running() if self._running is not None else None
        if running is not None:
            running.close()
        self._begun = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _generated(taken: Iterator[Taken]) -> Generator[Taken, None, None]:
    yield from taken


class Reading(_Pass):
    """One stream being read. Iterate over it once: it yields `pyarrow.RecordBatch`es.

    Each batch has the columns of `schema` and at most 10,000 rows; of a batch only so much is in memory, and as many
    requests ahead as `concurrency` says. A row is yielded as soon as it is sure that none before it is missing.

    If the portal turns out to ignore the filter on changes, the rows begin to come anew, `restarts` rises, and rows
    that came before may come again: the later one counts. What collects everything (`to_arrow` and the like) forgets
    what came before, so its result is exact.

    A read that cannot be completed raises after what it yielded, and has no bookmark. Leaving the loop early, `close`,
    or leaving a `with` block stops the requests at once.

    info          the stream
    incremental   whether only what has changed is asked for
    """

    def __init__(self, info: StreamInfo, opened: Opened, course: Course) -> None:
        super().__init__(opened, [course])
        self.info, self._course = info, course

    def __repr__(self) -> str:
        return f"<Reading of {self.info.name}: {self._course.status}, {self._course.stats.rows:,} rows>"

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches. Raises StreamError where the stream, StopError where nothing can be read any more."""
        return self._batches(self._taken())

    def _batches(self, taken: Iterator[Taken]) -> Iterator[pa.RecordBatch]:
        for _, batch in taken:
            if batch is not None:
                yield batch

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.info.name

    @property
    def schema(self) -> pa.Schema:
        """The columns of every batch: those wanted, in the portal's order, and `_misfits` as the last one.

        `_misfits` (map of string to string) keeps, under the name of its column, each value that did not fit the
        column's type, as it was sent; and values of keys that the portal did not declare, unless
        `undeclared="columns"`: then batches may have more columns than this, strings, before `_misfits`.
        """
        return self._course.schema

    @property
    def incremental(self) -> bool:
        """Whether only what has changed is asked for."""
        return self._course.pull.incremental

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know although nothing failed: why it is a full read, what changed meanwhile."""
        return tuple(self._course.notes)

    @property
    def bookmark(self) -> Bookmark | None:
        """Where the next read begins; None as long as there is none.

        That is until everything has been read, for a range of ids, and for streams that cannot be asked for their
        changes (`info.incremental`).

        It is the portal's clock when the read began, minus the overlap, never the maximum seen: rows that changed while
        being read come once more next time. Of a log that only grows it is the last id.
        """
        return self._course.bookmark

    @property
    def complete_table(self) -> bool:
        """Whether this was the whole stream, completely read: rows that you have and that did not come are gone."""
        return self.report.complete and not self.incremental and self._course.within is None

    @property
    def replaced(self) -> Replaced | None:
        """Of a stream with a parent, when it has been read: the records whose rows have all come; None otherwise."""
        pull = self._course.pull
        if pull.parent is None or not self.report.complete:
            return None
        found = pull.selected.found
        read = np.setdiff1d(pull.parents.ids, pull.parents.refused)
        return Replaced(found.column(found.stream.parent_key), pa.array(read, pa.int64()))

    @property
    def restarts(self) -> int:
        """How often the rows began to come anew."""
        return self._course.restarts

    @property
    def report(self) -> Report:
        """What it took so far, and whether it is complete."""
        return self._course.report()

    @property
    def error(self) -> B24LakeError | None:
        """What ended it too early; None = nothing did."""
        return self._course.error

    def to_arrow(self) -> pa.Table:
        """Everything as one Arrow table, each row once."""
        return collecting.tables(self._taken(), [self._course])[self.stream]

    def to_polars(self) -> polars.DataFrame:
        """Everything as a Polars data frame. Raises UsageError where Polars is not installed."""
        library = collecting.library("polars")
        frame: polars.DataFrame = library.from_arrow(self.to_arrow())
        return frame

    def to_pandas(self, **options: Any) -> Any:
        """Everything as a `pandas.DataFrame`; `options` are those of `pyarrow.Table.to_pandas`.

        Raises UsageError where pandas is not installed.
        """
        collecting.library("pandas")
        return self.to_arrow().to_pandas(**options)

    def to_duckdb(self, connection: Any, name: str) -> Any:
        """Everything as the table `name` of a DuckDB connection, made or replaced; returns the relation.

        name   of the table, with its schema before a dot where it has one

        Raises UsageError where DuckDB is not installed.
        """
        collecting.library("duckdb")
        return collecting.into_duckdb(self.to_arrow(), connection, name)


class Readings(_Pass):
    """Several streams being read side by side, in one pass. Iterate once: it yields (name of the stream, batch).

    Each stream has a `Reading` of its own for schema, bookmark, report and notes: `readings["deals"].bookmark` is there
    as soon as that stream has been read, before the pass ends. A stream that fails does not stop the others; when these
    are there, its error is raised.

    notes   what people should know of the whole pass, as the streams that are locked and were not named exactly
    """

    def __init__(self, opened: Opened, readings: Sequence[Reading], notes: Sequence[str] = ()) -> None:
        super().__init__(opened, [one._course for one in readings])
        self.readings: Mapping[str, Reading] = {one.stream: one for one in readings}
        self.notes = tuple(notes)

    def __repr__(self) -> str:
        return f"<Readings of {', '.join(self.readings)}>"

    def __getitem__(self, stream: str) -> Reading:
        """The reading of one stream. Raises KeyError for one that is not among them."""
        return self.readings[stream]

    def __iter__(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The batches of all streams, as they come."""
        return self._batches(self._taken())

    def _batches(self, taken: Iterator[Taken]) -> Iterator[tuple[str, pa.RecordBatch]]:
        for course, batch in taken:
            if batch is not None:
                yield course.name, batch

    @property
    def bookmarks(self) -> dict[str, Bookmark]:
        """The bookmarks of the streams that have been read so far."""
        return {name: one.bookmark for name, one in self.readings.items() if one.bookmark is not None}

    def to_arrow(self) -> dict[str, pa.Table]:
        """Everything as Arrow tables, by stream."""
        return collecting.tables(self._taken(), self._courses)
