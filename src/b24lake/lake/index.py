"""What all tables of a lake are called and hold, kept in memory, so that a page need not open hundreds of tables.

A table is opened again only where its log is not as it was: in a folder of this machine that takes one look at
`_delta_log`, whose time changes with every commit; in an object store one listing of it. A store is asked in the
background and every few seconds at most; whoever has just changed something says so (`changed`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from b24lake.lake import readable
from b24lake.lake.catalog import ColumnInfo, TableInfo, find, info_of, opened, table_folders
from b24lake.lake.columns import comment, type_name
from b24lake.lake.files import storage_errors
from b24lake.lake.joins import links_of
from b24lake.lake.log import LOG
from b24lake.lake.place import Place, at_once
from b24lake.lake.readable import SUFFIX, Described
from b24lake.lake.table import key_of, state_of

PATIENCE, WHOLE = 0.8, 60.0
"""Seconds that one look may open tables, the next look goes on; and those for a look that needs all of them."""
STORE_SECONDS = 10.0
"""How old what is known of an object store may be."""
MOST_COLUMNS = 6
"""Columns that are told of a table that was searched for."""
_NEVER = float("-inf")
_AT_ONCE = 4
_SETTLED = 2.0
"""Seconds after which the time of a folder tells two changes apart, whatever the file system."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Indexed:
    """A table as the index knows it.

    info        its line in the catalog; where it cannot be read, `info.error` says why and the rest is empty
    key         the column that is its primary key; "" where nobody can tell
    text        everything that is searched, in lower case: a line about the table, and one for each column
    described   what its columns refer to; None where it cannot be read
    links       columns whose text holds records of several streams (`joins`)
    """

    info: TableInfo
    columns: tuple[ColumnInfo, ...] = ()
    key: str = ""
    text: str = ""
    described: Described | None = None
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known at a moment, by layer and name; `unread` tables are there but were not opened yet."""

    tables: tuple[Indexed, ...]
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A table that was searched for, and the first of its columns that hold one of the words."""

    table: Indexed
    columns: tuple[ColumnInfo, ...] = ()


class Index:
    """The tables of one lake. One object serves all threads of a process."""

    def __init__(
        self, lake: Place, *, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time
    ) -> None:
        self.lake = lake
        self._clock, self._now = clock, now
        self._turn = threading.Lock()
        self._known: Mapping[Place, tuple[Any, Indexed]] = {}
        self._unread = 0
        self._checked = _NEVER  # when the last complete refresh began
        self._changes = 0
        self._asking = False

    def look(self, *, patience: float = PATIENCE) -> Look:
        """All tables. What is not opened within `patience` seconds is as it was before, or counted as unread.

        Raises UsageError where the lake is a file, StopError where a store does not answer.
        """
        asked = self._clock()
        if isinstance(self.lake, Path) or self._checked == _NEVER:
            self._refresh(asked, asked + patience)
        else:
            self._ask_now_and_then(asked)
        known = sorted(self._known.values(), key=lambda each: (each[1].info.layer, each[1].info.name))
        return Look(tuple(each for _, each in known), self._unread)

    def table(self, layer: str, name: str) -> Indexed:
        """One table, as it is now. Raises NotFoundError where there is none, StreamError where it cannot be read."""
        path = self.lake / layer / name
        stamp, held = self._known.get(path, (None, None))
        if isinstance(self.lake, Path):
            fresh = stamp is not None and stamp == _stamp(path, self._now())
        else:
            fresh = self._checked > _NEVER
            self._ask_now_and_then(self._clock())
        if held is not None and fresh and not held.info.error:
            return held
        return read(find(self.lake, f"{layer}.{name}"))

    def changed(self) -> None:
        """Say that a table or layer has just been changed: the next look sees it, also in an object store."""
        self._changes += 1
        self._checked = _NEVER

    def _ask_now_and_then(self, now: float) -> None:
        """Look through a store in the background, where what is known is old."""
        if self._checked == _NEVER or now - self._checked <= STORE_SECONDS or self._asking:
            return
        self._asking = True
        threading.Thread(target=self._ask, name="index of the lake", daemon=True).start()

    def _ask(self) -> None:
        try:
            begun = self._clock()
            self._refresh(begun, begun + 600)
        except Exception:
            _logger.exception("the tables of %s could not be looked through", self.lake)
            self._checked = _NEVER  # the next look asks by itself, and tells what is wrong
        finally:
            self._asking = False

    def _refresh(self, asked: float, until: float) -> None:
        """Look at all logs and open the tables whose log has changed, as far as time allows."""
        if not self._turn.acquire(timeout=max(0.0, until - self._clock())):
            return  # somebody else is at it
        try:
            if self._checked >= asked:
                return
            begun, changes = self._clock(), self._changes
            folders, now = table_folders(self.lake), self._now()
            stamps = dict(zip(folders, at_once(self.lake, lambda path: _stamp(path, now), folders), strict=True))
            known = {path: self._known[path] for path in folders if path in self._known}
            old = [
                path for path in folders if path not in known or stamps[path] is None or known[path][0] != stamps[path]
            ]
            old.sort(key=lambda path: path in known)  # what nobody has seen comes first
            left = len(old)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for start in range(0, left, 2 * _AT_ONCE):
                    if start and self._clock() > until:
                        break
                    some = old[start : start + 2 * _AT_ONCE]
                    known |= {
                        path: (stamps[path], one)
                        for path, one in zip(some, pool.map(_read_or_error, some), strict=True)
                    }
                    left -= len(some)
            self._known, self._unread = known, sum(path not in known for path in folders)
            if not left and changes == self._changes:
                self._checked = begun
        finally:
            self._turn.release()


def read(path: Place) -> Indexed:
    """A table as the index keeps it. Raises StreamError where it cannot be read."""
    table = opened(path)
    with storage_errors(path):
        state = state_of(path, table)
        info = info_of(table, state)
        columns = tuple(
            ColumnInfo(each.name, type_name(each.type), comment(each), each.nullable) for each in state.schema
        )
        described = readable.described(info.layer, info.name, state.schema, state.properties)
        links = links_of(state.properties)
        return Indexed(info, columns, key_of(table) or "", _text(info, columns), described, links)


def _read_or_error(path: Place) -> Indexed:
    try:
        return read(path)
    except Exception as error:  # noqa: BLE001  whatever is wrong with one table, the others are found
        info = TableInfo(path.parent.name, path.name, error=str(error))
        return Indexed(info, text=_text(info, ()))


def _stamp(path: Place, now: float) -> Any:
    """What is different after every commit; None where that cannot be told yet, or nothing is there."""
    log = path / LOG
    try:
        if isinstance(log, Path):
            told = log.stat()
            return (told.st_ino, told.st_mtime_ns) if now - told.st_mtime > _SETTLED else None
        files = list(log.iterdir())
    except OSError:
        return None
    return (len(files), files[-1].name, files[-1].known.mtime_ns) if files else None


def _text(info: TableInfo, columns: Iterable[ColumnInfo]) -> str:
    view = f"{info.sql_name}{SUFFIX}" if info.has_view else ""
    head = (info.sql_name, view, info.folder, info.stream, info.source, info.description)
    texts = [" ".join(head), *(f"{each.name} {each.comment}" for each in columns)]
    return "\n".join(" ".join(text.split()) for text in texts).casefold()


def search(tables: Iterable[Indexed], words: Iterable[str]) -> list[Hit]:
    """The tables that hold all of the words in names, labels or descriptions, with the columns that hold any of them.

    Words are found as they are, in any case; there are no signs with a meaning of their own.
    """
    wanted = [word.casefold() for word in words]
    found = [each for each in tables if all(word in each.text for word in wanted)]
    return [Hit(each, _columns(each, wanted)) for each in found]


def _columns(table: Indexed, words: list[str]) -> tuple[ColumnInfo, ...]:
    lines = zip(table.columns, table.text.split("\n")[1:], strict=True) if table.columns and words else ()
    return tuple(islice((each for each, text in lines if any(word in text for word in words)), MOST_COLUMNS))
