"""Commands of pages and chains, the judgement of their answers, lists, and the packing of requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.errors import LockedError, PagingError, RestError, RetryError, StreamError
from b24lake.portal import phpquery
from b24lake.portal.replies import Answer
from b24lake.reading.packing import WORTHWHILE, Want, fill
from b24lake.reading.paging import (
    Chain,
    FilterIgnoredError,
    Since,
    chain_commands,
    newest_command,
    next_offset,
    page_params,
    read_chain,
    rows_of,
)
from b24lake.reading.tasks import ListTask, task
from b24lake.reading.walk import PATIENCE
from b24lake.streams.definitions import STREAMS, Stream
from php_query import parse_query

DEALS, USERS, DEPARTMENTS = STREAMS["deals"], STREAMS["users"], STREAMS["departments"]
ITEMS = replace(DEALS, name="spa_128", method="crm.item.list", rows_at="items", key="id", params={"entityTypeId": 128})
SINCE = Since("DATE_MODIFY", datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            page_params(DEALS, 0, None, None),
            {"select": ["*", "UF_*"], "filter": {">ID": 0}, "order": {"ID": "ASC"}, "start": -1},
        ),
        (page_params(DEALS, 5, 9, None)["filter"], {">ID": 5, "<=ID": 9}),
        (page_params(DEALS, 5, None, SINCE)["filter"], {">ID": 5, ">=DATE_MODIFY": "2026-01-01T00:00:00+00:00"}),
        (page_params(DEALS, 0, None, None, descending=True)["order"], {"ID": "DESC"}),
        (page_params(USERS, 5, 9, None), {"FILTER": {">ID": 5, "<=ID": 9}, "sort": "ID", "order": "ASC", "start": -1}),
        (
            page_params(ITEMS, 5, None, None),
            {"entityTypeId": 128, "filter": {">id": 5}, "order": {"id": "ASC"}, "start": -1},
        ),
    ],
)
def test_a_page_is_asked_in_the_spelling_of_its_family(params: dict[str, Any], expected: dict[str, Any]) -> None:
    assert params == expected


@pytest.mark.parametrize(
    ("stream", "reference"),
    [(DEALS, "$result[c0][49][ID]"), (ITEMS, "$result[c0][items][49][id]"), (USERS, "$result[c0][49][ID]")],
)
def test_each_page_of_a_chain_begins_behind_the_last_row_of_the_page_before(stream: Stream, reference: str) -> None:
    commands = chain_commands(stream, Chain(7, 3), None, "c")
    queries = [parse_query(phpquery.command(*command).partition("?")[2]) for command in commands.values()]
    conditions = [query.get("filter") or query["FILTER"] for query in queries]
    assert list(commands) == ["c0", "c1", "c2"]
    assert [condition[f">{stream.key}"] for condition in conditions] == ["7", reference, reference.replace("c0", "c1")]
    assert {len(condition) for condition in conditions} == {1}
    assert {query["start"] for query in queries} == {"-1"}


def test_the_newest_ids_are_asked_without_the_other_columns() -> None:
    assert newest_command(DEALS, None).params["select"] == ["ID"]
    assert newest_command(DEALS, SINCE).params["filter"] == {">ID": 0, ">=DATE_MODIFY": SINCE.text}
    assert "select" not in newest_command(USERS, None).params


# --- judging a chain --------------------------------------------------------------------------------------------------


def rows(first: int, count: int = 50, **more: Any) -> Answer:
    return Answer([{"ID": str(key), **more} for key in range(first, first + count)])


FULL, HICCUP = rows(1), RetryError("hiccup")


@pytest.mark.parametrize(
    ("answers", "count", "reached", "finished", "wasted"),
    [
        ([rows(1, 0)], 0, 0, True, 0),
        ([rows(1, 49)], 49, 49, True, 0),
        ([FULL], 50, 50, False, 0),
        ([FULL, rows(51, 0)], 50, 50, True, 0),
        ([FULL, rows(51, 3), FULL, FULL], 53, 53, True, 2),
        ([FULL, rows(51)], 100, 100, False, 0),
        ([rows(1, 0), FULL], 0, 0, True, 1),
        ([Answer({"7": {"ID": 8}, "3": {"ID": "9"}})], 2, 9, True, 0),
        ([Answer({})], 0, 0, True, 0),
    ],
)
def test_a_chain_ends_on_its_first_short_page(
    answers: list[Answer], count: int, reached: int, finished: bool, wasted: int
) -> None:
    read = read_chain(DEALS, Chain(0, len(answers)), None, answers)
    assert (len(read.rows), read.reached, read.finished, read.wasted) == (count, reached, finished, wasted)
    assert read.problem is None


@pytest.mark.parametrize(
    ("answers", "count", "kind"),
    [
        ([FULL, Answer(missing=True), rows(101)], 50, RetryError),
        ([FULL, Answer(None)], 50, RetryError),
        ([FULL, Answer(error=HICCUP)], 50, RetryError),
        ([Answer(error=RestError("rest"))], 0, RestError),
        ([FULL, Answer(error=LockedError("no"))], 50, LockedError),
        ([FULL, FULL], 50, PagingError),
        ([FULL, rows(20)], 50, PagingError),
        ([rows(1, 51)], 0, PagingError),
        ([Answer([{"ID": "1"}, {"ID": "1"}])], 0, PagingError),
        ([Answer([{"ID": "2"}, {"ID": "1"}])], 0, PagingError),
        ([Answer([{"TITLE": "x"}])], 0, PagingError),
    ],
)
def test_what_comes_after_a_page_that_cannot_be_trusted_is_dropped(
    answers: list[Answer], count: int, kind: type
) -> None:
    read = read_chain(DEALS, Chain(0, len(answers)), None, answers)
    assert (len(read.rows), read.reached, read.finished) == (count, count, False)
    assert isinstance(read.problem, kind)


@pytest.mark.parametrize("result", [False, True, "", "text", 0, 5, ["x"], [[]], [None], {"a": 1}], ids=repr)
def test_a_result_that_is_no_list_of_records_is_never_taken_for_an_empty_page(result: Any) -> None:
    with pytest.raises(StreamError, match="not a list of records"):
        read_chain(DEALS, Chain(0, 1), None, [Answer(result)])


@pytest.mark.parametrize(
    ("stream", "result", "count"),
    [
        (DEALS, [{"ID": 1}], 1),
        (DEALS, [], 0),
        (ITEMS, {"items": [{"id": 1}]}, 1),
        (ITEMS, {"items": []}, 0),
        (ITEMS, {"items": {"5": {"id": 1}}}, 1),
        (ITEMS, [{"id": 1}], 1),
        (ITEMS, [], 0),
        (STREAMS["deal_fields"], {"ID": {"type": "integer"}, "UF": {}}, 2),
        (STREAMS["deal_fields"], [], 0),
    ],
)
def test_rows_are_found_where_the_stream_says(stream: Stream, result: Any, count: int) -> None:
    assert len(rows_of(stream, result)) == count


@pytest.mark.parametrize(
    ("moment", "ignored"),
    [
        ("2026-01-01T00:00:00+00:00", False),
        ("2026-01-01T03:00:00+03:00", False),
        ("2025-12-31T19:00:00-05:00", False),
        ("2026-01-01 03:00:00", False),
        ("2025-12-31T23:59:59+00:00", True),
        ("2026-01-01T02:59:59+03:00", True),
        ("2026-01-01 02:59:59", True),
        ("", True),
        (None, True),
        ({}, True),
        ("soon", True),
        ("01.01.2026 03:00:00", False),
        ("01.01.2026 02:59:59", True),
        ("0001-01-01 00:00:00", True),
    ],
)
def test_a_row_older_than_the_filter_shows_that_the_filter_was_ignored(moment: Any, *, ignored: bool) -> None:
    moscow = replace(SINCE, moment=SINCE.moment.astimezone(timezone(timedelta(hours=3))))
    read = read_chain(DEALS, Chain(0, 1), moscow, [rows(1, 2, DATE_MODIFY=moment)])
    assert isinstance(read.problem, FilterIgnoredError) is ignored
    assert read.finished is not ignored


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "size", "answer", "seen", "following"),
    [
        (0, 0, Answer(), 0, None),
        (0, 50, Answer(next=50, total=120), 50, 50),
        (0, 50, Answer(total=120), 50, 50),
        (0, 50, Answer(), 50, 50),
        (0, 50, Answer(total=50), 50, None),
        (0, 49, Answer(), 49, None),
        (0, 120, Answer(total=120), 120, None),
        (0, 120, Answer(total=200), 120, 100),
        (0, 100, Answer(), 100, 100),
        (50, 50, Answer(next=50), 100, 100),
        (100, 20, Answer(total=120), 120, None),
    ],
)
def test_the_next_page_by_position(start: int, size: int, answer: Answer, seen: int, following: int | None) -> None:
    assert next_offset(STREAMS["departments"], start, [{}] * size, answer, seen) == following


def read_list(stream: Stream, answers: list[Answer]) -> tuple[list[str], list[Any]]:
    """Keys in the order they came, and the `start` of each request."""
    one, keys, starts = task(stream, None), list[str](), list[Any]()
    while not one.finished:
        (want,) = one.wants(4)
        order = one.order(want.owner.stretch, want.pages, "c")
        assert one.wants(4) == []
        starts.append(next(iter(order.commands.values())).params.get("start"))
        found, closed = one.take(order, [answers.pop(0)])
        assert closed == ()
        keys += [row["ID"] for row in found]
    assert answers == []
    return keys, starts


def departments(first: int, count: int, **more: Any) -> Answer:
    return Answer([{"ID": str(key)} for key in range(first, first + count)], **more)


BUSY = Answer(error=RetryError("busy"))


@pytest.mark.parametrize(
    ("answers", "count", "starts"),
    [
        ([departments(1, 0)], 0, [0]),
        ([departments(1, 12, total=12)], 12, [0]),
        ([departments(1, 50, total=70, next=50), departments(51, 20, total=70)], 70, [0, 50]),
        ([departments(1, 50), departments(51, 0)], 50, [0, 50]),
        ([departments(1, 50), departments(1, 50)], 50, [0, 50]),
        ([departments(1, 50, next=50), departments(41, 50, next=100), departments(91, 3)], 93, [0, 50, 100]),
        ([BUSY, Answer(missing=True), Answer(None), departments(1, 3)], 3, [0] * 4),
        ([Answer(error=RestError("rest")), departments(1, 3)], 3, [0, 0]),
        (
            [BUSY] * (PATIENCE - 1) + [departments(1, 50, next=50)] + [BUSY] * (PATIENCE - 1) + [departments(51, 1)],
            51,
            ...,
        ),
    ],
)
def test_a_list_is_read_to_its_end_and_every_row_kept_once(answers: list[Answer], count: int, starts: Any) -> None:
    keys, asked = read_list(DEPARTMENTS, list(answers))
    assert keys == [str(key) for key in range(1, count + 1)]
    assert starts in (asked, ...)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([departments(1, 50, total=70, next=50), departments(1, 50, total=70)], "70 rows, but gives 50"),
        ([departments(1, 50, total=70), departments(51, 0, total=70)], "70 rows, but gives 50"),
        ([BUSY] * PATIENCE, "failed again and again"),
        ([Answer(missing=True)] * PATIENCE, "failed again and again"),
        ([Answer(error=LockedError("not for you"))], "not for you"),
        ([Answer("text")], "not a list of records"),
    ],
)
def test_a_list_that_is_cut_or_refused_fails_loudly(answers: list[Answer], says: str) -> None:
    with pytest.raises(StreamError, match=says):
        read_list(DEPARTMENTS, answers)


def test_a_list_that_got_lost_is_asked_again() -> None:
    one = ListTask(DEPARTMENTS)
    order = one.order(None, 1, "c")
    assert one.wants(1) == []
    one.lost(order)
    assert len(one.wants(1)) == 1


# --- packing ----------------------------------------------------------------------------------------------------------


def test_slow_pages_fill_a_request_by_the_seconds_they_take() -> None:
    wants = [Want("heavy", 50, seconds=2.0), Want("light", 50, seconds=0.1)]
    assert [(want.owner, pages) for want, pages in fill(wants, seconds=30.0)] == [("heavy", 15)]
    assert [(want.owner, pages) for want, pages in fill(wants[::-1], seconds=30.0)] == [("light", 50)]
    assert [(want.owner, pages) for want, pages in fill([Want("endless", 9, seconds=99.0)])] == [("endless", 1)]


@given(st.lists(st.tuples(st.integers(2, 50), st.integers(1, 2))), st.integers(1, 50))
def test_a_request_is_never_overfilled_and_the_first_want_is_served(sizes: list[tuple[int, int]], room: int) -> None:
    wants = [Want(number, pages, least) for number, (pages, least) in enumerate(sizes)]
    taken = fill(wants, room)
    assert sum(pages for _want, pages in taken) <= max(room, 2)
    assert [want.owner for want, _pages in taken] == sorted(want.owner for want, _pages in taken)
    for want, pages in taken:
        cut = pages < want.pages
        assert pages >= want.least
        assert not cut or want is taken[0][0] or pages >= min(room, WORTHWHILE)
    if wants and room == 50:
        assert taken[0] == (wants[0], wants[0].pages)
