"""Random runs of one portal into one lake, each held against the model; the seed decides what happens."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from judged_tables import (
    began,
    bookmark_of,
    check_equal,
    check_mixed,
    check_tidy,
    check_versions,
    moment,
    rows_of,
    staged,
    version_of,
)
from model import Read, Result, Rows, Run, Table, TooManyGoneError, full, merge
from portal_changes import Changes
from portal_reads import CHILDREN, INCREMENTAL, LOG, STREAMS, Portal, changed, going
from wanted_runs import Wanted, Wishes, thrown

from b24lake.errors import B24LakeError
from b24lake.sandbox import Server
from b24lake.sync.report import RunReport, StreamReport
from running import Lake, command, environment

OF_TABLE = {"deals": ("deals", "deal_comments", "deal_products")}  # streams in which a change of a table shows


@dataclass(frozen=True)
class Seen:
    """What a run saw of a stream: a read, the portal's clock, and of one that was cut off when its run began."""

    read: Read
    clock: datetime
    starts: frozenset[datetime] = frozenset()


@dataclass
class Story:
    """A portal, a lake, what the tables should be, and what has happened so far."""

    server: Server
    lake: Lake
    clock: list[float]
    seed: int
    wishes: Wishes = field(default_factory=Wishes)
    tables: dict[str, Table] = field(default_factory=dict)
    begun: dict[str, list[Seen]] = field(default_factory=dict)  # reads that were cut off since the last commit
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.portal = Portal(self.server)
        self.changes = Changes(self.server.portal, self.clock, self.dice)
        self.streams = tuple(sorted(self.dice.sample(STREAMS, self.dice.randint(4, len(STREAMS)))))

    def go(self, runs: int) -> None:
        """Change something and run, so many times. Raises AssertionError that tells the story."""
        try:
            for number in range(runs):
                self._between()
                wanted = thrown(self.dice, self.wishes, self.streams)
                self.told.append(f"{number + 1}. {wanted}")
                self._run(wanted)
        except Exception as error:
            lines = [f"seed {self.seed}:", *self.told, f"{type(error).__name__}: {error}"]
            raise AssertionError("\n".join(lines)) from error

    # --- what happens

    def _between(self) -> None:
        for _change in range(self.dice.choice([0, 1, 2, 4, 8])):
            self.told.append(f"   {self.changes.some()}")
        if self.dice.random() < 0.2:
            self.wishes = self.wishes.changed(self.dice)

    def _run(self, wanted: Wanted) -> None:
        for bucket in self.lake.home.rglob("*.bucket"):
            bucket.unlink()  # the next run is much later
        before = self._seen(wanted)
        versions = {stream: version_of(self.path(stream)) for stream in wanted.streams}
        if wanted.fault:
            self.server.portal.fault(**wanted.fault)
        for step in wanted.churn:
            self.server.portal.plan(**step)
        report = self._ended(wanted) if wanted.end else self._synced(wanted)
        self.server.portal.mend()
        after = self._churned(wanted)
        for stream, seen in before.items():
            try:
                if wanted.end:
                    self._check_ended(stream, seen, wanted, versions[stream])
                else:
                    self._check(stream, [seen, *after.get(stream, ())], wanted, report, versions[stream])
            except AssertionError as error:
                raise AssertionError(f"{stream}: {error}") from error

    def _seen(self, wanted: Wanted) -> dict[str, Seen]:
        return {one: Seen(self.portal.read(one, wanted.wishes.asked), self._now()) for one in wanted.streams}

    def _churned(self, wanted: Wanted) -> dict[str, list[Seen]]:
        """What the portal has now, of the streams in which something happened during the run."""
        churn = self.server.portal.churn
        for done in churn.log:
            self.told.append(f"   {done.do} {done.table} {done.id} after {done.requests} requests")
            if done.do == "delete":
                self.changes.gone.setdefault(done.table, []).append(done.id)
        touched = {stream for done in churn.log for stream in OF_TABLE.get(done.table, (done.table,))}
        churn.clear()
        return {one: [seen] for one, seen in self._seen(wanted).items() if one in touched} if touched else {}

    def _synced(self, wanted: Wanted) -> RunReport | None:
        try:
            report = self.lake.sync(self.server.url, *wanted.streams, **wanted.options)
        except B24LakeError as error:
            assert wanted.fault, error
            self.told.append(f"   it stopped: {error}")
            return None
        states = {line.name: line.status for line in report.streams if line.status not in {"success", "empty"}}
        self.told.append(f"   {report.status} {states or ''} {' / '.join(report.notes)}")
        return report

    def _ended(self, wanted: Wanted) -> None:
        """Run in a process of its own, and end it at some moment; it may have come to its end before."""
        sandbox, words = self.server.portal, command(*wanted.words(self.server.url))
        sandbox.set(page_ms=self.dice.choice([0.0, 2.0, 8.0]))
        after, later = self.dice.randint(1, 14), self.dice.choice([0.0, 0.01, 0.05, 0.1, 0.2])
        before = sandbox.counters.requests
        run = subprocess.Popen(words, env=environment(self.lake), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while run.poll() is None and sandbox.counters.requests < before + after:
            time.sleep(0.003)
        time.sleep(later)
        run.send_signal(signal.SIGKILL if wanted.end == "killed" else signal.SIGINT)
        out, err = run.communicate(timeout=60)
        sandbox.set(page_ms=0.0)
        self.told.append(f"   it ended with {run.returncode} after {sandbox.counters.requests - before} requests")
        if run.returncode not in {-signal.SIGKILL, 0}:
            assert run.returncode in {1, 3, 130}, err.decode()
            assert json.loads(out)["status"] in {"canceled", "failed", "partial"}, out

    # --- what should have come of it

    def path(self, stream: str) -> Path:
        return Path(self.lake.table(stream))

    def _now(self) -> datetime:
        """The portal's clock, in its answers' seconds."""
        return datetime.fromtimestamp(int(self.clock[0]), UTC)

    def _expected(self, stream: str, seen: Seen, wanted: Wanted, at: datetime) -> tuple[Result, int]:
        """What a run makes of a table, and how many rows it reads. Raises TooManyGoneError where it must not."""
        table, wishes, read = self.tables.get(stream), wanted.wishes, seen.read
        merged = stream in INCREMENTAL and stream not in wishes.whole
        asked = wishes.asked.of(stream)
        holds = table is not None and merged and not wanted.full and table.asked == asked
        since = table.since if table is not None and holds else None
        mark: Any = seen.clock - wishes.overlap if stream in INCREMENTAL else None
        if stream == LOG:
            mark = max([since or 0, *read.rows])
        run = Run(at, asked, mark, wishes.deleted if merged else "remove", wanted.accept)
        if not since or table is None:
            return full(table, read, run), len(read.rows)
        part = changed(stream, read, wishes.asked.key(stream), since)
        return merge(table, part, run, going(stream, table, read, since, run.policy)), len(part.rows)

    def _mixed(self, stream: str, seen: Sequence[Seen], wanted: Wanted, at: datetime) -> Table:
        """The table of a run that saw its portal at several moments: before and after changes, or where it was cut off.

        What has moved since the first of them must be as at the last one, where only one run was under way.
        """
        results = [self._expected(stream, each, wanted, at)[0].table for each in seen]
        if wanted.churn and stream in CHILDREN and stream in self.tables:  # of a deal that is gone they stay
            results.insert(0, self.tables[stream])
        key = wanted.wishes.asked.key(stream)
        must = changed(stream, seen[-1].read, key, min(each.clock for each in seen)).rows if key else {}
        starts = {at}.union(*(each.starts for each in seen))
        marks = {each.clock - wanted.wishes.overlap for each in seen} if stream in INCREMENTAL else set()
        return check_mixed(
            self.path(stream), self.tables.get(stream), results, must if not wanted.churn else (), starts, marks
        )

    def _check(self, stream: str, seen: Sequence[Seen], wanted: Wanted, report: RunReport | None, before: Any) -> None:
        """One table after a run that came to its end; `seen` is what the portal had, first and last."""
        line = next((line for line in report.streams if line.name == stream), None) if report else None
        try:
            result, count = self._expected(stream, seen[-1], wanted, report.started_at if report else self._now())
        except TooManyGoneError:
            assert line is None or line.status != "success", "so many rows must not go"
            assert wanted.fault or "--accept-deletions" in (line.error if line else ""), line
            result, count = None, 0
        path, error = self.path(stream), line.error if line else "it stopped"
        if report is None or result is None or line is None or line.status not in {"success", "empty"}:
            back = stream in self.begun and "came back while they were read" in (error or "")
            assert result is None or wanted.fails or back, error
            self._check_untouched(stream, before)
            self._left(stream, seen[-1])
            return
        earlier = self.begun.get(stream, []) if goes_on(stream, report) else []
        if earlier or len(seen) > 1:
            self.tables[stream] = self._mixed(stream, [*earlier, *seen], wanted, report.started_at)
        else:
            check_equal(path, result.table)
            check_versions(path, before, [self._rows_before(stream), result.table.rows])
            assert (version_of(path) != before) == result.written, f"version {before} became {version_of(path)}"
            check_report(line, result, count)
            self.tables[stream] = result.table
        self.begun.pop(stream, None)
        check_tidy(path)

    def _rows_before(self, stream: str) -> Rows:
        return self.tables[stream].rows if stream in self.tables else {}

    def _check_untouched(self, stream: str, before: int | None) -> None:
        assert version_of(self.path(stream)) == before
        if before is not None:
            check_equal(self.path(stream), self.tables[stream])

    def _left(self, stream: str, seen: Seen) -> None:
        """Remember what a read that was cut off could see, if it has left something."""
        runs = staged(self.path(stream))
        if runs:
            starts = frozenset(moment(run.removesuffix("-newer").removesuffix("-again")) for run in runs)
            self.begun.setdefault(stream, []).append(replace(seen, starts=starts))

    def _check_ended(self, stream: str, seen: Seen, wanted: Wanted, before: int | None) -> None:
        """A run that was ended from outside has committed the table, or has not."""
        path = self.path(stream)
        if version_of(path) == before:
            self._check_untouched(stream, before)
            self._left(stream, seen)
            return
        at = began(path)
        result, _ = self._expected(stream, seen, wanted, at)
        if result.altered is not None and rows_of(path) == (dict(result.altered.columns), result.altered.rows):
            self.told.append(f"   {stream} has new columns alone")
            self.tables[stream] = replace(result.altered, since=bookmark_of(path))
            self._left(stream, seen)
            return
        self.tables[stream] = self._mixed(stream, [*self.begun.pop(stream, []), seen], wanted, at)
        self.told.append(f"   {stream} was committed")


def goes_on(stream: str, report: RunReport) -> bool:
    """Whether a run went on with one that was cut off."""
    return any(note.startswith(f"{stream}: goes on behind") for note in report.notes)


def check_report(line: StreamReport, result: Result, count: int) -> None:
    """The run told what it did."""
    assert line.rows_read == count, f"{line.rows_read} rows were read, should be {count}"
    found = line.rows_inserted, line.rows_updated, line.rows_deleted
    wanted = result.inserted, result.updated, result.deleted
    assert found == wanted, f"inserted, updated, deleted: {found}, should be {wanted}"
    kinds = {"widened": "retyped"}
    told = {(kinds.get(each["kind"], each["kind"]), each["column"]) for each in line.schema_changes}
    assert told == result.told, f"told of columns {sorted(told)}, should be {sorted(result.told)}"
    since = result.table.since
    shown = (since.isoformat() if isinstance(since, datetime) else str(since)) if since else None
    assert line.bookmark == shown, f"bookmark {line.bookmark}, should be {shown}"
