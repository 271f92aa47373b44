"""The versions of a table: which ones there are, which can be read, and which one a person means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from lake_rows import Deals, rows

from b24lake.errors import StreamError, UsageError
from b24lake.lake.catalog import describe, opened
from b24lake.lake.log import Files, LogCommit, applications, needed
from b24lake.lake.versions import VersionInfo, as_of, history, parsed_moment, spans

DAY = datetime(2026, 10, 20, tzinfo=UTC)


def version(number: int, *, hours: int = 0, readable: bool = True) -> VersionInfo:
    at = DAY + timedelta(hours=hours)
    return VersionInfo(number, at, "WRITE", "run", None, None, None, readable=readable)


KNOWN = (version(7, hours=30), version(6, hours=20), version(5, hours=10, readable=False), version(4))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("7", 7),
        ("006", 6),
        ("2026-10-20", 4),
        ("2026-10-20T09:59:59", 4),
        ("2026-10-20T20:00", 6),
        ("2026-10-20T22:00+02:00", 6),
        ("2026-10-21T05:59:59Z", 6),
        ("2030-01-01", 7),
    ],
)
def test_a_version_is_meant_by_its_number_or_by_a_time(wanted: str, found: int) -> None:
    assert as_of(KNOWN, wanted, "raw.deals").version == found


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("5", r"Version 5 of raw\.deals cannot be read any more.*choose one that can: 4, 6 to 7"),
        ("2026-10-20T12:00", "Version 5 of"),
        ("8", r"no version 8 of raw\.deals.*its log knows 4 to 7"),
        ("3", "no version 3"),
        (
            "2026-10-19T23:59:59",
            "does not go back to 2026-10-19 23:59:59 UTC.*begins with version 4, .*2026-10-20 00:00",
        ),
        ("yesterday", "'yesterday' is neither a version nor a time"),
        ("-1", "neither a version nor a time"),
        ("²", "neither a version nor a time"),
        ("", "neither a version nor a time"),
    ],
)
def test_a_version_that_there_is_not_is_refused(wanted: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        as_of(KNOWN, wanted, "raw.deals")


def test_a_time_without_a_zone_is_utc() -> None:
    assert parsed_moment("2026-10-20 12:00") == datetime(2026, 10, 20, 12, tzinfo=UTC)
    assert parsed_moment("2026-10-20T12:00-03:00") == datetime(2026, 10, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("versions", "said"), [([], "none"), ([3], "3"), ([5, 3, 4], "3 to 5"), ([9, 1, 2, 7], "1 to 2, 7, 9")]
)
def test_versions_are_told_in_spans(versions: list[int], said: str) -> None:
    assert spans(versions) == said


NAMES = st.frozensets(st.sampled_from("abcdefgh"), max_size=6)


@given(states=st.lists(NAMES, min_size=1, max_size=8), there=NAMES, base=st.integers(0, 3))
def test_a_version_can_be_read_while_its_files_and_its_part_of_the_log_are_there(
    states: list[frozenset[str]], there: frozenset[str], base: int
) -> None:
    commits = [
        LogCommit(number, added=after - before, removed=before - after)
        for number, (before, after) in enumerate(zip([frozenset[str](), *states], states, strict=False))
    ]
    begin = min(base, len(states) - 1)
    files = Files(
        there, frozenset(range(len(states))) - {0 if begin else -1}, {begin: ("checkpoint",)} if begin else {}
    )
    found = needed(commits[::-1], states[-1], files)
    for number, state in enumerate(states):
        assert found[number].missing == state - there
        assert found[number].readable == (number >= begin and state <= there)
        if number >= begin:
            assert found[number].files == state


def test_the_history_says_what_each_commit_did(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]), mark=1)
    deals.merge(rows([3, 4], title="new", run=1), mark=2)
    deals.full(rows([4, 5], run=2), mark=3)
    deals.delta().alter.set_table_description("Deals")
    told = [(one.version, one.did, one.run_id, one.inserted, one.updated, one.deleted) for one in known(deals)]
    assert told == [
        (4, "UPDATE TABLE METADATA", "", None, None, None),
        (3, "full read", "run-3", 1, 1, 3),
        (2, "changes read", "run-2", 1, 1, 0),
        (1, "properties", "run-1", None, None, None),
        (0, "first read", "run-1", 3, None, 0),
    ]
    assert [one.version for one in history(deals.path, opened(deals.path), 2)] == [4, 3]
    assert all(one.readable for one in known(deals))


def known(deals: Deals) -> tuple[VersionInfo, ...]:
    return history(deals.path, opened(deals.path))


def test_the_history_of_an_earlier_version_ends_with_it(deals: Deals) -> None:
    for ids in ([1], [1, 2], [1, 2, 3]):
        deals.full(rows(ids))
    details = describe(deals.lake, "bitrix24_deals", "2")
    assert (details.info.version, details.info.rows, details.info.run_id) == (2, 2, "run-2")
    assert [one.version for one in details.versions] == [2, 1, 0]
    moment = next(one.at for one in known(deals) if one.version == 2)
    assert describe(deals.lake, "bitrix24_deals", moment.isoformat()) == details


def test_a_version_whose_file_is_gone_is_shown_as_such(deals: Deals) -> None:
    deals.full(rows([1]))
    (old,) = deals.delta().file_uris()
    deals.full(rows([2]))
    deals.merge(rows([3]))
    (deals.path / old.rpartition("/")[2]).unlink()
    assert {one.version: one.readable for one in known(deals)} == {3: True, 2: True, 1: False, 0: False}
    with pytest.raises(UsageError, match=r"Version 1 .* cannot be read any more.*can: 2 to 3"):
        describe(deals.lake, "bitrix24_deals", "1")


def test_a_table_of_another_program_has_a_history(deals: Deals) -> None:
    path = deals.lake / "trusted" / "report"
    data = pa.table({"day": ["a", "b"], "n": [1, 2]})
    write_deltalake(str(path), data, partition_by=["day"])
    write_deltalake(str(path), data.slice(1), mode="overwrite")
    found = history(path, opened(path))
    assert [(one.version, one.did, one.readable, one.run_id) for one in found] == [
        (1, "WRITE", True, ""),
        (0, "WRITE", True, ""),
    ]


def test_a_version_that_only_a_checkpoint_leads_to_can_be_read(deals: Deals) -> None:
    for ids in ([1], [1, 2], [1, 2, 3]):
        deals.full(rows(ids))
    DeltaTable(str(deals.path), version=2).create_checkpoint()
    for number in (0, 1):
        (deals.path / "_delta_log" / f"{number:020}.json").unlink()
    assert {one.version: one.readable for one in known(deals)} == {3: True, 2: True}
    (deals.path / "_delta_log" / f"{2:020}.checkpoint.parquet").rename(
        deals.path / "_delta_log" / f"{3:020}.checkpoint.parquet"
    )
    assert {one.version: one.readable for one in known(deals)} == {3: True, 2: False}


def test_the_bookmarks_that_ever_were_are_found_in_log_and_checkpoint(deals: Deals) -> None:
    deals.full(rows([1]), mark=5)
    before = applications(deals.delta())
    assert "b24lake/time/asked" in before
    deals.delta().create_checkpoint()
    (deals.path / "_delta_log" / f"{0:020}.json").unlink()
    assert applications(deals.delta()) == before


def test_a_broken_log_is_a_clear_error(deals: Deals) -> None:
    deals.full(rows([1]))
    state = opened(deals.path)
    (deals.path / "_delta_log" / f"{1:020}.json").write_text("{")
    with pytest.raises(StreamError, match=r"bitrix24_deals/? cannot be read.*commit 1 in its log is damaged"):
        history(deals.path, state)
