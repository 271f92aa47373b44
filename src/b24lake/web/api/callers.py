"""Who calls the API, and what they may: by a token, by the session of a browser, or as whoever is at this machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from sqlalchemy.orm import Session

from b24lake.control import reaching, tokens
from b24lake.control.audit import Actor
from b24lake.control.models import Run, Source, Trigger
from b24lake.errors import NotFoundError
from b24lake.lake.reach import Reach
from b24lake.web.site import Site

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    bearerFormat="b24l_…",
    description="A token, made by `b24lake token add` or on the page /account. "
    "Its scopes: read, run, write, admin. Where the app works without a login, no token is needed.",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    limited   ids of the sources that alone exist for this caller; None = all
    tables    globs over `layer.table` of those that alone exist; None = all
    """

    site: Site
    who: str
    now: datetime
    scopes: frozenset[str]
    limited: frozenset[str] | None = None
    tables: tuple[str, ...] | None = None

    @property
    def actor(self) -> Actor:
        """As whom a change goes into the audit trail."""
        return Actor(self.who, self.now)

    @property
    def reach(self) -> Reach:
        """The tables that exist for this caller."""
        return reaching.reach(self.site.database, self.site.here, self.limited, self.tables)

    def require(self, scope: str) -> None:
        """Raises HTTPException (403) where the caller lacks a scope."""
        if scope not in self.scopes:
            raise HTTPException(403, f"This needs the scope {scope}")

    def unlimited(self) -> None:
        """Raises HTTPException (403) for a caller that is limited to some sources."""
        if self.limited is not None:
            raise HTTPException(403, "This token is limited to some sources")

    def source(self, session: Session, source_id: str) -> Source:
        """A source by its id. Raises NotFoundError where there is none for this caller."""
        source = session.get(Source, source_id) if self._sees(source_id) else None
        if source is None:
            raise NotFoundError(f"There is no source {source_id!r}", fix="GET /api/v1/sources lists the sources")
        return source

    def trigger(self, session: Session, trigger_id: str) -> Trigger:
        """A trigger by its id. Raises NotFoundError where there is none for this caller."""
        trigger = session.get(Trigger, trigger_id)
        if trigger is None or not self._sees(trigger.source_id):
            raise NotFoundError(f"There is no trigger {trigger_id!r}", fix="GET /api/v1/triggers lists the triggers")
        return trigger

    def run(self, session: Session, run_id: str) -> Run:
        """A run by its whole id. Raises NotFoundError where there is none for this caller."""
        run = session.get(Run, run_id)
        if run is None or not self._sees(run.source_id):
            raise NotFoundError(f"There is no run {run_id!r}", fix="GET /api/v1/runs lists the runs")
        return run

    def _sees(self, source_id: str) -> bool:
        return self.limited is None or source_id in self.limited


def caller(
    request: Request,
    wanted: SecurityScopes,
    shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
) -> Caller:
    """Who calls. Raises HTTPException: 401 without a valid token where one is needed, 403 without the scope."""
    site: Site = request.app.state.site
    now = site.clock()
    if shown is not None:
        bearer = tokens.bearer(site.database, shown.credentials, now)
        if bearer is None:
            raise _unknown("This token is unknown, revoked or expired")
        found = Caller(site, bearer.who, now, bearer.scopes, bearer.sources, bearer.tables)
    elif "authorization" in request.headers or not request.state.role:
        raise _unknown("A token is needed: Authorization: Bearer b24l_…")
    else:
        scopes = tokens.allowed(request.state.role)
        found = Caller(site, request.state.name or site.who, now, scopes)
    for scope in wanted.scopes:
        found.require(scope)
    return found


def _unknown(what: str) -> HTTPException:
    return HTTPException(401, what, headers={"WWW-Authenticate": "Bearer"})


Reader = Annotated[Caller, Security(caller, scopes=["read"])]
Runner = Annotated[Caller, Security(caller, scopes=["run"])]
Writer = Annotated[Caller, Security(caller, scopes=["write"])]
Admin = Annotated[Caller, Security(caller, scopes=["admin"])]
