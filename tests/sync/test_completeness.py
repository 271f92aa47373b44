"""A full read is held against the portal's own count: what is missing makes the stream fail, never the table short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from b24lake.errors import StreamError
from b24lake.reading.steps import check_whole
from b24lake.sandbox import Server
from running import Lake


def test_rows_that_the_portal_counts_but_does_not_give_fail_the_stream(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve(deals=3_000)
    server.portal.fault("hidden_rows", method="crm.deal.list", rate=0.01)
    report = lake.sync(server.url, "deals", "users")
    deals, users = report.streams
    assert (report.status, deals.status, users.status) == ("partial", "failed", "success")
    assert deals.portal_total == 3_000
    assert deals.error is not None
    assert "counts 3,000 rows, but gave 2,9" in deals.error
    assert not Path(lake.table("deals")).exists()


def test_rows_deleted_while_they_are_read_are_explained(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=3_000)
    server.portal.plan(do="delete", table="deals", id=2, after=4)
    server.portal.plan(do="create", table="deals", after=4)
    report = lake.sync(server.url, "deals")
    (deals,) = report.streams
    assert report.status == "success"
    assert (deals.rows_read, deals.portal_total) in {(3_000, 2_999), (3_001, 2_999)}
    assert "were created or deleted" in report.notes[0]


@pytest.mark.parametrize("kind", ["missing_keys", "internal_error"])
def test_a_portal_that_does_not_count_is_believed(serve: Callable[..., Server], lake: Lake, kind: str) -> None:
    server = serve(deals=100)
    server.portal.fault(kind, method="crm.deal.list", after=2)  # the page and the newest id come, nothing else
    server.portal.set(count_minus_one=False)
    report = lake.sync(server.url, "deals")
    (deals,) = report.streams
    if deals.status == "success":
        assert (deals.rows_read, deals.portal_total) == (100, None)
    else:
        assert deals.error is not None


def test_what_changed_since_is_not_counted(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=100)
    assert lake.sync(server.url, "deals").streams[0].portal_total == 100
    server.portal.change("deals", 2, {"TITLE": "changed"})
    (deals,) = lake.sync(server.url, "deals").streams
    assert (deals.rows_read, deals.portal_total) == (1, None)


@pytest.mark.parametrize(
    ("closed", "missing"),
    [
        ((), None),
        (((0, 7),), None),
        (((3, 7),), "1 to 3"),
        (((0, 7), (9, 12)), "8 to 9"),
    ],
)
def test_stretches_that_do_not_meet_are_never_committed(
    closed: tuple[tuple[int, int], ...], missing: str | None
) -> None:
    if missing is None:
        check_whole(closed)
        return
    with pytest.raises(StreamError, match=f"ids from {missing} were not read"):
        check_whole(closed)
