"""One stream of one run: where its rows go, from when on it reads, and how its rows become a version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from b24lake.errors import StreamError
from b24lake.lake.columns import SYNCED_AT
from b24lake.lake.keys import Deletions
from b24lake.lake.merging import commit_merge
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staged, Staging, remove, sweep
from b24lake.lake.superseding import supersede
from b24lake.lake.table import Bookmark, Commit, Counts, Owner, TableState
from b24lake.lake.unfinished import KEPT, Unfinished, joined, resumable, unfinished
from b24lake.portal.probe import Probe
from b24lake.reading.decode import SCHEMA_TAIL
from b24lake.reading.reader import Rows
from b24lake.reading.schedule import Ask, Stats
from b24lake.reading.walk import NOTHING, Done
from b24lake.streams.fields import MOMENT, schema
from b24lake.streams.selection import INCREMENTAL, Selected
from b24lake.sync.options import Options
from b24lake.sync.report import EMPTY, SUCCESS, StreamReport

READER = "classic"


@dataclass(slots=True)
class Job:
    """A stream on its way into its table.

    since    the bookmark it reads from; None = in full
    version  of the table when the run began; None = there is none yet
    started  when the run began, by this machine's clock
    clock    the portal's time when the run began, in case its answers carry none
    earlier  what a read of the same kind left that was cut off: this one goes on with it
    newer    the rows of it that changed meanwhile, as they come
    closed   stretches of ids that have been read
    """

    selected: Selected
    path: Path
    owner: Owner
    fingerprint: str
    since: datetime | None
    version: int | None
    run_id: str
    started: datetime
    clock: datetime
    report: StreamReport
    staging: Staging | None = None
    earlier: Unfinished | None = None
    newer: Staging | None = None
    catching_up: bool = False
    closed: list[tuple[int, int]] = field(default_factory=list)

    def prepare(self, overlap: timedelta) -> None:
        """Take over what a read of the same kind left that was cut off, and remove what others left."""
        self.look_back(overlap)
        sweep(self.path, keep_run=self.earlier.run_id if self.earlier else None)
        if self.earlier is not None:
            self.staging = self._begin(self.earlier.run_id, self.earlier.facts)
            self.staging.go_on(self.earlier.parts, self.earlier.held)

    def look_back(self, overlap: timedelta) -> None:
        """See whether a read of the same kind was cut off that this one goes on with."""
        # Without a replication key nobody can ask for what changed meanwhile.
        within = KEPT if self.selected.replication_key else overlap
        self.earlier = resumable(self.path, self._facts, self._schema, datetime.now(UTC), within=within)

    @property
    def ask(self) -> Ask:
        """What to read."""
        found = self.selected.found
        done = _done(self.earlier) if self.earlier else NOTHING
        return Ask(found.stream, found.columns, self.selected.replication_key, self.since, done, proven=True)

    def catch_up(self, options: Options) -> Ask | None:
        """When everything has been read: what else to ask for, since rows read by an earlier run may have changed."""
        if self.earlier is None or self.catching_up or self.selected.replication_key is None:
            return None
        self.catching_up = True
        return replace(self.ask, since=self._begun(self.clock) - options.overlap, done=NOTHING, proven=False)

    def take(self, rows: Rows, stats: Stats) -> None:
        """Stage a batch, with the time of this run beside each row."""
        synced = pa.repeat(pa.scalar(self.started, MOMENT), rows.batch.num_rows)
        batch = rows.batch.append_column(SYNCED_AT, synced)
        if self.catching_up and self.since is None:
            self.newer = self.newer or self._begin(f"{self.run_id}-newer", None, spool=True)
            self.newer.add(batch)
        else:  # of an incremental read the last row with a key counts
            closed = () if self.catching_up else rows.closed
            self.closed += closed
            self._staged(stats).add(batch, closed)

    def restart(self) -> None:
        """Rows begin to come anew: remove those that came."""
        if self.catching_up and self.since is None:
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
        check_whole(joined([*self.closed, *(self.earlier.closed if self.earlier else ())]))
        staged = self._staged(stats).close()
        commit = Commit(self.run_id, self._bookmark(stats, options), self._metadata(stats))
        if self.since is None:
            counts = self._commit_full(staged, commit, options)
        else:
            counts = commit_merge(self.path, self.owner, staged, commit)
        self.staging = None
        self._note(counts, commit.bookmark)

    def _commit_full(self, staged: Staged, commit: Commit, options: Options) -> Counts:
        deletions = Deletions(self._policy(options), options.accept_deletions, at=self.started)
        if self.newer is None:
            return commit_full(self.path, self.owner, staged, commit, deletions=deletions)
        newer, again = self.newer.close(), f"{self.run_id}-again"
        united = supersede(staged, newer, again)
        counts = commit_full(self.path, self.owner, united, commit, deletions=deletions)
        for run_id in (staged.run_id, newer.run_id, again):
            remove(self.path, run_id)
        return counts

    def _policy(self, options: Options) -> Any:
        """A FULL_TABLE stream always shows the current state; only an INCREMENTAL one may keep what is gone."""
        return options.deleted if self.selected.sync_type == INCREMENTAL else "remove"

    def _staged(self, stats: Stats) -> Staging:
        if self.staging is None:
            clock, pace = (stats.started or self.clock).isoformat(), stats.portal_seconds / max(1, stats.commands)
            facts = {**self._facts, "clock": clock, "pace": f"{pace:.4f}"}
            self.staging = self._begin(self.run_id, facts, spool=self.since is not None)
        return self.staging

    def _begin(self, run_id: str, facts: Mapping[str, str] | None, *, spool: bool | None = None) -> Staging:
        stream = self.selected.found.stream
        keys = [key for key in [self.selected.replication_key] if key]
        spool = self.since is not None if spool is None else spool
        facts = facts if stream.paging == "keyset" else None  # only stretches of ids can be gone on with
        return Staging(self.path, run_id, stream.key, keys, schema=self._schema, spool=spool, facts=facts)

    @property
    def _schema(self) -> pa.Schema:
        """The columns that are declared."""
        declared = schema(self.selected.found.columns)
        return pa.schema([*declared, *SCHEMA_TAIL, pa.field(SYNCED_AT, MOMENT)])

    @property
    def _facts(self) -> dict[str, str]:
        """What a read that was cut off must have been about to be gone on with."""
        return {
            "fingerprint": self.fingerprint,
            "since": self.since.isoformat() if self.since else "",
            "version": "" if self.version is None else str(self.version),
        }

    def _begun(self, clock: datetime) -> datetime:
        """The portal's clock when the first rows were asked for, by this run or by the one it goes on with."""
        return datetime.fromisoformat(self.earlier.facts["clock"]) if self.earlier else clock

    def _bookmark(self, stats: Stats, options: Options) -> Bookmark | None:
        """The portal's clock when the first page was asked, minus the overlap; None for streams without a key."""
        if self.selected.replication_key is None:
            return None
        moment = self._begun(stats.started or self.clock) - options.overlap
        return Bookmark("time", self.fingerprint, int(moment.timestamp() * 1000))

    def _metadata(self, stats: Stats) -> dict[str, str]:
        return {
            "b24lake.sync_type": self.report.sync_type,
            "b24lake.rows_read": str(stats.rows),
            "b24lake.misfits": str(stats.misfits),
            "b24lake.commands": str(stats.commands),
        }

    def _note(self, counts: Counts, bookmark: Bookmark | None) -> None:
        report = self.report
        report.rows_read, report.rows_inserted = counts.rows, counts.inserted
        report.rows_updated, report.rows_deleted = counts.updated, counts.deleted
        report.schema_changes = [asdict(change) for change in counts.changes]
        if counts.refresh:
            report.bookmark = None
        elif bookmark is not None and counts.version is not None:
            report.bookmark = _moment(bookmark.value).isoformat()
        report.status = EMPTY if self.since is None and not counts.rows else SUCCESS


def check_whole(closed: Sequence[tuple[int, int]]) -> None:
    """Raises StreamError where ids between stretches, or before the first one, have not been read."""
    ends = [0, *(upto for _, upto in closed)]
    for end, (after, _) in zip(ends, closed, strict=False):
        if after > end:
            raise StreamError(
                f"The rows with ids from {end + 1} to {after} were not read",
                why="the stretches of ids that were read side by side do not meet",
                fix="run it again, and report this: it should never happen",
            )


def _done(earlier: Unfinished) -> Done:
    return Done(earlier.closed, earlier.rows, pace=float(earlier.facts.get("pace", 0)))


def fingerprint(selected: Selected, probe: Probe) -> str:
    """Stands for everything that was asked of a stream: if it differs, its bookmark does not hold and all is read.

    Part of it are the replication key, the parameters, the reader, the webhook's owner (whose rights filter the
    rows) and those of its scopes that matter to the stream.
    """
    stream = selected.found.stream
    asked = {
        "stream": stream.name,
        "method": stream.method,
        "params": dict(stream.params),
        "replication_key": selected.replication_key,
        "reader": READER,
        "owner": probe.owner,
        "scopes": sorted(probe.scopes.intersection(stream.scopes)),
    }
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def since(state: TableState | None, marked: int | None, selected: Selected, options: Options) -> datetime | None:
    """From when on a stream is read; None = in full."""
    if state is None or options.full or selected.sync_type != INCREMENTAL or not marked:
        return None
    return _moment(marked)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
