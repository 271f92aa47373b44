"""What a webhook may do: owner, rights, scopes and the portal's clock, from four commands of one batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from b24lake.errors import StopError
from b24lake.portal.connection import Command
from b24lake.portal.replies import Answer, listed

QUESTIONS: Mapping[str, Command] = {
    "profile": Command("profile"),
    "scope": Command("scope"),
    "clock": Command("server.time"),
    "admin": Command("user.admin"),
}
_FEW_SCOPES = "tick at least the scope crm in the incoming webhook"


@dataclass(frozen=True, slots=True)
class Probe:
    """One portal through one webhook.

    admin          None where the portal does not say
    clock          the portal's time at the moment of asking, None where it gave none
    tells_scopes   whether `scopes` is what the portal said: none at all is an answer, too
    """

    owner: str
    owner_name: str
    admin: bool | None
    scopes: frozenset[str]
    clock: datetime | None
    tells_scopes: bool = True

    @property
    def zone(self) -> tzinfo:
        """Zone of times that come without an offset: the server's."""
        return (self.clock.tzinfo if self.clock else None) or UTC


def read(answers: Mapping[str, Answer]) -> Probe:
    """The answers to QUESTIONS. Raises StopError where the webhook's owner is inactive."""
    asked, profile = answers["profile"], answers["profile"].result
    if asked.missing:
        raise StopError("The portal does not answer `profile`", why="it is overloaded", fix="run it again later")
    if asked.error is None and not (isinstance(profile, dict) and profile):
        raise StopError(
            "The webhook has no active owner",
            why="the portal answered `profile` without a user: the employee who made the webhook was dismissed",
            fix="let an active administrator create a new incoming webhook",
        )
    owner: dict[str, Any] = profile if isinstance(profile, dict) else {}
    admin = answers["admin"].result if isinstance(answers["admin"].result, bool) else owner.get("ADMIN")
    return Probe(
        owner=str(owner.get("ID", "")),
        owner_name=" ".join(str(owner[part]) for part in ("NAME", "LAST_NAME") if owner.get(part)),
        admin=admin if isinstance(admin, bool) else None,
        scopes=frozenset(str(scope).lower() for scope in listed(answers["scope"].result)),
        clock=_clock(answers),
        tells_scopes=isinstance(answers["scope"].result, list | dict),
    )


def _clock(answers: Mapping[str, Answer]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(answers["clock"].result)
    except (TypeError, ValueError):
        return answers["clock"].timing.date_start or answers["profile"].timing.date_start
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Check:
    """One named check: `state` is ok, warning or failed; `cause` and `cure` say why and what to do."""

    name: str
    state: str
    says: str
    cause: str = ""
    cure: str = ""


def checks(probe: Probe, now: datetime) -> list[Check]:
    """The named checks of a webhook that answered; `now` is this machine's clock, with its zone."""
    return [_owner(probe), _rights(probe), _scopes(probe), _clock_check(probe, now)]


def invisible(probe: Probe) -> str:
    """What the owner of tables should know where the webhook's owner does not see every record; "" where they do."""
    if probe.admin is not False:
        return ""
    return (
        f"The webhook's owner, {_shown(probe)}, is not an administrator: records that they may not see are missing "
        "from every list, without an error. Let an administrator create the webhook"
    )


def _shown(probe: Probe) -> str:
    return f"user {probe.owner} {probe.owner_name}".rstrip()


def _owner(probe: Probe) -> Check:
    if not probe.owner:
        return Check("owner", "warning", "the portal does not say who owns the webhook")
    return Check("owner", "ok", _shown(probe))


def _rights(probe: Probe) -> Check:
    if probe.admin:
        return Check("rights", "ok", "the owner is an administrator and sees every record")
    says = "the owner is not an administrator" if probe.admin is False else "unknown whether the owner is one"
    return Check(
        "rights",
        "warning",
        says,
        "records that the owner may not see are missing from every list, without an error",
        "let an administrator create the webhook",
    )


def _scopes(probe: Probe) -> Check:
    if not probe.tells_scopes:
        return Check("scopes", "warning", "the portal does not list them", "", "see the streams: each tells its own")
    if not probe.scopes:
        return Check("scopes", "failed", "none", "the webhook was given no scope", _FEW_SCOPES)
    shown = ", ".join(sorted(probe.scopes))
    if "crm" not in probe.scopes:
        return Check("scopes", "warning", shown, "the scope crm is missing: no CRM stream can be read", _FEW_SCOPES)
    return Check("scopes", "ok", shown)


def _clock_check(probe: Probe, now: datetime) -> Check:
    if probe.clock is None:
        return Check(
            "clock", "warning", "the portal does not tell its time", "", "bookmarks follow this machine's clock"
        )
    off = abs((probe.clock - now).total_seconds())
    says = f"{probe.clock.isoformat()}, {off:.0f} s from this machine's"
    if off > 300:
        return Check("clock", "warning", says, "the clocks differ", "harmless: bookmarks follow the portal's clock")
    return Check("clock", "ok", says)
