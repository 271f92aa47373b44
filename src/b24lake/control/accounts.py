"""Accounts: who may log in, and as what. Every function works inside the caller's transaction."""

from __future__ import annotations

import re
import secrets
from difflib import get_close_matches
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from b24lake.control import logins
from b24lake.control.audit import Actor
from b24lake.control.database import take_turns
from b24lake.control.models import Account
from b24lake.control.passwords import checked_password, hashed
from b24lake.errors import ConflictError, NotFoundError, UsageError

ROLES = ("viewer", "editor", "manager")
"""Each may do what those before it may: look; change and run sources; manage accounts, tokens and settings."""
MANAGER = ROLES[-1]
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}")


def at_least(role: str, wanted: str) -> bool:
    """Whether a role may do what another one may; "" is nobody's.

    >>> at_least("editor", "viewer"), at_least("editor", "manager"), at_least("", "viewer")
    (True, False, False)
    """
    return role in ROLES and ROLES.index(role) >= ROLES.index(wanted)


def name_of(text: str) -> str | None:
    """The name of an account as it is kept, without upper case; None for what cannot be one."""
    name = text.strip().casefold()
    return name if _NAME.fullmatch(name) else None


def listed(session: Session) -> list[Account]:
    """All accounts, by name."""
    return list(session.scalars(select(Account).order_by(Account.name)))


def managers(session: Session) -> int:
    """How many accounts may manage everything."""
    return session.scalar(select(func.count()).where(Account.role == MANAGER)) or 0


def found(session: Session, name: str) -> Account:
    """The account of this name. Raises NotFoundError, with the nearest ones, where there is none."""
    kept = name_of(name)
    account = session.get(Account, kept) if kept else None
    if account is None:
        known = list(session.scalars(select(Account.name)))
        near = get_close_matches(name.casefold(), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}" if near else "`b24lake user list` lists the accounts"
        raise NotFoundError(f"There is no account {name!r}", fix=hint)
    return account


def add(session: Session, actor: Actor, name: str, role: str, password: str) -> Account:
    """A new account. Raises UsageError for a name, role or password that cannot be one, ConflictError for one taken."""
    take_turns(session)
    kept = name_of(name)
    if kept is None:
        raise UsageError(
            f"{name!r} cannot be the name of an account",
            why="one has 1 to 63 letters (a-z), digits and . _ - + @",
            fix="take a short name or an e-mail address",
        )
    if session.get(Account, kept) is not None:
        raise ConflictError(f"There is an account {kept!r}", fix="choose another name, or change that account")
    text = checked_password(password, kept)
    account = Account(
        name=kept, role=_role(role), password=hashed(text), stamp=secrets.token_hex(8), created_at=actor.at
    )
    session.add(account)
    session.flush()
    actor.did(session, "created", f"account {kept}", {"role": role})
    return account


def change_role(session: Session, actor: Actor, account: Account, role: str) -> None:
    """Let an account do more or less. Its sessions end. Raises UsageError for the last manager."""
    take_turns(session)
    before, account.role = account.role, _role(role)
    if before == account.role:
        return
    _require_a_manager(session)
    account.stamp = secrets.token_hex(8)
    actor.did(session, "changed", f"account {account.name}", {"role": role, "before": before})


def change_password(session: Session, actor: Actor, account: Account, password: str) -> None:
    """Give an account another password. Its sessions end, and it may log in again at once."""
    account.password = hashed(checked_password(password, account.name))
    account.stamp = secrets.token_hex(8)
    logins.forgive(session, account.name)
    actor.did(session, "changed", f"account {account.name}", {"password": "another one"})


def end_sessions(session: Session, actor: Actor, account: Account) -> None:
    """Log an account out everywhere."""
    account.stamp = secrets.token_hex(8)
    actor.did(session, "logged out everywhere", f"account {account.name}")


def remove(session: Session, actor: Actor, account: Account) -> None:
    """Remove an account with its tokens. Raises UsageError for the last manager."""
    take_turns(session)
    session.delete(account)
    session.flush()
    _require_a_manager(session)
    logins.forgive(session, account.name)
    actor.did(session, "deleted", f"account {account.name}", {"role": account.role})


def document(account: Account) -> dict[str, Any]:
    """An account for people and scripts; never its hash."""
    return {
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at,
        "last_login_at": account.last_login_at,
    }


def _role(role: str) -> str:
    if role not in ROLES:
        raise UsageError(f"There is no role {role!r}", fix=f"choose {', '.join(ROLES)}")
    return role


def _require_a_manager(session: Session) -> None:
    session.flush()
    if not managers(session):
        raise UsageError(
            "This is the last manager", why="nobody could manage accounts any more", fix="make another manager first"
        )
