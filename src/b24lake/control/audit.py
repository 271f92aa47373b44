"""Who did what, when: written in the transaction that does it, so that there is never one without the other."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.database import Database
from b24lake.control.models import Audit


@dataclass(frozen=True)
class Actor:
    """Who changes something, and when."""

    who: str
    at: datetime

    def did(self, session: Session, action: str, thing: str, detail: Mapping[str, Any] | None = None) -> None:
        """Write down `action` ("created") done to `thing` ("source crm"); `detail` holds no secret."""
        session.add(Audit(at=self.at, who=self.who, action=action, object=thing, detail=dict(detail or {})))


def entries(database: Database, thing: str = "", *, limit: int = 50, before: int | None = None) -> list[Audit]:
    """The newest entries first; `thing` "" = about everything; `before` = older than the one of this id."""
    query = select(Audit).order_by(Audit.id.desc()).limit(limit)
    query = query.where(Audit.id < before) if before is not None else query
    with database.reading() as session:
        return list(session.scalars(query.where(Audit.object == thing) if thing else query))


def somebody() -> str:
    """Whom this process works for: the user that the operating system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return "unknown"
