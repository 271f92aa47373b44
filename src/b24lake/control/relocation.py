"""Tables go with their source to another name, layer or lake, with their history: all of them, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.claims import Installation, displaced, shown, told_apart
from b24lake.control.models import Run, Source
from b24lake.control.runs import AT_WORK, ENDED
from b24lake.errors import UsageError
from b24lake.lake import moving
from b24lake.lake.place import Place
from b24lake.sync.home import Home, lock_name

Move: TypeAlias = Callable[[Place, Place], None]


@contextmanager
def moves(home: Home) -> Iterator[Move]:
    """A function that moves a table from one place to another. Put it around the transaction.

    No run of this machine uses the tables before the block has ended; where it fails they go back.
    """
    with ExitStack() as stack:

        def move(old: Place, new: Place) -> None:
            for path in (old, new):
                stack.enter_context(home.ready().lock(f"table-{lock_name(path)}", f"the table {shown(path)}"))
            moving.move(old, new)
            stack.push(partial(_back, old, new))

        yield move


def _back(old: Place, new: Place, kind: type[BaseException] | None, *_: object) -> None:
    if kind is not None:
        moving.move(new, old)


def move_all(
    session: Session, source: Source, before: Mapping[str, Place], here: Installation, move: Move
) -> list[str]:
    """Move the tables that are not where the source writes them now. Returns what was done, in words.

    before   the tables of the selected streams as they were

    Raises UsageError while a run of the source is at work, and as `moving.target` and `moving.move`.
    """
    tables = [(old, new) for _, old, new in displaced(source, before, here)]
    if tables:
        refuse_at_work(session, source, f"The tables of {source.id} cannot be moved now")
    for old, new in tables:
        moving.target(new.parent.parent, old, layer=new.parent.name, name=new.name)
    said = []
    for old, new in tables:
        move(old, new)
        before_now, now = told_apart(old, new)
        said.append(f"{before_now} is {now} now, with its history")
    return said


def refuse_at_work(session: Session, source: Source, what: str) -> None:
    """Raises UsageError while a run of the source is at work; none begins before the end of the transaction.

    what   what cannot be done then
    """
    session.execute(select(Source.id).where(Source.id == source.id).with_for_update())  # a new run would wait for it
    waiting = select(Run.id, Run.state).where(Run.source_id == source.id, Run.state.not_in(ENDED)).with_for_update()
    at_work = [run.id for run in session.execute(waiting) if run.state in AT_WORK]
    if at_work:
        raise UsageError(what, why=f"its run {at_work[0]} is at work", fix="wait for its end, or cancel it first")
