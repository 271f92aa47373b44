"""The editor of triggers: what its fields mean, in words and times, and that it is live."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import ImmutableMultiDict
from web_site import Web, words

from b24lake.control.schedules import WEEKDAYS, schedule
from b24lake.web.pages.triggers import Typed, spec_of, typed, typed_of

BERLIN = {"zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("sent", "spec"),
    [
        ([("kind", "manual"), ("times", "06:00")], None),
        (
            [("kind", "schedule"), ("weekdays", "mon"), ("weekdays", "fri"), ("times", "06:30"), ("times", "")],
            {"weekdays": ["mon", "fri"], "times": ["06:30"], "zone": ""},
        ),
        (
            [("kind", "cron"), ("cron", " 0 6 * * * "), ("zone", "UTC"), ("times", "6")],
            {"cron": "0 6 * * *", "zone": "UTC"},
        ),
        (
            [("kind", "event"), ("sources", "a"), ("sources", "b"), ("mode", "all")],
            {"sources": ["a", "b"], "mode": "all"},
        ),
        ([("kind", "nonsense"), ("times", "06:30")], {"weekdays": [], "times": ["06:30"], "zone": ""}),
    ],
)
def test_the_fields_of_the_chosen_kind_alone_make_the_spec(sent: list[tuple[str, str]], spec: object) -> None:
    assert spec_of(typed(ImmutableMultiDict(sent))) == spec
    with_prefix = ImmutableMultiDict([(f"full_{name}", value) for name, value in sent])
    assert spec_of(typed(with_prefix, "full_")) == spec


TIMES = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
SCHEDULES = st.fixed_dictionaries(
    {"weekdays": st.lists(st.sampled_from(WEEKDAYS)), "times": st.lists(TIMES, min_size=1), "zone": st.just("UTC")}
)
CRONS = st.fixed_dictionaries({"cron": st.sampled_from(["0 6 * * *", "*/5 * * * mon"]), "zone": st.just("Asia/Tokyo")})


@given(st.one_of(SCHEDULES, CRONS))
def test_a_spec_comes_back_from_the_fields_that_show_it(spec: dict[str, object]) -> None:
    usual = schedule(spec).spec()
    assert spec_of(typed_of(usual, zone="UTC")) == usual


def test_an_event_and_no_trigger_at_all_come_back_too() -> None:
    event = {"sources": ["a", "b"], "mode": "all"}
    assert spec_of(typed_of(event, zone="UTC")) == event
    assert typed_of(None, zone="UTC") == Typed("manual")


def preview(web: Web, **fields: object) -> str:
    answer = web.get(
        "/triggers/preview", params={"prefix": "x_", **{f"x_{name}": value for name, value in fields.items()}}
    )
    assert answer.status_code == 200
    return words(answer.text)


def test_the_preview_shows_the_next_five_runs_on_both_clocks(start: object) -> None:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    web: Web = start(clock=lambda: at)  # type: ignore[operator]
    web.client.cookies.set("zone", "America%2FSao_Paulo")
    said = preview(web, kind="schedule", weekdays=["mon", "tue"], times=["06:30"], **BERLIN)
    assert "Mon, Tue at 06:30 (Europe/Berlin)" in said
    assert "Mon 23 Nov 2026, 06:30 · here Mon 23 Nov 2026, 02:30" in said
    assert said.count("06:30") == 6
    assert "Every day at 06:30 (America/Sao_Paulo)" in preview(
        web, kind="schedule", times=["06:30"], zone="America/Sao_Paulo"
    )
    assert "here" not in preview(web, kind="schedule", times=["06:30"], zone="America/Sao_Paulo")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "schedule", "times": ["25:00"], **BERLIN}, "'25:00' is no time of day"),
        ({"kind": "schedule", **BERLIN}, "The schedule has no times"),
        ({"kind": "schedule", "times": ["06:00"], "zone": "Europe/Berlim"}, "did you mean Europe/Berlin"),
        ({"kind": "cron", **BERLIN}, "The cron line '' has 0 fields"),
        ({"kind": "cron", "cron": "61 * * * *", **BERLIN}, "its minute cannot be '61'"),
        ({"kind": "cron", "cron": "0 6 * * mon", **BERLIN}, "By the cron line 0 6 * * mon (Europe/Berlin)"),
        ({"kind": "event"}, "An event waits for no source"),
        ({"kind": "event", "sources": ["the-crm"]}, "After a successful run of The <CRM>"),
        ({"kind": "manual"}, "Only when somebody starts it"),
    ],
)
def test_the_preview_says_what_it_means_or_what_is_wrong(web: Web, fields: dict[str, object], said: str) -> None:
    web.source("The <CRM>", prefix="crm_")
    assert said in preview(web, **fields)
