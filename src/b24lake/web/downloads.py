"""Rows as a file that the browser downloads while it is written: little is held, and nothing goes on without a reader.

A thread writes into a pipe of a few pieces, the answer takes them out. Where the browser goes away the pipe closes, and
with it the process of the query. A fault before the first row is an answer like any other; later the download breaks
off, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from queue import Empty, Full, Queue
from typing import IO, Any, cast
from urllib.parse import quote

import pyarrow as pa
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from b24lake.errors import B24LakeError, RetryError
from b24lake.lake import exporting
from b24lake.lake.exporting import Form
from b24lake.lake.guarded import guarded_stream
from b24lake.lake.place import Place

AT_ONCE = 4
"""Downloads of one process: each has a query of its own, with its memory."""
SECONDS = 3600.0
_PIECES = 4
_BYTES = 256 * 1024
"""Bytes of a piece, or a batch of rows beyond."""
_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "ndjson": "application/x-ndjson"}
_turns = threading.BoundedSemaphore(AT_ONCE)
_logger = logging.getLogger(__name__)


class _LeftError(Exception):
    """Nobody reads the file any more."""


class _Pipe(io.RawIOBase):
    """What the file is written to: pieces that wait for whoever reads them."""

    def __init__(self) -> None:
        self._held, self._size, self._written = list[bytes](), 0, 0
        self._waiting: Queue[bytes | BaseException | None] = Queue(_PIECES)
        self.left = threading.Event()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, piece: Any) -> int:
        content = bytes(piece)
        self._held.append(content)
        self._size, self._written = self._size + len(content), self._written + len(content)
        if self._size >= _BYTES:
            self.send()
        return len(content)

    def send(self) -> None:
        """Hand over what has been written."""
        if self._held:
            self.put(b"".join(self._held))
        self._held, self._size = [], 0

    def put(self, item: bytes | BaseException | None) -> None:
        """Wait until there is room. Raises _LeftError where nobody will make it."""
        while not self.left.is_set():
            try:
                return self._waiting.put(item, timeout=0.5)
            except Full:
                continue
        raise _LeftError

    def pieces(self) -> Iterator[bytes]:
        """The file. Now and then nothing comes (b""): then it can be noticed that the browser has gone."""
        while True:
            try:
                item = self._waiting.get(timeout=0.5)
            except Empty:
                yield b""
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item


class Download(StreamingResponse):
    """The answer; when it ends, in whatever way, the writing ends."""

    def __init__(self, pipe: _Pipe, first: bytes, form: Form, name: str) -> None:
        kind = "application/gzip" if form.gzipped else _TYPES.get(form.format, "application/vnd.apache.parquet")
        file = f"{name}.{form.format}{'.gz' if form.gzipped else ''}"
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file, safe='')}"}
        super().__init__(chain([first], pipe.pieces()), headers=headers, media_type=kind)
        self._pipe = pipe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pipe.left.set()


def download(lake: Place, sql: str, form: Form, name: str, *, limit: int | None = None) -> Download:
    """The rows of a SELECT as a file called `name`, with the ending of its form.

    Raises UsageError and StreamError where the rows cannot be read, RetryError where too many files are being made.
    """
    turns = _turns
    if not turns.acquire(blocking=False):
        raise RetryError(
            "Too many files are being made at this moment",
            why=f"{AT_ONCE} exports are at work",
            fix="try again when one of them has ended, or use `b24lake export`",
        )
    pipe = _Pipe()
    writing = partial(_write, pipe, lake, sql, form, limit, turns.release)
    threading.Thread(target=writing, name=f"export {name}", daemon=True).start()
    pieces = pipe.pieces()
    try:
        first = next((piece for piece in pieces if piece), b"")
    except BaseException:
        pipe.left.set()
        raise
    return Download(pipe, first, form, name)


def _write(pipe: _Pipe, lake: Place, sql: str, form: Form, limit: int | None, ended: Callable[[], None]) -> None:
    """The whole way of the rows, in one thread: the query's process ends with the thread that began it."""
    try:
        with guarded_stream(lake, sql, limit=limit, seconds=SECONDS) as answer:
            batches = iter(answer.batches)
            first = next(batches, None)  # before anything is written: most faults show here
            rows: Iterator[pa.RecordBatch] = iter(()) if first is None else chain([first], batches)
            exporting.write(cast("IO[bytes]", pipe), form, answer.schema, rows, lambda _: None)
            pipe.send()
            pipe.put(None)
    except _LeftError:
        _logger.info("an export ended early: nobody reads it any more")
    except BaseException as error:
        if not isinstance(error, B24LakeError):
            _logger.exception("an export failed")
        with suppress(_LeftError):
            pipe.put(error)
    finally:
        ended()
