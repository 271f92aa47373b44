"""The setup of a source, step by step: which steps there are, which are done, and what a new source is called."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import choices
from b24lake.control.models import Source
from b24lake.control.sources import DRAFT

ACCESS, STREAMS, TABLES, SOURCE, CHECK = "access", "streams", "tables", "source", "check"
STEPS = (ACCESS, STREAMS, TABLES, SOURCE, CHECK)


def is_done(source: Source, step: str) -> bool:
    """Whether a step was finished, and still holds: the portal answered, and there is something to read."""
    if source.state != DRAFT:
        return True
    if step == ACCESS:
        return step in source.setup and all(one["state"] != "failed" for one in source.checks)
    if step == STREAMS:
        return bool(choices.selected(source.streams))
    return step in source.setup


def first_open(source: Source) -> str:
    """The first step that is not done; the last one where all are."""
    return next((step for step in STEPS if not is_done(source, step)), CHECK)


def reachable(source: Source) -> tuple[str, ...]:
    """The steps that can be gone to: all up to the first that is not done."""
    return STEPS[: STEPS.index(first_open(source)) + 1]


def following(step: str) -> str:
    """The step after this one."""
    return STEPS[min(STEPS.index(step) + 1, len(STEPS) - 1)]


def mark(source: Source, step: str, *, done: bool = True) -> None:
    """Remember that a step is done, or that it has to be done again."""
    others = [one for one in source.setup if one != step]
    source.setup = [*others, step] if done else others


def suggested_name(session: Session, address: str) -> str:
    """What a source is called until somebody names it: by its portal, with a number where that is taken.

    address   of the portal: host, port and path prefix, as "acme.bitrix24.com"
    """
    taken = set(session.scalars(select(Source.name)))
    first = host = address.partition("/")[0].partition(":")[0].removeprefix("[").removesuffix("]") or "Bitrix24"
    if not host.replace(".", "").isdigit():
        first = host.removeprefix("www.").partition(".")[0]
    name, number = first, 1
    while name in taken:
        number += 1
        name = f"{first} {number}"
    return name
