"""One portal, as a program reads it: discovery, streams side by side, ranges of ids."""

from __future__ import annotations

import difflib
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import TracebackType
from typing import Self, Unpack

from b24lake.api.bookmark import Since, Wanted, begin
from b24lake.api.course import Course, Undeclared
from b24lake.api.reading import Range, Reading, Readings
from b24lake.api.settings import PortalSettings, home_of, settings_of, webhook_of
from b24lake.api.stream_info import StreamInfo, info_of
from b24lake.errors import UsageError
from b24lake.portal.connection import Connection
from b24lake.portal.probe import invisible
from b24lake.reading.asked import as_asked
from b24lake.reading.contacts import CONTACT_IDS, Contacts
from b24lake.reading.cuts import cuts
from b24lake.reading.home import connect
from b24lake.reading.marks import fingerprint, kind_of
from b24lake.reading.pull import Pull
from b24lake.reading.reader import Reader
from b24lake.reading.veil import Veil, needed_by
from b24lake.reading.walk import NOTHING, Done
from b24lake.streams.discovery import Discovery, Found, discover
from b24lake.streams.fields import Column
from b24lake.streams.fields import undeclared as undeclared_column
from b24lake.streams.selection import Selected, is_hidden, lock_of, select

CLOCKS_DIFFER = timedelta(days=1)  # how wrong our clock may be for a portal that does not tell its own


class Portal:
    """A portal through one webhook: asked once what it has, then read as often as you like.

    url        the webhook URL, https://PORTAL/rest/USER/CODE/; None = that of B24LAKE_WEBHOOK_URL
    settings   see `PortalSettings`

    All reads share the request budget that b24lake keeps for this portal on this machine. While one is under way, the
    portal is locked as by a run of `b24lake sync`: another program that would read it gets an error that says who does.
    Reads of the same Portal object may overlap; `read_many` reads several streams side by side, and is quicker.

    Raises UsageError for a URL that is none, and for wrong settings; nothing is asked before the first question.
    """

    def __init__(self, url: str | None = None, **settings: Unpack[PortalSettings]) -> None:
        self.settings = settings_of(settings)
        self._home = home_of(settings)
        self._webhook = webhook_of(url, allow_http=bool(settings.get("allow_http")))
        self._lock, self._held, self._readers = threading.RLock(), ExitStack(), 0
        self._given: weakref.WeakSet[Reading | Readings] = weakref.WeakSet()
        self._asked, self._ahead, self._moved = 0, timedelta(0), ""

    def __repr__(self) -> str:
        return f"<Portal {self._webhook}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the reads that are under way; between two reads nothing is open."""
        for one in [*self._given]:
            one.close()

    @cached_property
    def id(self) -> str:
        """The portal's id: it stays the same when the portal moves to another address."""
        return self._home.ready().portal(self._webhook.address)

    @property
    def requests(self) -> int:
        """Requests so far, those of reads that have ended, and of discovery."""
        return self._asked

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of all reads, as that the webhook's owner does not see every record."""
        told = [invisible(self._discovery.probe), self._moved]
        return (*filter(None, told), *self._found[1])

    def streams(self) -> tuple[StreamInfo, ...]:
        """All streams of the portal, also those that are locked or hidden until a setting is on.

        Raises StopError where the webhook or the portal does not work at all.
        """
        return tuple(info_of(name, self._discovery, self.settings) for name in self._discovery.streams)

    def stream(self, name: str) -> StreamInfo:
        """One stream. Raises UsageError where there is none of this name."""
        self._known(name)
        return info_of(name, self._discovery, self.settings)

    def read(
        self,
        stream: str,
        *,
        columns: Sequence[str] | None = None,
        since: Since | None = None,
        replication_key: str | None = None,
        within: Range | None = None,
        undeclared: Undeclared = "misfits",
    ) -> Reading:
        """Read one stream: all of it, or what has changed. Nothing is asked before somebody iterates.

        stream            its name, as "deals" or "spa_128"
        columns           the only ones wanted, by name; others are not requested, where the portal's method takes a
                          list of columns. The columns by which rows are told apart and chosen (primary key,
                          replication key, parent, funnel) come all the same. None = all, custom fields included
        since             a bookmark of an earlier reading (or its JSON), or a time (without an offset: in UTC). What
                          has changed since is read; None = everything. A bookmark of something that was asked otherwise
                          leads to a full read, and `notes` say so
        replication_key   the column by which changes are asked for, where the stream has several
        within            ids of a keyset stream, as `ranges` cuts them
        undeclared        what becomes of keys that the portal sends without declaring them: "misfits", so that the
                          schema stays as it is, or "columns"

        Raises UsageError for wrong input (also for a bookmark of another stream or portal, or of the future),
        LockedError where the stream cannot be read, StopError where the portal or the webhook does not work at all.
        """
        selected = self._selected(stream, replication_key)
        locked = lock_of(selected, self._discovery)
        if locked is not None:
            raise locked
        course = self._course(selected, columns, since, within, undeclared)
        course.notes[:0] = self.notes
        reading = Reading(self.stream(stream), self._reader, course)
        self._given.add(reading)
        return reading

    def read_many(
        self,
        streams: Sequence[str] | None = None,
        *,
        columns: Mapping[str, Sequence[str]] | None = None,
        since: Mapping[str, Since | None] | None = None,
        replication_keys: Mapping[str, str] | None = None,
        undeclared: Undeclared = "misfits",
    ) -> Readings:
        """Read several streams side by side: while the method of one rests, the others go on.

        streams   names or globs ("*_fields"); None = all that are not hidden. Those that are locked are left out, with
                  a note, unless they are named exactly: then they fail, and the others are read

        The other arguments are those of `read`, by stream; bookmarks of streams that are not read do no harm.
        """
        if isinstance(streams, str):
            raise UsageError("The streams are a text, not a list", fix=f"write [{streams!r}]")
        for name in (*(columns or {}), *(replication_keys or {})):
            self._known(name)
        nothing = streams is not None and not streams
        chosen = select(
            {} if nothing else self._discovery.streams,
            tuple(streams or ()),
            replication_keys={} if nothing else dict(replication_keys or {}),
            switched_on=self.settings.switched_on,
        )
        readings, notes = [], [*self.notes]
        for one in chosen:
            locked = lock_of(one, self._discovery)
            if locked is not None and not one.exact:
                notes.append(f"{one.name}: is left out. {locked}")
                continue
            given = None if locked else (since or {}).get(one.name)
            wanted = None if locked else (columns or {}).get(one.name)
            course = self._course(one, wanted, given, None, undeclared)
            if locked is not None:
                course.status, course.error = "locked", locked
            readings.append(Reading(self.stream(one.name), self._reader, course))
        together = Readings(self._reader, readings, notes)
        self._given.add(together)
        return together

    def ranges(self, stream: str, parts: int = 4) -> tuple[Range, ...]:
        """Cut the ids of a stream into so many ranges (fewer where there are fewer ids), for `read(..., within=range)`.

        Together they are the whole stream, rows that are created later included. Ids may lie more densely in one of
        them than in another. All share the portal's limits: there is nothing to be won by reading them at the same time
        from several machines.

        Raises UsageError where the stream is not paged by id, LockedError where it cannot be read.
        """
        if parts < 1:
            raise UsageError(f"{parts} is not a number of parts", fix="give 1 or more")
        selected = self._selected(stream, None)
        locked = lock_of(selected, self._discovery)
        if locked is not None:
            raise locked
        _check_keyset(selected)
        with self._connected() as connection:
            found = cuts(selected.found.stream, connection, parts)
        return tuple(Range(stream, after, upto) for after, upto in found)

    # --- what the reads share

    @cached_property
    def _found(self) -> tuple[Discovery, tuple[str, ...]]:
        with self._connected() as connection:
            discovery, notes = as_asked(discover(connection), self.settings)
        clock = discovery.probe.clock
        self._ahead = clock - _now() if clock else CLOCKS_DIFFER
        streams = {name: _with_unasked(found) for name, found in discovery.streams.items()}
        return replace(discovery, streams=streams), tuple(notes)

    @property
    def _discovery(self) -> Discovery:
        with self._lock:
            return self._found[0]

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        connection = connect(self._webhook, self._home, portal_plan=self.settings.portal_plan)
        with closing(connection):
            try:
                yield connection
            finally:
                with self._lock:
                    self._asked += connection.counters.requests
                    if connection.webhook.address != self._webhook.address:
                        self._moved = f"The portal has moved to {connection.webhook}: write this address down"

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        """A reader, while nobody else on this machine reads the portal."""
        zone, settings = self._discovery.probe.zone, self.settings
        with self._locked(), self._connected() as connection:
            yield Reader(connection, concurrency=settings.concurrency, threshold=settings.threshold, zone=zone)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            if not self._readers:
                lock = self._home.ready().lock(f"portal-{self.id}", f"the portal {self._webhook.address}")
                self._held.enter_context(lock)
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    self._held.close()

    # --- one stream

    def _known(self, name: str) -> Found:
        found = self._discovery.streams.get(name)
        if found is None:
            near = difflib.get_close_matches(name.lower(), self._discovery.streams, n=3, cutoff=0.5)
            fix = f"did you mean {' or '.join(near)}" if near else "streams() tells the names"
            raise UsageError(f"There is no stream {name!r}", fix=fix)
        return found

    def _selected(self, name: str, replication_key: str | None) -> Selected:
        stream = self._known(name).stream
        if is_hidden(stream, self.settings.switched_on):
            raise UsageError(f"Stream {name} is switched off", fix=f"set {stream.option}=True")
        keys = {name: replication_key} if replication_key else {}
        on = self.settings.switched_on
        return select(self._discovery.streams, [name], replication_keys=keys, switched_on=on)[0]

    def _course(
        self,
        selected: Selected,
        columns: Sequence[str] | None,
        since: Since | None,
        within: Range | None,
        undeclared: Undeclared,
    ) -> Course:
        if undeclared not in ("misfits", "columns"):
            raise UsageError(f"undeclared cannot be {undeclared!r}", fix='choose "misfits" or "columns"')
        parent = self._discovery.streams.get(selected.found.stream.parent)
        chosen = None if columns is None else chosen_of(selected, columns)
        wanted = chosen is None or any(one.name == CONTACT_IDS for one in chosen)
        contacts = self.settings.deal_contacts and selected.name == "deals" and wanted
        print_ = fingerprint(
            selected,
            self._discovery.probe,
            contacts=contacts,
            parent=parent,
            chosen=None if chosen is None else [one.source for one in chosen],
        )
        clock = self._discovery.probe.clock
        asked = Wanted(
            portal=self.id,
            stream=selected.name,
            kind=kind_of(selected),
            fingerprint=print_,
            offered=selected.replication_key is not None or parent is not None,
            clock=_now() + self._ahead,
        )
        mark, because = begin(since, asked)
        selected = selected if chosen is None else _narrowed(selected, chosen)
        pull = Pull(
            selected=selected,
            fingerprint=print_,
            mark=mark,
            clock=_now() + (self._ahead if clock else -CLOCKS_DIFFER),
            fixed=chosen is not None,
            within=_done(within, selected),
            proven=within is None,
            parent=parent,
            contacts=Contacts() if contacts and selected.found.stream.method == "crm.deal.list" else None,
        )
        pull.before = pull.steps()
        notes = [f"{selected.name}: {selected.found.note}"] if selected.found.note else []
        notes += [f"{selected.name}: is read in full, since {because}"] if because else []
        overlap = self.settings.overlap_of(selected.name)
        return Course(pull=pull, portal=self.id, overlap=overlap, within=within, undeclared=undeclared, notes=notes)


def chosen_of(selected: Selected, names: Sequence[str]) -> tuple[Column, ...]:
    """The columns of these names, and those without which the stream cannot be read, in the portal's order.

    Raises UsageError for a name that no column has.
    """
    if isinstance(names, str):
        raise UsageError("The columns are a text, not a list", fix=f"write [{names!r}]")
    there = selected.found.columns
    known = {name for column in there for name in (column.name, column.source)} | {"_misfits"}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            fix = f"did you mean {' or '.join(near)}" if near else "the stream's schema tells its columns"
            raise UsageError(f"{selected.name} has no column {name!r}", fix=fix)
    needed = needed_by(selected.found.stream, selected.replication_key)
    return tuple(one for one in there if one.source in needed or one.name in names or one.source in names)


def _narrowed(selected: Selected, chosen: Sequence[Column]) -> Selected:
    """The stream with these columns alone; the portal is asked for no others where its method takes a list of them."""
    left_out = frozenset(one.name for one in selected.found.columns) - {one.name for one in chosen}
    left_out |= {one.name for one in chosen if one.source in selected.found.stream.unasked}
    asking = Veil(left_out).asking(selected.found)
    return replace(selected, found=replace(asking, columns=tuple(chosen)))


def _with_unasked(found: Found) -> Found:
    """The stream with columns for what the portal is known to send although it does not describe it."""
    known = {one.source for one in found.columns}
    more = [undeclared_column(key) for key in found.stream.unasked if key not in known and not found.locked]
    return replace(found, columns=(*found.columns, *more)) if more else found


def _done(within: Range | None, selected: Selected) -> Done:
    if within is None:
        return NOTHING
    if within.stream != selected.name:
        raise UsageError(f"The range is of stream {within.stream}, not of {selected.name}", fix="cut this one")
    _check_keyset(selected)
    return Done(below=within.after, upto=within.upto)


def _check_keyset(selected: Selected) -> None:
    if selected.found.stream.paging != "keyset":
        raise UsageError(
            f"Stream {selected.name} cannot be cut into ranges", why="it is not paged by id", fix="read it as a whole"
        )


def _now() -> datetime:
    return datetime.now(UTC)


# --- without an object to hold ----------------------------------------------------------------------------------------


def streams(url: str | None = None, **settings: Unpack[PortalSettings]) -> tuple[StreamInfo, ...]:
    """All streams of a portal: see `Portal.streams`."""
    return Portal(url, **settings).streams()


def read(
    url: str | None,
    stream: str,
    *,
    columns: Sequence[str] | None = None,
    since: Since | None = None,
    replication_key: str | None = None,
    within: Range | None = None,
    undeclared: Undeclared = "misfits",
    **settings: Unpack[PortalSettings],
) -> Reading:
    """Read one stream of a portal: see `Portal.read` and `PortalSettings`."""
    return Portal(url, **settings).read(
        stream,
        columns=columns,
        since=since,
        replication_key=replication_key,
        within=within,
        undeclared=undeclared,
    )


def read_many(
    url: str | None,
    streams: Sequence[str] | None = None,
    *,
    columns: Mapping[str, Sequence[str]] | None = None,
    since: Mapping[str, Since | None] | None = None,
    replication_keys: Mapping[str, str] | None = None,
    undeclared: Undeclared = "misfits",
    **settings: Unpack[PortalSettings],
) -> Readings:
    """Read several streams of a portal side by side: see `Portal.read_many` and `PortalSettings`."""
    return Portal(url, **settings).read_many(
        streams, columns=columns, since=since, replication_keys=replication_keys, undeclared=undeclared
    )


def ranges(url: str | None, stream: str, parts: int = 4, **settings: Unpack[PortalSettings]) -> tuple[Range, ...]:
    """Cut the ids of a stream into ranges: see `Portal.ranges`."""
    return Portal(url, **settings).ranges(stream, parts)
