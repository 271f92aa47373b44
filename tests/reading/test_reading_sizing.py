"""What the probes ask, and what is made of their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from b24lake.errors import OverlongError, RestError, RetryError, StreamError
from b24lake.portal.replies import Answer, Timing
from b24lake.reading.paging import PAGE
from b24lake.reading.schedule import Ask
from b24lake.reading.sizing import COUNTABLE, ROUNDS, Probe, Question, Sizing
from b24lake.streams.definitions import STREAMS

NOW = 1_800_000_000.0
DEALS, STATUSES, FIELDS = (Ask(STREAMS[name], ()) for name in ("deals", "status_list", "deal_fields"))
CHANGED = replace(DEALS, replication_key="DATE_MODIFY", since=datetime(2026, 1, 1, tzinfo=UTC))


def rows(ids: Sequence[int], **fields: str) -> list[dict[str, Any]]:
    return [{"ID": str(key), **fields} for key in ids]


def answers(question: Question, *contents: Any, seconds: float = 0.5) -> dict[str, Answer]:
    """The answers to a question's commands in order: rows, an error, or None for one that is missing."""
    made = {}
    for key, content in zip(question.commands, contents, strict=True):
        if isinstance(content, Answer):
            made[key] = content
        elif isinstance(content, Exception):
            made[key] = Answer(error=content)  # type: ignore[arg-type]
        else:
            made[key] = Answer(content, timing=Timing(seconds), missing=content is None)
    return made


def first(ask: Ask, *contents: Any) -> tuple[Sizing, Probe]:
    """A sizing behind its first round, and its one probe."""
    sizing = Sizing([ask])
    (question,) = sizing.firsts()
    sizing.take_firsts(question, answers(question, *contents))
    return sizing, sizing.probes[ask.stream.name]


def methods(question: Question) -> list[str]:
    return [command.method for command in question.commands.values()]


def params(question: Question) -> list[Mapping[str, Any]]:
    return [command.params for command in question.commands.values()]


def test_a_stream_is_asked_for_its_first_page_and_its_newest_ids_uncounted() -> None:
    (question,) = Sizing([DEALS]).firsts()
    assert methods(question) == ["crm.deal.list"] * 2
    assert [one["start"] for one in params(question)] == [-1, -1]
    assert params(question)[1]["order"] == {"ID": "DESC"}


def test_eight_streams_share_a_request() -> None:
    asks = [Ask(stream, ()) for stream in STREAMS.values()]
    assert [len(question.about) for question in Sizing(asks).firsts()] == [8, 8, len(asks) - 16]


@pytest.mark.parametrize("count", [0, 1, 49, 60, 100])
def test_what_two_pages_show_is_not_counted(count: int) -> None:
    ids = range(10, 10 + count)
    sizing, probe = first(DEALS, rows(ids[:PAGE]), rows(ids[::-1][:PAGE]))
    assert probe.size is not None
    assert (probe.size.rows, probe.size.counted) == (count, True)
    assert sizing.counts() == sizing.firsts() == []


def large(asked: Ask = DEALS) -> tuple[Sizing, Probe, Question]:
    sizing, probe = first(asked, rows(range(2, 102, 2)), rows(range(200_000, 199_900, -2)))
    (question,) = sizing.counts()
    return sizing, probe, question


def test_more_rows_are_counted_and_two_pages_amid_them_are_looked_at() -> None:
    sizing, probe, question = large()
    counted, *amid = params(question)
    assert (counted["start"], counted["select"]) == (0, ["ID"])
    assert [one["start"] for one in amid] == [-1, -1]
    total = Answer(rows([2]), total=77_777, timing=Timing(2.0))
    sizing.take_counts(question, answers(question, total, *[rows(range(9000, 9050))] * 2, seconds=0.1))
    assert probe.size is not None
    assert (probe.size.rows, probe.size.counted) == (77_777, True)
    assert (probe.size.seconds, probe.size.total) == (0.1, 2.0)


@pytest.mark.parametrize("count", [RestError("blocked"), OverlongError("60 s"), None, rows([2])])
def test_where_it_is_not_counted_the_density_of_ids_tells(count: Any) -> None:
    sizing, probe, question = large()
    sizing.take_counts(question, answers(question, count, None, None))
    assert probe.size is not None
    assert not probe.size.counted
    assert probe.size.rows == pytest.approx(100_000, rel=0.01)


def test_without_newest_ids_and_without_a_total_a_stream_is_unknown() -> None:
    sizing, probe = first(DEALS, rows(range(1, 51)), rows([5, 7, 6]))
    (question,) = sizing.counts()
    sizing.take_counts(question, answers(question, None))
    assert probe.size is None
    assert "total" in str(probe.failure)


def test_very_many_rows_are_counted_in_a_request_of_their_own() -> None:
    asks = [Ask(STREAMS[name], ()) for name in ("deals", "leads", "contacts")]
    sizing = Sizing(asks)
    (question,) = sizing.firsts()
    newest = rows(range(COUNTABLE - 100, COUNTABLE - 150, -1))
    sizing.take_firsts(question, answers(question, *[rows(range(1, 51)), newest] * 3))
    assert [len(one.about) for one in sizing.counts()] == [1, 1, 1]


def test_changes_are_counted_with_their_filter() -> None:
    fields = {"DATE_MODIFY": "2026-02-01T00:00:00+00:00"}
    sizing, _ = first(CHANGED, rows(range(1, 51), **fields), rows(range(2000, 1950, -1), **fields))
    (question,) = sizing.counts()
    assert all(one["filter"][">=DATE_MODIFY"] == "2026-01-01T00:00:00+00:00" for one in params(question))


def test_a_filter_that_is_ignored_is_spelled_otherwise_and_then_left_out() -> None:
    old = rows(range(1, 51), DATE_MODIFY="2025-02-01T00:00:00+00:00")
    sizing, spelled = Sizing([CHANGED]), list[Any]()
    for _round in range(ROUNDS):
        (question,) = sizing.firsts()
        spelled.append(params(question)[0]["filter"].get(">=DATE_MODIFY"))
        sizing.take_firsts(question, answers(question, old, []))
    assert spelled == ["2026-01-01T00:00:00+00:00", "2025-12-31 23:00:00", None]
    assert sizing.firsts() == []
    assert sizing.probes["deals"].failure is None


def test_a_hiccup_is_asked_again_and_then_makes_the_stream_unknown() -> None:
    sizing = Sizing([DEALS])
    for _round in range(ROUNDS):
        (question,) = sizing.firsts()
        sizing.take_firsts(question, answers(question, None, None))
    assert sizing.firsts() == []
    assert isinstance(sizing.probes["deals"].failure, RetryError)


@pytest.mark.parametrize("error", [RestError("rests"), OverlongError("60 s"), StreamError("no")])
def test_a_refusal_makes_the_stream_unknown_at_once(error: Exception) -> None:
    sizing, probe = first(DEALS, error, rows([1]))
    assert (probe.failure, probe.size, sizing.firsts()) == (error, None, [])


@pytest.mark.parametrize(
    ("ask", "came", "total", "pages"),
    [(STATUSES, 113, 113, 1), (STATUSES, 50, 120, 3), (STATUSES, 120, None, 1), (STATUSES, 0, 5, 1)],
)
def test_a_list_has_as_many_pages_as_its_total_says(ask: Ask, came: int, total: int | None, pages: int) -> None:
    _, probe = first(ask, Answer(rows(range(came)), total=total, timing=Timing(0.2)))
    assert probe.size is not None
    assert (probe.size.pages, probe.size.seconds) == (pages, 0.2)


def test_field_definitions_are_one_page() -> None:
    _, probe = first(FIELDS, {"ID": {"type": "integer"}, "TITLE": {"type": "string"}})
    assert probe.size is not None
    assert (probe.size.rows, probe.size.pages) == (2, 1)


# --- how a portal books -----------------------------------------------------------------------------------------------


def told(*gauges: tuple[str, float, float], batch: float = 0.0, ahead: float = 600.0) -> Sizing:
    """A sizing that has noted one batch: commands as (method, seconds, gauge); `ahead` seconds until the reset."""
    sizing = Sizing([])
    outer = Timing(sum(one[1] for one in gauges), batch or None, NOW + ahead, NOW)
    noted = [(name, Answer([], timing=Timing(took, gauge, NOW + ahead, NOW))) for name, took, gauge in gauges]
    sizing.portal.note(noted, outer, NOW)
    return sizing


def test_gauges_that_are_told_are_kept() -> None:
    portal = told(("crm.deal.list", 0.5, 3.0), ("crm.lead.list", 0.5, 0.5), batch=3.0).portal
    assert (portal.told, portal.gauges.by_batch) == (True, False)
    assert portal.gauges.by_method["crm.deal.list"].operating == 3.0


def test_equal_gauges_after_equal_work_are_not_those_of_the_batch() -> None:
    assert not told(("crm.deal.list", 0.5, 0.5), ("crm.lead.list", 0.5, 0.5), batch=0.5).portal.gauges.by_batch
    assert told(("crm.deal.list", 0.5, 1.0), ("crm.lead.list", 0.5, 1.0), batch=1.0).portal.gauges.by_batch


@pytest.mark.parametrize(("gauge", "ahead", "window"), [(0.5, 20.0, 20.0), (9.0, 20.0, 600.0), (0.5, 599.5, 600.0)])
def test_the_window_is_learned_from_methods_that_were_fresh(gauge: float, ahead: float, window: float) -> None:
    assert told(("crm.deal.list", 0.5, gauge), batch=gauge, ahead=ahead).portal.window == window


@pytest.mark.parametrize(
    ("seconds", "gauges", "booked"),
    [(0.5, (0.0, 0.0), True), (0.04, (0.0, 0.0), False), (0.04, (0.04, 0.08), True), (0.04, (3.0, 3.0), False)],
)
def test_short_commands_count_if_they_move_the_gauge(seconds: float, gauges: tuple[float, float], booked: bool) -> None:
    pages = [
        Answer(content, timing=Timing(seconds, gauge))
        for content, gauge in zip((rows(range(1, 51)), rows(range(90, 40, -1))), gauges, strict=True)
    ]
    _, probe = first(DEALS, *pages)
    assert probe.size is not None
    assert probe.size.booked is booked
