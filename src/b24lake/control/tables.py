"""What people do to one table of the installation's lake: restore it, say how long it keeps old states, describe it.

Each is done while no run writes the table, and goes into the audit trail. Whoever changes something says what they saw:
where somebody else was quicker, nothing is done (ConflictError).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from deltalake import DeltaTable
from sqlalchemy import select

from b24lake.control import claims
from b24lake.control.audit import Actor
from b24lake.control.claims import Installation
from b24lake.control.database import Database
from b24lake.control.models import Source, SourceStream
from b24lake.control.source_settings import lake_of
from b24lake.errors import ConflictError, UsageError
from b24lake.lake import catalog, describing, moving, restoring, retention
from b24lake.lake.columns import own_comment
from b24lake.lake.place import Place
from b24lake.lake.restoring import Restored
from b24lake.lake.retention import Kept
from b24lake.lake.table import schema_of
from b24lake.lake.versions import as_of, history
from b24lake.sync.home import lock_name


def restore(database: Database, here: Installation, actor: Actor, name: str, version: int, *, newest: int) -> Restored:
    """Make an earlier version of `layer.table` its newest one.

    newest   the version that was the newest one when somebody decided so

    Raises ConflictError where there is a newer one meanwhile, UsageError where the version cannot be read or the table
    is not ours, HeldError while a run writes the table.
    """
    with _held(here, name) as (path, table):
        if table.version() != newest:
            raise ConflictError(
                f"{name} has changed meanwhile",
                why=f"its newest version is {table.version()}, and was {newest} when you looked",
                fix="look at what the restore does now, and decide again",
            )
        wanted = as_of(history(path, table), str(version), name)
        done = restoring.restore(path, table, wanted.version, _by(actor, "restore"))
        _note(database, actor, "restored", name, {"version": version, "as": done.version})
    return done


def keep(database: Database, here: Installation, actor: Actor, name: str, wanted: Kept, *, seen: Kept) -> bool:
    """Set for how long a table keeps old states, and say whether that was another time before.

    Raises UsageError as `retention.changed`, ConflictError where it is neither what was seen nor what is wanted.
    """
    retention.changed(seen, wanted.log, wanted.files)
    with _held(here, name) as (path, table):
        now = retention.kept(table)
        if now == wanted:
            return False
        if now != seen:
            raise _conflict(name, "it keeps old states for another time than you saw")
        retention.set_kept(path, table, wanted, _by(actor, "settings"))
        _note(database, actor, "changed", name, {"log_days": wanted.log.days, "file_days": wanted.files.days})
    return True


def describe(database: Database, here: Installation, actor: Actor, name: str, text: str, *, seen: str) -> bool:
    """Write a table's description, and say whether it was another one before. Raises as `keep`."""
    with _held(here, name) as (path, table):
        now = table.metadata().description or ""
        if now == text:
            return False
        if now != seen:
            raise _conflict(name, "its description is not the one that you saw")
        moving.describe(path, text, _by(actor, "settings"))
        _note(database, actor, "described", name, {"description": text})
    return True


def describe_columns(
    database: Database,
    here: Installation,
    actor: Actor,
    name: str,
    comments: Mapping[str, str],
    *,
    seen: Mapping[str, str],
) -> tuple[str, ...]:
    """Write comments of columns; "" brings back what the source calls them. Returns those that are others now.

    Raises as `keep`, and UsageError as `describing.describe_columns`.
    """
    with _held(here, name) as (path, table):
        now = {each.name: own_comment(each) for each in schema_of(table)}
        others = [one for one, text in comments.items() if now.get(one, "") not in {text, seen.get(one, "")}]
        if others:
            raise _conflict(name, f"what is said of {', '.join(others)} is not what you saw")
        done = describing.describe_columns(path, table, comments, _by(actor, "settings"))
        if done:
            _note(database, actor, "described", name, {"columns": {one: comments[one] for one in done}})
    return done


def writers(database: Database, here: Installation, path: Place) -> list[tuple[Source, str]]:
    """The sources that write a table, each with the stream."""
    query = (
        select(Source, SourceStream.stream)
        .join(SourceStream, SourceStream.source_id == Source.id)
        .where(SourceStream.table_name == path.name, SourceStream.selected, Source.layer == path.parent.name)
        .order_by(Source.id)
    )
    with database.reading() as session:
        found = [(source, stream) for source, stream in session.execute(query)]
    return [(source, stream) for source, stream in found if _same(lake_of(source, here.lake), path.parent.parent)]


def _same(one: Place, other: Place) -> bool:
    return str(one.resolve()) == str(other.resolve())


@contextmanager
def _held(here: Installation, name: str) -> Iterator[tuple[Place, DeltaTable]]:
    """A table of ours, while no run of this machine writes it."""
    path = moving.ours(here.lake, name)
    with here.home.ready().lock(f"table-{lock_name(path)}", f"the table {claims.shown(path)}"):
        yield path, catalog.opened(path)


def _by(actor: Actor, what: str) -> str:
    """What a version tells of where it came from, as a run's id."""
    return f"{actor.at:%Y%m%dT%H%M%S}-{what}"


def _note(database: Database, actor: Actor, did: str, name: str, told: Mapping[str, Any]) -> None:
    with database.writing() as session:
        actor.did(session, did, f"table {name}", told)


def _conflict(name: str, why: str) -> UsageError:
    return ConflictError(
        f"{name} was changed by somebody else meanwhile",
        why=why,
        fix="look at it as it is now, and save again",
    )
