"""SQL that people keep: saved queries, which everybody sees, and the last ones that each of them ran.

Neither ever holds the secret of a webhook. Every function works inside the caller's transaction.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy import delete as deleted
from sqlalchemy.orm import Session

from b24lake.control.audit import Actor
from b24lake.control.database import take_turns
from b24lake.control.models import PastQuery, SavedQuery
from b24lake.errors import ConflictError, NotFoundError, UsageError
from b24lake.portal.webhook import mask

KEPT = 100
"""How many queries of each person are kept."""
NAME, DESCRIPTION, SQL = 100, 1_000, 100_000
"""Most signs of each."""


# --- saved queries ----------------------------------------------------------------------------------------------------


def listed(session: Session) -> list[SavedQuery]:
    """All saved queries, by name."""
    return list(session.scalars(select(SavedQuery).order_by(func.lower(SavedQuery.name), SavedQuery.id)))


def found(session: Session, query: str) -> SavedQuery:
    """A saved query by its id. Raises NotFoundError where there is none."""
    one = session.get(SavedQuery, query) if query.isprintable() else None
    if one is None:
        raise NotFoundError("There is no such saved query", fix="it may have been deleted; the page Query lists them")
    return one


def save(session: Session, actor: Actor, name: str, sql: str, description: str = "") -> SavedQuery:
    """A new saved query. Raises UsageError for texts that cannot be kept, ConflictError for a name that is taken."""
    made = SavedQuery(id=secrets.token_hex(4), saved_by=actor.who, created_at=actor.at)
    _put(session, actor, made, name, sql, description)
    session.add(made)
    actor.did(session, "created", f"query {made.name}")
    return made


def change(session: Session, actor: Actor, one: SavedQuery, name: str, sql: str, description: str = "") -> None:
    """Save a query once more. Raises as `save`."""
    before = one.name
    _put(session, actor, one, name, sql, description)
    actor.did(session, "changed", f"query {one.name}", {"before": before} if before != one.name else None)


def delete(session: Session, actor: Actor, one: SavedQuery) -> None:
    """Forget a saved query."""
    session.delete(one)
    actor.did(session, "deleted", f"query {one.name}")


def _put(session: Session, actor: Actor, one: SavedQuery, name: str, sql: str, description: str) -> None:
    title = " ".join(name.split())
    if not title or len(title) > NAME or not title.isprintable():
        raise UsageError("This cannot be the name of a query", fix=f"write one line of at most {NAME} signs")
    if len(description) > DESCRIPTION:
        raise UsageError("This description is too long", fix=f"write at most {DESCRIPTION} signs")
    text = checked(sql)
    if mask(text + description + title) != text + description + title:
        raise UsageError("This holds the secret of a webhook", fix="take it out: everybody sees saved queries")
    take_turns(session)
    with session.no_autoflush:
        taken = session.scalars(select(SavedQuery).where(SavedQuery.name == title, SavedQuery.id != one.id)).first()
    if taken is not None:
        raise ConflictError(f"There is a query {title!r} already", fix="choose another name, or change that one")
    one.name, one.sql, one.description, one.updated_at = title, text, description.strip(), actor.at


def checked(sql: str) -> str:
    """SQL as it may be run and kept, its lines ending as everywhere. Raises UsageError where it is empty or too long.

    >>> checked("SELECT 1  ")
    'SELECT 1'
    """
    text = sql.replace("\r\n", "\n").rstrip()
    if not text.strip():
        raise UsageError("There is no SQL", why="the text is empty", fix="write a SELECT, then run it")
    if len(text) > SQL:
        raise UsageError("This SQL is too long", why=f"it has {len(text):,} signs", fix=f"write at most {SQL:,} signs")
    return text


# --- what somebody ran ------------------------------------------------------------------------------------------------


def remember(
    session: Session, who: str, at: datetime, sql: str, *, seconds: float, rows: int | None = None, error: str = ""
) -> None:
    """Note that somebody ran this; the same once more takes the place of the last time. Older than KEPT are forgotten.

    rows    how many were shown; None where it failed, and `error` says how
    """
    text = mask(sql)
    newest = session.scalars(_of(who).limit(1)).first()
    if newest is not None and newest.sql == text:
        session.delete(newest)
    session.add(PastQuery(who=who, at=at, sql=text, seconds=seconds, rows=rows, error=mask(error)))
    session.flush()
    oldest = session.scalars(_of(who).offset(KEPT).limit(1)).first()
    if oldest is not None:
        session.execute(deleted(PastQuery).where(PastQuery.who == who, PastQuery.id <= oldest.id))


def past(session: Session, who: str) -> list[PastQuery]:
    """What somebody ran, the last first."""
    return list(session.scalars(_of(who)))


def past_one(session: Session, who: str, number: int) -> PastQuery:
    """One of somebody's own. Raises NotFoundError where there is none."""
    one = session.get(PastQuery, number)
    if one is None or one.who != who:
        raise NotFoundError(
            "This query is no longer kept", why=f"the last {KEPT} of each person are kept, and it is older"
        )
    return one


def forget(session: Session, who: str) -> None:
    """Forget what somebody ran."""
    session.execute(deleted(PastQuery).where(PastQuery.who == who))


def _of(who: str) -> Select[PastQuery]:
    return select(PastQuery).where(PastQuery.who == who).order_by(PastQuery.id.desc())
