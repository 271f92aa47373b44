"""Tokens: what programs show to the API instead of logging in. Shown once; the database knows their hash alone."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from b24lake.control.accounts import at_least
from b24lake.control.accounts import found as account_of
from b24lake.control.audit import Actor
from b24lake.control.database import Database
from b24lake.control.models import Account, Source, Token
from b24lake.errors import NotFoundError, UsageError

SCOPES = ("read", "run", "write", "admin")
"""Look; start, cancel and repeat runs; change sources, triggers and layers; channels, audit trail, configuration."""
ROLE_FOR = {"read": "viewer", "run": "editor", "write": "editor", "admin": "manager"}
PREFIX = "b24l_"
NAME = 100  # signs
GLOB = 200
GLOBS = 100  # of one token
_NOTED = timedelta(minutes=1)  # between two notes that a token was used


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a token lets its bearer do.

    who       as the audit trail calls them
    sources   ids of those that it is limited to; None = all
    tables    globs over `layer.table` of those that it is limited to; None = all
    """

    who: str
    scopes: frozenset[str]
    sources: frozenset[str] | None
    tables: tuple[str, ...] | None = None


def allowed(role: str) -> frozenset[str]:
    """The scopes of a role.

    >>> sorted(allowed("editor"))
    ['read', 'run', 'write']
    """
    return frozenset(scope for scope, wanted in ROLE_FOR.items() if at_least(role, wanted))


def add(
    session: Session,
    actor: Actor,
    name: str,
    scopes: Sequence[str],
    *,
    account: str | None = None,
    sources: Sequence[str] = (),
    tables: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """A new token, and the text that is never shown again.

    tables   globs over `layer.table`: the only tables that it reads; () = all

    Raises UsageError for a bad name, an unknown scope, source or account, more than the account may do, globs that are
    none, and an end that has passed.
    """
    whose = account_of(session, account) if account else None
    title = name.strip()
    if not title or len(title) > NAME or not title.isprintable():
        raise UsageError("This cannot be the name of a token", fix=f"write one line of at most {NAME} signs")
    text = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        id=secrets.token_hex(4),
        hash=_hash(text),
        name=title,
        account=whose.name if whose else None,
        scopes=_scopes(scopes, whose),
        sources=_sources(session, sources),
        tables=checked_globs(tables),
        created_at=actor.at,
        created_by=actor.who,
        expires_at=expires_at,
    )
    if expires_at is not None and expires_at <= actor.at:
        raise UsageError("This token would have expired already", fix="choose a later time, or none")
    session.add(token)
    session.flush()
    actor.did(session, "created", f"token {token.id}", {"name": title, "scopes": " ".join(token.scopes)})
    return token, text


def listed(session: Session, account: str | None = None) -> list[Token]:
    """All tokens, or those of an account; the newest first."""
    query = select(Token).order_by(Token.created_at.desc(), Token.id)
    return list(session.scalars(query.where(Token.account == account) if account else query))


def revoke(session: Session, actor: Actor, token_id: str, account: str | None = None) -> Token:
    """End a token; of this account only where one is named. Raises NotFoundError where there is no such token."""
    token = session.get(Token, token_id) if token_id.isprintable() else None
    if token is None or (account is not None and token.account != account):
        raise NotFoundError(f"There is no token {token_id!r}", fix="see `b24lake token list`")
    session.delete(token)
    actor.did(session, "revoked", f"token {token.id}", {"name": token.name})
    return token


def bearer(database: Database, text: str, now: datetime) -> Bearer | None:
    """Who shows this token; None for one that is unknown, revoked or expired."""
    if not text.startswith(PREFIX):
        return None
    with database.reading() as session:
        token = session.scalars(select(Token).where(Token.hash == _hash(text))).first()
        account = session.get(Account, token.account) if token and token.account else None
    if token is None or (token.expires_at is not None and token.expires_at <= now):
        return None
    if token.used_at is None or token.used_at + _NOTED <= now:
        with database.writing() as session:
            session.execute(update(Token).where(Token.id == token.id).values(used_at=now))
    scopes = frozenset(token.scopes)
    return Bearer(
        f"{account.name} (token {token.name})" if account else f"token {token.name}",
        scopes & allowed(account.role) if account else scopes,
        frozenset(token.sources) or None,
        tuple(token.tables) or None,
    )


def document(token: Token) -> dict[str, Any]:
    """A token for people and scripts, without what proves it."""
    return {
        "id": token.id,
        "name": token.name,
        "account": token.account,
        "scopes": token.scopes,
        "sources": token.sources,
        "tables": token.tables,
        "created_at": token.created_at,
        "created_by": token.created_by,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
    }


def checked_globs(given: Sequence[str]) -> list[str]:
    """Globs over `layer.table`; one without a dot is about all layers. Raises UsageError for what cannot be one.

    >>> checked_globs(["raw.*", "*_deals"])
    ['*.*_deals', 'raw.*']
    """
    found = {glob if "." in glob else f"*.{glob}" for glob in (each.strip() for each in given)}
    wrong = next((glob for glob in found if not re.fullmatch(r"[^\s/\\]+\.[^\s/\\]+", glob) or len(glob) > GLOB), None)
    if wrong is not None or len(found) > GLOBS:
        what = f"{wrong!r} names no tables" if wrong is not None else f"There are more than {GLOBS} patterns of tables"
        raise UsageError(what, fix="write LAYER.TABLE, with * and ? where several are meant, as raw.bitrix24_*")
    return sorted(found)


def _scopes(given: Sequence[str], account: Account | None) -> list[str]:
    unknown = next((scope for scope in given if scope not in SCOPES), None)
    if unknown is not None or not given:
        what = f"There is no scope {unknown!r}" if unknown is not None else "A token needs a scope"
        raise UsageError(what, fix=f"choose of {', '.join(SCOPES)}")
    chosen = [scope for scope in SCOPES if scope in given]
    beyond = [scope for scope in chosen if account and scope not in allowed(account.role)]
    if account and beyond:
        raise UsageError(
            f"A token of {account.name} cannot have the scope {beyond[0]}",
            why=f"{account.name} is {account.role}",
            fix=f"choose of {', '.join(scope for scope in SCOPES if scope in allowed(account.role))}",
        )
    return chosen


def _sources(session: Session, given: Sequence[str]) -> list[str]:
    known = set(session.scalars(select(Source.id)))
    unknown = next((source for source in given if source not in known), None)
    if unknown is not None:
        raise NotFoundError(f"There is no source {unknown!r}", fix="see `b24lake source list`")
    return sorted(set(given))


def _hash(text: str) -> str:
    # A token has 256 random bits: a fast hash is enough, and finds it by an index.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
