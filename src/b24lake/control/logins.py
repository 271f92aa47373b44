"""Logging in, and staying so: attempts are counted in the database, so that all servers share them; time is passed in.

An attempt is written down before the password is looked at, and taken away again where it was right: many at once
are no way round the count.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from b24lake.control.audit import Actor
from b24lake.control.database import LOGINS, Database, take_turns
from b24lake.control.models import Account, EndedSession, LoginAttempt
from b24lake.control.passwords import fits, hashed, outdated
from b24lake.errors import UsageError

WINDOW = timedelta(minutes=15)
OF_ACCOUNT, OF_ADDRESS = 10, 50  # attempts that fail within the window
KEPT = timedelta(days=14)  # as long as a session's cookie may live
TOO_MANY = "too_many_attempts"


class Person(NamedTuple):
    """Who is logged in."""

    name: str
    role: str
    stamp: str


def log_in(
    database: Database, name: str, password: str, address: str, now: datetime, *, doing: str = "logged in"
) -> Person | None:
    """Who has this name and password; None where nobody has, and nothing tells why.

    name      as `accounts.name_of` gives it; what is none belongs to nobody
    address   the client's
    doing     what it is for, as the audit trail says it

    Raises UsageError of code `TOO_MANY` where too many attempts have failed for this name or address.
    """
    subjects = {_of_account(name): OF_ACCOUNT, of_address(address): OF_ADDRESS}
    with database.writing() as session:
        _count(session, subjects, now)
        account = session.get(Account, name) if name and name.isprintable() else None
    if not fits(account.password if account else None, password) or account is None:
        who = account.name if account else "unknown"  # written either way: what takes as long tells nothing
        with database.writing() as session:
            Actor(who, now).did(session, "failed to log in", f"account {who}", {"from": address})
        return None
    with database.writing() as session:
        current = session.get(Account, name, populate_existing=True, with_for_update=True)
        if current is None or current.password != account.password:  # changed within these milliseconds
            return None
        forgive(session, name)
        _take_back(session, of_address(address))
        current.last_login_at = now
        if outdated(current.password):
            current.password = hashed(password)
        Actor(name, now).did(session, doing, f"account {name}", {"from": address})
        return Person(current.name, current.role, current.stamp)


def whose(database: Database, name: str, stamp: str, session_id: str) -> Person | None:
    """Whose a session is; None where its account is gone or has changed since, or where it was logged out."""
    with database.reading() as session:
        account = session.get(Account, name)
        if account is None or account.stamp != stamp or session.get(EndedSession, session_id) is not None:
            return None
        return Person(account.name, account.role, account.stamp)


def log_out(database: Database, name: str, session_id: str, now: datetime) -> None:
    """End a session, whoever may have its cookie."""
    with database.writing() as session:
        session.execute(delete(EndedSession).where(EndedSession.at < now - KEPT))
        session.merge(EndedSession(id=session_id, at=now))
        Actor(name, now).did(session, "logged out", f"account {name}")


def forgive(session: Session, name: str) -> None:
    """Forget the attempts that failed for an account."""
    session.execute(delete(LoginAttempt).where(LoginAttempt.subject == _of_account(name)))


def _count(session: Session, subjects: dict[str, int], now: datetime) -> None:
    take_turns(session, LOGINS)
    session.execute(delete(LoginAttempt).where(LoginAttempt.at <= now - WINDOW))
    for subject, most in subjects.items():
        query = select(func.count(), func.min(LoginAttempt.at)).where(LoginAttempt.subject == subject)
        failed, first = session.execute(query).one()
        if failed >= most:
            minutes = max(1, -(-int((first + WINDOW - now).total_seconds()) // 60))
            raise UsageError(
                "Too many attempts to log in have failed",
                why=f"after {most} of them nobody may try for a while",
                fix=f"try again in {minutes} min",
                code=TOO_MANY,
            )
    session.execute(insert(LoginAttempt), [{"subject": subject, "at": now} for subject in subjects])


def _take_back(session: Session, subject: str) -> None:
    """One attempt of a subject did not fail; the others stay, or an account of one's own would reset an address."""
    newest = select(LoginAttempt.id).where(LoginAttempt.subject == subject).order_by(LoginAttempt.id.desc()).limit(1)
    session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(newest.scalar_subquery())))


def _of_account(name: str) -> str:
    """A hash: people type their password into the wrong field."""
    return f"account {hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def of_address(address: str) -> str:
    """Who counts as one client: an IPv4 address, or a network that one customer of IPv6 gets.

    >>> of_address("2001:db8:1:2:3:4:5:6"), of_address("::ffff:10.0.0.1")
    ('address 2001:db8:1:2::/64', 'address 10.0.0.1')
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "address unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return f"address {found}"
    if found.ipv4_mapped is not None:
        return f"address {found.ipv4_mapped}"
    return f"address {ipaddress.ip_network((found, 64), strict=False)}"
