"""One stream of one run: where its rows go, from when on it reads, and how its rows become a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from b24lake.errors import StreamError
from b24lake.lake.children import Replaced
from b24lake.lake.columns import SYNCED_AT
from b24lake.lake.keys import Deletions
from b24lake.lake.merging import commit_merge
from b24lake.lake.place import Place
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staged, Staging
from b24lake.lake.superseding import supersede
from b24lake.lake.sweeping import remove, sweep
from b24lake.lake.table import Bookmark, Commit, Counts, Owner, TableState, bookmark
from b24lake.lake.unfinished import KEPT, Unfinished, dead_before, joined, resumable, unfinished
from b24lake.reading.decode import SCHEMA_TAIL
from b24lake.reading.marks import shown
from b24lake.reading.pull import Pull
from b24lake.reading.reader import Rows
from b24lake.reading.schedule import Ask, Stats
from b24lake.reading.steps import check_whole
from b24lake.reading.veil import NO_VEIL, Veil
from b24lake.reading.walk import NOTHING, Done
from b24lake.streams.fields import MOMENT, schema
from b24lake.streams.selection import INCREMENTAL, Selected
from b24lake.sync import naming
from b24lake.sync.labels import properties_of
from b24lake.sync.options import Options
from b24lake.sync.report import EMPTY, SUCCESS, StreamReport


@dataclass(kw_only=True)
class Job(Pull):
    """A stream on its way into its table.

    version  of the table when the run began; None = there is none yet
    wrote    whether its commit made a new version
    others   what another program did to the table's rows, so that all are read again; "" = nothing
    started  when the run began, by this machine's clock
    earlier  what a read of the same kind left that was cut off: this one goes on with it
    newer    the rows of it that changed meanwhile, as they come
    closed   stretches of ids that have been read
    veil     columns that nobody shall see
    """

    path: Place
    owner: Owner
    version: int | None
    run_id: str
    started: datetime
    report: StreamReport
    staging: Staging | None = None
    earlier: Unfinished | None = None
    newer: Staging | None = None
    closed: list[tuple[int, int]] = field(default_factory=list)
    veil: Veil = NO_VEIL
    wrote: bool = False
    others: str = ""

    def prepare(self, overlap: timedelta) -> None:
        """Take over what a read of the same kind left that was cut off, and remove what others left."""
        self.look_back(overlap)
        keep = self.earlier.run_id if self.earlier else None
        sweep(self.path, keep_run=keep, older_than=dead_before(self.path, datetime.now(UTC)))
        if self.earlier is not None:
            self.staging = self._begin(self.run_id, self.earlier.facts)
            self.staging.go_on(self.earlier.run_id, self.earlier.parts, self.earlier.held)
        self.before = self.steps()

    def look_back(self, overlap: timedelta) -> None:
        """See whether a read of the same kind was cut off that this one goes on with."""
        # Without a replication key nobody can ask for what changed meanwhile.
        within = KEPT if self.selected.replication_key else overlap
        self.earlier = resumable(self.path, self._facts, self._schema, datetime.now(UTC), within=within)

    @property
    def catching_up(self) -> bool:
        """Whether all rows have been read, and those are being read that changed meanwhile."""
        return self.later is not None

    @property
    def rows(self) -> Ask:
        """What the rows come from."""
        ask = super().rows
        if self.catching_up or self.parent is not None:
            return ask
        done = replace(_done(self.earlier), below=self.after) if self.earlier else ask.done
        held = {**self.held, **naming.held(self.staging.schema)} if self.staging else self.held
        return replace(ask, done=done, held=held)

    def ended(self, stats: Stats, options: Options) -> Ask | None:
        """A read has ended: what to read next; None = everything is there.

        Raises StreamError where something is missing.
        """
        more = self.go_on(stats)
        self._let_in(stats)
        return more or self.catch_up(options)

    def refused(self, error: StreamError, stats: Stats, options: Options) -> Ask | None:
        """What to read where a step cannot be read, as `ended`. Raises the error where the stream ends with it."""
        more = self.instead(error, stats)
        self._let_in(stats)
        return more or self.catch_up(options)

    def _let_in(self, stats: Stats) -> None:
        """Stage the late deals that need not wait any longer."""
        released, self.released = self.released, []
        for batch, closed in released:
            self._stage(batch, closed, stats)

    def catch_up(self, options: Options) -> Ask | None:
        """When everything has been read: what else to ask for, since rows read by an earlier run may have changed."""
        changes = self.selected.replication_key is not None and self.kind == "time"
        if self.earlier is None or self.catching_up or not changes:
            return None
        since = self._begun(self.clock) - options.overlap_of(self.selected.name)
        self.later = replace(self.rows, since=since, done=NOTHING, proven=False)
        self.before = self.steps()
        return self.ask

    def keep(self, rows: Rows, stats: Stats) -> None:
        """Stage a batch, with the time of this run beside each row; what comes before the rows is not counted."""
        for batch, closed in self.take(rows, stats):
            self._stage(batch, closed, stats)

    def _stage(self, batch: pa.RecordBatch, closed: Sequence[tuple[int, int]], stats: Stats) -> None:
        synced = pa.repeat(pa.scalar(self.started, MOMENT), batch.num_rows)
        batch = self.veil.over(batch).append_column(SYNCED_AT, synced)
        if self.catching_up and not self.incremental:
            self.newer = self.newer or self._begin(f"{self.run_id}-newer", None, spool=True)
            self.newer.add(batch)
        else:  # of an incremental read the last row with a key counts
            closed = () if self.catching_up else closed
            self.closed += closed
            self._staged(stats).add(batch, closed)

    def begin_anew(self) -> None:
        """Rows begin to come anew: remove those that came."""
        if not self.restart():
            return
        if self.catching_up and not self.incremental:
            if self.newer is not None:
                self.newer.discard()
                self.newer = None
        elif not self.catching_up:
            self.discard()

    def discard(self) -> None:
        """Remove what was staged."""
        for staging in (self.staging, self.newer):
            if staging is not None:
                staging.discard()
        self.staging = self.newer = self.earlier = None
        self.closed.clear()
        self.forget_late()

    def leave(self) -> int:
        """The run ends too early: keep what can be gone on with, and say how many rows that are."""
        staging, self.staging = self.staging, None
        if staging is not None and staging.leave():
            self.discard()
            return unfinished(self.path)[staging.run_id].rows
        self.staging = staging
        self.discard()
        return 0

    def commit(self, stats: Stats, options: Options) -> None:
        """Everything has been read: make it visible, as one version, with the bookmark.

        Raises StreamError where the stretches that were read do not meet: the table would be short.
        """
        closed = joined([*self.closed, *(self.earlier.closed if self.earlier else ())])
        check_whole(closed, self.after)
        staged = self._staged(stats).close()
        found = self.selected.found
        mark, told = self._bookmark(stats, options, closed), self._metadata(stats)
        kept = replace(found, columns=self.veil.kept(found.columns))
        commit = Commit(self.run_id, mark, told, properties_of(kept), found.stream.title)
        if not self.incremental:
            counts = self._commit_full(staged, commit, options)
        else:
            counts = commit_merge(self.path, self.owner, staged, commit, replaced=self._replaced(options))
        self.staging = None
        self.wrote = counts.version is not None
        self._note(counts)

    def _commit_full(self, staged: Staged, commit: Commit, options: Options) -> Counts:
        deletions = Deletions(
            self._policy(options), options.accept_deletions, at=self.started, because=self._why_gone()
        )
        if self.newer is None:
            return commit_full(self.path, self.owner, staged, commit, deletions=deletions)
        newer, again = self.newer.close(), f"{self.run_id}-again"
        united = supersede(staged, newer, again)
        counts = commit_full(self.path, self.owner, united, commit, deletions=deletions)
        remove(self.path, staged.run_id, newer.run_id, again, *staged.took)
        return counts

    def _why_gone(self) -> str:
        """Why most rows may be missing from a full read, for the guard."""
        asked = (self.parent or self.selected.found).stream.params.get("filter", {})
        funnels = ",".join(str(id_) for name in ("@CATEGORY_ID", "@categoryId") for id_ in asked.get(name, ()))
        if not funnels or bookmark(self.path, self.kind, self.fingerprint) is not None:
            return Deletions.because
        return f"only deals of --deal-categories {funnels} are asked for, and the last run asked for something else"

    def _replaced(self, options: Options) -> Replaced | None:
        """The records of which all rows were read, where this is a stream of children.

        Those that were refused are not among them: whatever is gone stays until it is missing from a full read.
        """
        if self.parent is None:
            return None
        found, policy = self.selected.found, self._policy(options)
        column = found.column(found.stream.parent_key)
        read = np.setdiff1d(self.parents.ids, self.parents.refused)
        return Replaced(column, pa.array(read, pa.int64()), policy, self.started)

    def _policy(self, options: Options) -> Any:
        """A FULL_TABLE stream always shows the current state; only an INCREMENTAL one may keep what is gone."""
        return options.deleted if self.selected.sync_type == INCREMENTAL else "remove"

    def _staged(self, stats: Stats) -> Staging:
        if self.staging is None:
            clock, pace = (stats.started or self.clock).isoformat(), stats.portal_seconds / max(1, stats.commands)
            facts = {**self._facts, "clock": clock, "pace": f"{pace:.4f}"}
            self.staging = self._begin(self.run_id, facts, spool=self.incremental)
        return self.staging

    def _begin(self, run_id: str, facts: Mapping[str, str] | None, *, spool: bool | None = None) -> Staging:
        found, stream = self.selected.found, self.selected.found.stream
        keys = [found.column(key) for key in (stream.key, self.selected.replication_key) if key]
        spool = self.incremental if spool is None else spool
        facts = facts if stream.paging == "keyset" else None  # only stretches of ids can be gone on with
        return Staging(self.path, run_id, keys[0], keys[1:], schema=self._schema, spool=spool, facts=facts)

    @property
    def _schema(self) -> pa.Schema:
        """The columns that are declared."""
        declared = schema(self.veil.kept(self.selected.found.columns))
        return pa.schema([*declared, *SCHEMA_TAIL, pa.field(SYNCED_AT, MOMENT)])

    @property
    def _facts(self) -> dict[str, str]:
        """What a read that was cut off must have been about to be gone on with."""
        return {
            "fingerprint": self.fingerprint,
            "since": "" if self.mark is None else str(self.mark),
            "version": "" if self.version is None else str(self.version),
        }

    def _begun(self, clock: datetime) -> datetime:
        """The portal's clock when the first rows were asked for, by this run or by the one it goes on with."""
        return datetime.fromisoformat(self.earlier.facts["clock"]) if self.earlier else clock

    def _bookmark(self, stats: Stats, options: Options, closed: Sequence[tuple[int, int]]) -> Bookmark | None:
        """Where the next read begins; None for streams without a replication key."""
        begun, overlap = self._begun(stats.started or self.clock), options.overlap_of(self.selected.name)
        value = self.marked(begun, overlap, tuple(closed))
        return None if value is None else Bookmark(self.kind, self.fingerprint, value)

    def _metadata(self, stats: Stats) -> dict[str, str]:
        return {
            "b24lake.sync_type": self.report.sync_type,
            "b24lake.rows_read": str(stats.rows),
            "b24lake.misfits": str(stats.misfits),
            "b24lake.commands": str(stats.commands),
        }

    def _note(self, counts: Counts) -> None:
        report = self.report
        report.rows_read, report.rows_inserted = counts.rows, counts.inserted
        report.rows_updated, report.rows_deleted = counts.updated, counts.deleted
        report.schema_changes = [asdict(change) for change in counts.changes]
        report.version = counts.version
        if counts.version is not None:  # a version of new columns alone leaves the bookmark where it was
            held = bookmark(self.path, self.kind, self.fingerprint)
            report.bookmark = shown(self.kind, held) if held else None
        report.status = EMPTY if not self.incremental and not counts.rows else SUCCESS


def _done(earlier: Unfinished) -> Done:
    return Done(earlier.closed, earlier.rows, pace=float(earlier.facts.get("pace", 0)))


def mark(state: TableState | None, marked: int | None, selected: Selected, options: Options) -> int | None:
    """The bookmark from which on a stream is read; None = in full."""
    if state is None or options.full or selected.sync_type != INCREMENTAL or not marked:
        return None
    return marked
