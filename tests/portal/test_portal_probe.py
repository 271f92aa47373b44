"""What a webhook may do, read from four answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from b24lake.errors import LockedError, StopError
from b24lake.portal.probe import QUESTIONS, Probe, checks, invisible, read
from b24lake.portal.replies import Answer, Timing

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOSCOW = timezone(timedelta(hours=3))
OWNER = {"ID": "7", "ADMIN": True, "NAME": "Ann", "LAST_NAME": "Lee"}


def answers(**results: Any) -> dict[str, Answer]:
    told = {"profile": OWNER, "scope": ["crm", "User"], "clock": "2026-01-01T15:00:00+03:00", "admin": True, **results}
    return {key: value if isinstance(value, Answer) else Answer(value) for key, value in told.items()}


def test_a_portal_that_does_not_list_scopes_is_not_said_to_have_given_none() -> None:
    found = {check.name: check for check in checks(read(answers(scope=DENIED)), NOW)}
    assert (found["scopes"].state, "does not list" in found["scopes"].says) == ("warning", True)


@pytest.mark.parametrize(("admin", "warned"), [(True, False), (False, True), (None, False)])
def test_only_an_owner_who_is_no_administrator_is_warned_of(*, admin: bool | None, warned: bool) -> None:
    told = invisible(read(answers(admin=DENIED if admin is None else admin, profile={"ID": 7, "NAME": "Ann"})))
    assert ("user 7 Ann" in told, "missing from every list" in told) == (warned, warned)


def test_the_questions_need_no_scope() -> None:
    assert {key: command.method for key, command in QUESTIONS.items()} == {
        "profile": "profile",
        "scope": "scope",
        "clock": "server.time",
        "admin": "user.admin",
    }


def test_owner_rights_scopes_and_clock_are_read() -> None:
    probe = read(answers())
    assert probe == Probe("7", "Ann Lee", True, frozenset({"crm", "user"}), NOW)
    assert probe.zone.utcoffset(None) == timedelta(hours=3)


DENIED = Answer(error=LockedError("no"))


@pytest.mark.parametrize(
    ("results", "changed"),
    [
        ({"admin": DENIED}, {"admin": True}),
        ({"admin": DENIED, "profile": {"ID": 7}}, {"admin": None, "owner_name": ""}),
        ({"profile": DENIED}, {"owner": "", "owner_name": ""}),
        ({"scope": []}, {"scopes": frozenset()}),
        ({"scope": DENIED}, {"scopes": frozenset(), "tells_scopes": False}),
        ({"scope": {"0": "crm"}}, {"scopes": frozenset({"crm"})}),
        ({"clock": DENIED}, {"clock": None}),
        ({"clock": Answer(None, timing=Timing(date_start=NOW))}, {}),
        ({"clock": "2026-01-01T12:00:00"}, {}),
    ],
)
def test_what_a_portal_does_not_tell_stays_unknown(results: dict[str, Any], changed: dict[str, Any]) -> None:
    probe, known = read(answers(**results)), read(answers())
    expected = {name: changed.get(name, getattr(known, name)) for name in Probe.__slots__}
    assert {name: getattr(probe, name) for name in Probe.__slots__} == expected


@pytest.mark.parametrize("profile", [[], {}, None, False])
def test_a_webhook_without_an_active_owner_ends_the_run(profile: Any) -> None:
    with pytest.raises(StopError, match="no active owner"):
        read(answers(profile=profile))


def test_a_portal_that_stays_silent_is_not_taken_for_a_dismissed_owner() -> None:
    with pytest.raises(StopError, match="does not answer"):
        read(answers(profile=Answer(missing=True)))


@pytest.mark.parametrize(
    ("probe", "states"),
    [
        (Probe("7", "Ann", True, frozenset({"crm"}), NOW), "ok ok ok ok"),
        (Probe("", "", None, frozenset({"user"}), None), "warning warning warning warning"),
        (Probe("7", "", False, frozenset(), NOW + timedelta(hours=1)), "ok warning failed warning"),
    ],
)
def test_checks_have_a_state_and_where_it_is_not_ok_a_cause(probe: Probe, states: str) -> None:
    found = checks(probe, NOW)
    assert " ".join(check.state for check in found) == states
    assert [check.name for check in found] == ["owner", "rights", "scopes", "clock"]
    assert all(check.says for check in found)
