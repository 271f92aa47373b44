"""One stream of one run: where its rows go, from when on it reads, and how its rows become a version."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from b24lake.lake.columns import SYNCED_AT
from b24lake.lake.keys import Deletions
from b24lake.lake.merging import commit_merge
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staging
from b24lake.lake.table import Bookmark, Commit, Counts, Owner, TableState
from b24lake.portal.probe import Probe
from b24lake.reading.decode import SCHEMA_TAIL
from b24lake.reading.reader import Rows
from b24lake.reading.schedule import Ask, Stats
from b24lake.streams.fields import MOMENT, schema
from b24lake.streams.selection import INCREMENTAL, Selected
from b24lake.sync.options import Options
from b24lake.sync.report import EMPTY, SUCCESS, StreamReport

READER = "classic"


@dataclass(slots=True)
class Job:
    """A stream on its way into its table.

    since    the bookmark it reads from; None = in full
    started  when the run began, by this machine's clock
    clock    the portal's time when the run began, in case its answers carry none
    """

    selected: Selected
    path: Path
    owner: Owner
    fingerprint: str
    since: datetime | None
    run_id: str
    started: datetime
    clock: datetime
    report: StreamReport
    staging: Staging | None = field(default=None)

    @property
    def ask(self) -> Ask:
        """What to read."""
        found = self.selected.found
        return Ask(found.stream, found.columns, self.selected.replication_key, self.since)

    def take(self, rows: Rows) -> None:
        """Stage a batch, with the time of this run beside each row."""
        synced = pa.repeat(pa.scalar(self.started, MOMENT), rows.batch.num_rows)
        self._staged().add(rows.batch.append_column(SYNCED_AT, synced), rows.closed)

    def discard(self) -> None:
        """Remove what was staged."""
        if self.staging is not None:
            self.staging.discard()
            self.staging = None

    def commit(self, stats: Stats, options: Options) -> None:
        """Everything has been read: make it visible, as one version, with the bookmark."""
        staged = self._staged().close()
        commit = Commit(self.run_id, self._bookmark(stats, options), self._metadata(stats))
        if self.since is None:
            deletions = Deletions(self._policy(options), options.accept_deletions, at=self.started)
            counts = commit_full(self.path, self.owner, staged, commit, deletions=deletions)
        else:
            counts = commit_merge(self.path, self.owner, staged, commit)
        self.staging = None
        self._note(counts, commit.bookmark)

    def _policy(self, options: Options) -> Any:
        """A FULL_TABLE stream always shows the current state; only an INCREMENTAL one may keep what is gone."""
        return options.deleted if self.selected.sync_type == INCREMENTAL else "remove"

    def _staged(self) -> Staging:
        if self.staging is None:
            declared = [*schema(self.selected.found.columns), *SCHEMA_TAIL, pa.field(SYNCED_AT, MOMENT)]
            self.staging = Staging(
                self.path,
                self.run_id,
                self.selected.found.stream.key,
                [key for key in [self.selected.replication_key] if key],
                schema=pa.schema(declared),
                spool=self.since is not None,
            )
        return self.staging

    def _bookmark(self, stats: Stats, options: Options) -> Bookmark | None:
        """The portal's clock when the first page was asked, minus the overlap; None for streams without a key."""
        if self.selected.replication_key is None:
            return None
        moment = (stats.started or self.clock) - options.overlap
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
