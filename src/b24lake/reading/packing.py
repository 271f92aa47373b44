"""Which chains and single commands go into the next request. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from b24lake.portal.connection import MAX_COMMANDS

Owner = TypeVar("Owner")
WORTHWHILE = 10  # a chain is shortened to fit only if at least so many pages of it fit


@dataclass(frozen=True, slots=True)
class Want(Generic[Owner]):
    """Somebody wants `pages` commands in a row; a `rigid` want is taken whole or not at all."""

    owner: Owner
    pages: int
    rigid: bool = False


def fill(wants: Iterable[Want[Owner]], room: int = MAX_COMMANDS) -> list[tuple[Want[Owner], int]]:
    """The wants that fit into one request, each with its number of pages, in the order given.

    >>> [(want.owner, pages) for want, pages in fill([Want("a", 30), Want("b", 30), Want("c", 5), Want("d", 50)])]
    [('a', 30), ('b', 20)]
    """
    taken = []
    for want in wants:
        pages = want.pages if want.pages <= room else (0 if want.rigid or room < WORTHWHILE else room)
        if pages:
            taken.append((want, pages))
            room -= pages
        if not room:
            break
    return taken
