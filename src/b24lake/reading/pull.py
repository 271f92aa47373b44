"""One stream on its way out of the portal: what is read before its rows, its rows, and what is read after them.

Who takes the rows (a table, a program) asks for `ask`, hands every event of the reader to `take`, `restart`, `go_on` or
`instead`, and asks for more as long as these say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow as pa

from b24lake.errors import StreamError
from b24lake.reading.children import Parents
from b24lake.reading.contacts import CONTACT_IDS, Contacts, contacts_of
from b24lake.reading.marks import LOOK_BACK, Kind, kind_of, milliseconds_of, moment_of
from b24lake.reading.reader import Rows
from b24lake.reading.schedule import Ask, Stats
from b24lake.reading.steps import Step, check_filter, ids_in, no_parents, parents_of
from b24lake.reading.walk import NOTHING, Closed, Done
from b24lake.streams.discovery import Found
from b24lake.streams.selection import Selected


class Piece(NamedTuple):
    """Rows of the stream, and the stretches of ids that are complete with them."""

    batch: pa.RecordBatch
    closed: Closed = ()


@dataclass(kw_only=True)
class Pull:
    """A stream that is being read.

    mark     the bookmark it reads from, in milliseconds or an id; None = in full
    clock    the portal's time when the run began, in case its answers carry none
    held     columns that the table has, each with the code of its field
    fixed    keys of rows that no column has are left out
    within   ids that are wanted at all, or have been read before
    proven   whether the portal counts the rows of a full read when it has ended
    parent   the stream whose records these rows belong to; `parents` are those of them that are read
    contacts what is put beside deals; None = nothing
    before   what is to be read before the rows, or after them while `late`
    later    what is asked for in the place of the rows, when these have been read; None = nothing
    late     contacts of late deals are being read; meanwhile `total` is what the portal told of the rows
    withheld stretches of ids that are complete but for the late deals in them
    released rows of late deals that somebody is to take, now that their contacts are known
    """

    selected: Selected
    fingerprint: str
    mark: int | None
    clock: datetime
    held: Mapping[str, str] = field(default_factory=dict)
    fixed: bool = False
    within: Done = NOTHING
    proven: bool = True
    parent: Found | None = None
    parents: Parents = field(default_factory=no_parents)
    contacts: Contacts | None = None
    before: list[Step] = field(default_factory=list)
    later: Ask | None = None
    late: bool = False
    total: int | None = None
    withheld: list[tuple[int, int]] = field(default_factory=list)
    released: list[Piece] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        """What its bookmarks are."""
        return kind_of(self.selected)

    @property
    def incremental(self) -> bool:
        """Whether only what has changed is read."""
        return self.mark is not None

    @property
    def since(self) -> datetime | None:
        """From when on changes are read; None = in full, or from an id on."""
        return moment_of(self.mark) if self.mark is not None and self.kind == "time" else None

    @property
    def after(self) -> int:
        """The id from which on a log is read: rows may become visible a little later than they get their ids."""
        return max(0, self.mark - LOOK_BACK) if self.mark is not None and self.kind == "id" else 0

    @property
    def ask(self) -> Ask:
        """What to read now."""
        return self.before[0].ask if self.before else self.rows

    def steps(self) -> list[Step]:
        """What to read before the rows."""
        found = self.selected.found
        if self.parent is not None:
            return parents_of(found.stream.name, self.parent, self.since, self.parents)
        return [] if self.contacts is None else contacts_of(found, self.rows, self.contacts)

    @property
    def rows(self) -> Ask:
        """What the rows come from."""
        found = self.selected.found
        if self.later is not None:
            return self.later
        if self.parent is not None:
            return Ask(found.stream, found.columns, held=self.held, parents=self.parents, fixed=self.fixed)
        return Ask(
            found.stream,
            found.columns,
            self.selected.replication_key,
            self.since,
            replace(self.within, below=max(self.after, self.within.below)),
            proven=self.proven and not self.incremental,
            held=self.held,
            fixed=self.fixed,
        )

    def take(self, rows: Rows, stats: Stats) -> Iterator[Piece]:
        """The rows that are ready with a batch; what comes before the rows is kept here, and not counted."""
        if self.before:
            stats.rows -= rows.batch.num_rows
            self.before[0].take(rows)
            return
        check_filter(rows.batch, self.rows)
        if self.contacts is None:
            yield Piece(rows.batch, rows.closed)
            return
        batch = self.contacts.beside(rows.batch, ids_in(rows.batch, self.rows), self._contacts_column)
        late = self.contacts.late_ids(self.rows)  # who goes on with this read is to ask for these again
        waits = [(after, upto) for after, upto in rows.closed if ((late > after) & (late <= upto)).any()]
        self.withheld += waits
        yield Piece(batch, tuple(one for one in rows.closed if one not in waits))

    def restart(self) -> bool:
        """Rows begin to come anew. Tells whether those that came so far are void."""
        if self.before:
            self.before[0].restart()
            return False
        self.forget_late()
        return True

    def go_on(self, stats: Stats) -> Ask | None:
        """A read has ended: what to read next; None = everything is there, with what has been `released`.

        Raises StreamError where something is missing.
        """
        if self.before:
            self.before.pop(0).ended()
            if not self.late:
                stats.portal_total = None
                return self.ask
        return self._fill_in(stats)

    def instead(self, error: StreamError, stats: Stats) -> Ask | None:
        """What to read where a step cannot be read, as `go_on`. Raises the error where the stream ends with it."""
        steps = self.before[0].instead(error) if self.before else ()
        if steps:
            self.before[:1] = steps
            return self.ask
        if not self.late:
            raise error
        self.before.clear()  # late deals do without their contacts until the next run
        return self.go_on(stats)

    def marked(self, begun: datetime, overlap: timedelta, closed: Closed) -> int | None:
        """The bookmark behind this read; None for streams without a replication key.

        It is the portal's clock when the first rows were asked for, minus the overlap; of a log, the last id
        of `closed`.
        """
        if self.selected.replication_key is None and self.parent is None:
            return None
        if self.kind == "id":
            return max([self.mark or 0, *(upto for _, upto in closed)])
        return milliseconds_of(begun - overlap)

    def notes(self, rows: int, total: int | None) -> list[str]:
        """What people should know of a read that has ended: `rows` came, and the portal counts `total`.

        It counts rows up to the newest id of the start: these can only become fewer.
        """
        name, refused = self.selected.name, len(self.parents.refused)
        notes = []
        if total is not None and rows > total:
            notes.append(
                f"{name}: {rows:,} rows were read and the portal counts {total:,}: "
                f"{rows - total:,} were created or deleted while it was read"
            )
        if self.parent is not None and refused:
            notes.append(
                f"{name}: {refused:,} {self.parent.stream.name} gave nothing: they were deleted while "
                "they were read, or the webhook's owner may not read them"
            )
        if self.contacts is not None and self.contacts.unknown:
            notes.append(
                f"{name}: {self.contacts.unknown:,} came or changed while they were read: their CONTACT_IDS "
                "come with the next run"
            )
        return notes

    def forget_late(self) -> None:
        """The deals that wait for their contacts are void."""
        self.withheld.clear()
        if self.contacts is not None:
            self.contacts.late.clear()

    def _fill_in(self, stats: Stats) -> Ask | None:
        """What asks for the contacts of deals that were not there yet when contacts were read; then release them."""
        if self.contacts is None or not self.contacts.late:
            return None
        self.late = not self.late
        if self.late:
            self.total, self.before = stats.portal_total, [self.contacts.of_late(self.rows)]
            return self.ask
        stats.portal_total = self.total
        *batches, last = self.contacts.released(self.rows, self._contacts_column)
        self.released = [*map(Piece, batches), Piece(last, tuple(self.withheld))]
        self.withheld = []
        return None

    @property
    def _contacts_column(self) -> str:
        return self.selected.found.column(CONTACT_IDS)
