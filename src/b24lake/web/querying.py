"""SQL for the explorer and the JSON API: a few queries at once, each in a child that ends with whoever asked."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from b24lake.errors import B24LakeError, UsageError
from b24lake.lake import guarded
from b24lake.lake.guarded import Beginning
from b24lake.lake.reach import Limits
from b24lake.web.site import Site

if TYPE_CHECKING:
    import pyarrow as pa

LIMITS, LIMIT = (100, 1_000, 5_000, 10_000), 1_000
"""Rows that may be shown, and those that are unless somebody chooses."""
TIMES, SECONDS = (10, 60, 300), 60
"""Seconds that a query may take, and those that it may unless somebody chooses."""
DOWNLOAD_SECONDS = 900
MOST_BYTES = 16 * 1024**2
"""Of rows that are shown."""
PATIENCE = 15.0
"""Seconds that a query waits for others to end."""
_PIECE_BYTES = 8 * 1024**2
_PIECES_WAITING = 2
_Result = TypeVar("_Result")


def beginning(
    site: Site, sql: str, *, limit: int, seconds: float, limits: Limits = (), stop: Event | None = None
) -> Beginning:
    """The first rows of an answer.

    limits   as of `lake.query.stream`

    Raises as `guarded.guarded_stream`, and UsageError where too many others are at work.
    """
    ended = stop or Event()
    with _turn(site, ended):
        return guarded.guarded_beginning(
            site.here.lake,
            sql,
            limit=limit,
            most_bytes=MOST_BYTES,
            seconds=seconds,
            memory_bytes=memory(),
            limits=limits,
            stop=ended,
        )


def memory() -> int:
    """Bytes for one query: as many as there are turns fit into the memory, and something is left."""
    return guarded.usual_memory() // 2


@contextmanager
def _turn(site: Site, stop: Event) -> Iterator[None]:
    """One of the few queries at once."""
    until = time.monotonic() + PATIENCE
    while not site.queries.acquire(timeout=0.1):
        if stop.is_set() or time.monotonic() > until:
            raise UsageError(
                "Too many queries are at work", why="only a few run at the same time", fix="try again in a moment"
            )
    try:
        yield
    finally:
        site.queries.release()


async def until_gone(request: Request, work: Callable[[Event], _Result]) -> _Result:
    """What `work` returns, done in a thread; its event is set as soon as whoever sent the request is gone."""
    stop = Event()
    watch = asyncio.create_task(_watched(request, stop))
    try:
        return await run_in_threadpool(work, stop)
    finally:
        watch.cancel()


async def _watched(request: Request, stop: Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    stop.set()


# --- a whole answer ---------------------------------------------------------------------------------------------------


class Download:
    """The whole answer of a query as CSV, piece by piece, made by a thread of its own a little ahead of its reader.

    One thread from the first piece to the last: a child process ends with the thread that began it.
    """

    def __init__(self, site: Site, sql: str, stop: Event, *, escape_formulas: bool) -> None:
        self._stop = stop
        self._pieces: queue.Queue[bytes | B24LakeError | None] = queue.Queue(_PIECES_WAITING)
        work = (site, sql, escape_formulas)
        threading.Thread(target=self._make, args=work, name="csv download", daemon=True).start()

    def first(self) -> bytes:
        """The head of the file. Raises B24LakeError where the query cannot be run: then there is no file."""
        return self._next() or b""

    async def pieces(self, first: bytes, request: Request) -> AsyncIterator[bytes]:
        """The file. An error breaks it off, so that no browser takes it for a whole one."""
        watch = asyncio.create_task(_watched(request, self._stop))
        try:
            yield first
            while (piece := await run_in_threadpool(self._next)) is not None:
                yield piece
        except B24LakeError as error:
            raise ConnectionAbortedError(str(error)) from None
        finally:
            watch.cancel()
            self._stop.set()

    def _next(self) -> bytes | None:
        while not self._stop.is_set():
            with suppress(queue.Empty):
                piece = self._pieces.get(timeout=0.2)
                if isinstance(piece, B24LakeError):
                    raise piece
                return piece
        return None

    def _make(self, site: Site, sql: str, escape_formulas: bool) -> None:
        try:
            with _turn(site, self._stop):
                self._read(site, sql, escape_formulas=escape_formulas)
            self._put(None)
        except B24LakeError as error:
            self._put(error)
        except Exception:
            self._put(B24LakeError("Something went wrong here", why="it is written in the service's log"))
            raise

    def _read(self, site: Site, sql: str, *, escape_formulas: bool) -> None:
        from b24lake.lake.texts import head_of_csv, lines_of_csv

        with guarded.guarded_stream(
            site.here.lake,
            sql,
            limit=None,
            seconds=DOWNLOAD_SECONDS,
            memory_bytes=memory(),
            piece_bytes=_PIECE_BYTES,
            stop=self._stop,
        ) as answer:
            self._put(head_of_csv(answer.schema))
            for batch in answer.batches:
                self._put(bytes(lines_of_csv(batch, escape_formulas=escape_formulas)))

    def _put(self, piece: bytes | B24LakeError | None) -> None:
        """Hand on a piece, unless nobody wants any more."""
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._pieces.put(piece, timeout=0.2)
                return


def cells(rows: pa.Table) -> list[list[str | None]]:
    """The rows as texts, None for null."""
    from b24lake.lake.texts import cell_texts

    columns = [[text for part in column.chunks for text in cell_texts(part).to_pylist()] for column in rows.columns]
    return [list(row) for row in zip(*columns, strict=True)]
