"""What people do to one table: restore, retention, words; each in the audit trail, and by one person at a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from desk import NOW, Desk

from b24lake.control import audit, tables
from b24lake.control.audit import Actor
from b24lake.control.database import Database
from b24lake.errors import ConflictError, HeldError, UsageError
from b24lake.lake import retention
from b24lake.lake.catalog import opened
from b24lake.lake.columns import comment
from b24lake.lake.retention import Kept
from b24lake.lake.table import schema_of, table_path
from b24lake.sync.home import Home, lock_name
from written import write

DAY = timedelta(days=1)
NAME = "raw.deals"


@pytest.fixture
def desk(database: Database, home: Home, tmp_path: Path) -> Desk:
    """A table of two reads."""
    desk = Desk(database, home, tmp_path / "lake", Actor("ben", NOW))
    write(desk.lake, {1: "one", 2: "two"}, "run-1", mark=100)
    write(desk.lake, {1: "one", 2: "new", 3: "three"}, "run-2", mark=200)
    return desk


def path(desk: Desk) -> Path:
    found = table_path(desk.lake, "raw", "deals")
    assert isinstance(found, Path)
    return found


def newest(desk: Desk) -> int:
    return int(opened(path(desk)).version())


def noted(desk: Desk) -> list[tuple[str, str, str, dict[str, Any]]]:
    return [(one.who, one.action, one.object, one.detail) for one in audit.entries(desk.database)]


def of(desk: Desk) -> tuple[Database, Any, Actor, str]:
    return desk.database, desk.here, desk.actor, NAME


def test_a_restore_is_done_noted_and_named(desk: Desk) -> None:
    before = newest(desk)
    done = tables.restore(*of(desk), 0, newest=before)
    assert done.version == before + 1
    assert sorted(opened(path(desk)).to_pyarrow_table().column("TITLE").to_pylist()) == ["one", "two"]
    assert noted(desk) == [("ben", "restored", "table raw.deals", {"version": 0, "as": before + 1})]


def test_a_restore_rests_on_what_was_seen_and_on_what_can_be_read(desk: Desk) -> None:
    before = newest(desk)
    write(desk.lake, {1: "later"}, "run-3", mark=300)
    after = newest(desk)
    with pytest.raises(ConflictError, match=rf"newest version is {after}, and was {before} when you looked"):
        tables.restore(*of(desk), 0, newest=before)
    for file in path(desk).glob("part-run-1-*"):
        file.unlink()
    with pytest.raises(UsageError, match=r"Version 0 of raw\.deals cannot be read any more"):
        tables.restore(*of(desk), 0, newest=after)
    assert (newest(desk), noted(desk)) == (after, [])


def test_nothing_is_done_while_a_run_holds_the_table(desk: Desk) -> None:
    before = newest(desk)
    kept = retention.kept(opened(path(desk)))
    with desk.home.ready().lock(f"table-{lock_name(path(desk))}", "the table raw.deals"):
        for act in (
            lambda: tables.restore(*of(desk), 0, newest=before),
            lambda: tables.keep(*of(desk), Kept(5 * DAY, 9 * DAY), seen=kept),
            lambda: tables.describe(*of(desk), "Ours", seen=""),
            lambda: tables.describe_columns(*of(desk), {"TITLE": "Ours"}, seen={}),
        ):
            with pytest.raises(HeldError, match=r"Another run holds the table raw\.deals"):
                act()
    assert (newest(desk), noted(desk)) == (before, [])


def test_retention_is_set_once_and_by_who_saw_what_it_was(desk: Desk) -> None:
    seen, wanted = retention.kept(opened(path(desk))), Kept(5 * DAY, 9 * DAY)
    assert tables.keep(*of(desk), wanted, seen=seen)
    assert retention.kept(opened(path(desk))) == wanted
    assert not tables.keep(*of(desk), wanted, seen=seen)  # somebody else wants the same: well
    with pytest.raises(ConflictError, match="changed by somebody else"):
        tables.keep(*of(desk), Kept(6 * DAY, 9 * DAY), seen=seen)
    with pytest.raises(UsageError, match="retention of the files cannot be so long"):
        tables.keep(*of(desk), Kept(6 * DAY, 9999 * DAY), seen=wanted)
    assert noted(desk) == [("ben", "changed", "table raw.deals", {"log_days": 5, "file_days": 9})]


def test_descriptions_are_written_once_and_by_who_saw_what_they_were(desk: Desk) -> None:
    assert tables.describe(*of(desk), "All deals", seen="")
    assert not tables.describe(*of(desk), "All deals", seen="")
    with pytest.raises(ConflictError, match="its description is not the one that you saw"):
        tables.describe(*of(desk), "Some deals", seen="")
    assert opened(path(desk)).metadata().description == "All deals"
    assert tables.describe_columns(*of(desk), {"TITLE": "Name", "SUM": ""}, seen={}) == ("TITLE",)
    with pytest.raises(ConflictError, match="what is said of TITLE is not what you saw"):
        tables.describe_columns(*of(desk), {"TITLE": "Other", "SUM": "Net"}, seen={"TITLE": ""})
    assert comment(schema_of(opened(path(desk))).field("SUM")) == ""
    assert tables.describe_columns(*of(desk), {"TITLE": "Other"}, seen={"TITLE": "Name"}) == ("TITLE",)
    assert [each[1:] for each in noted(desk)] == [
        ("described", "table raw.deals", {"columns": {"TITLE": "Other"}}),
        ("described", "table raw.deals", {"columns": {"TITLE": "Name"}}),
        ("described", "table raw.deals", {"description": "All deals"}),
    ]


def test_the_sources_that_write_a_table_are_found(desk: Desk, tmp_path: Path) -> None:
    desk.make("crm", "deals", "contacts")
    desk.make("far", "deals", prefix="crm_", lake=str(tmp_path / "elsewhere"))
    desk.make("other", "leads", prefix="crm_")
    found = tables.writers(desk.database, desk.here, table_path(desk.lake, "raw", "crm_deals"))
    assert tables.writers(desk.database, desk.here, path(desk)) == []
    assert [(source.id, stream) for source, stream in found] == [("crm", "deals")]
