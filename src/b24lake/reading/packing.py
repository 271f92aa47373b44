"""Which chains and single commands go into the next request. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from b24lake.portal.connection import MAX_COMMANDS

Owner = TypeVar("Owner")
SAFE_SECONDS = 30.0  # of the portal's work in one request; it gives up after 60
NO_BUDGETS: Mapping[str, float] = {}
WORTHWHILE = 10  # a chain is shortened to fit only if at least so many pages of it fit


@dataclass(frozen=True, slots=True)
class Want(Generic[Owner]):
    """Somebody wants `pages` commands of `method` in a row, each of about so many `seconds` of the portal's work.

    Fewer than `least` of them are of no use.
    """

    owner: Owner
    pages: int
    least: int = 1
    seconds: float = 0.0
    method: str = ""


def fill(
    wants: Iterable[Want[Owner]],
    room: int = MAX_COMMANDS,
    seconds: float = SAFE_SECONDS,
    budgets: Mapping[str, float] = NO_BUDGETS,
) -> list[tuple[Want[Owner], int]]:
    """The wants that fit into one request, each with its number of pages, in the order given.

    room, seconds   commands and seconds of the portal's work that the request may have; one command always fits
    budgets         seconds of them that a method may have; as many as it likes where it is not named

    >>> [(want.owner, pages) for want, pages in fill([Want("a", 30), Want("b", 30), Want("c", 5), Want("d", 50)])]
    [('a', 30), ('b', 20)]
    """
    taken: list[tuple[Want[Owner], int]] = []
    left = dict(budgets)
    whole = min(room, WORTHWHILE)
    for want in wants:
        most = min(seconds, left.get(want.method, seconds))
        fits = min(room, int(most / want.seconds)) if want.seconds else room
        fits = max(fits, 0 if taken else want.least)
        pages = want.pages if want.pages <= fits else (0 if fits < want.least or (taken and fits < whole) else fits)
        if pages:
            taken.append((want, pages))
            room, seconds = room - pages, seconds - pages * want.seconds
            left[want.method] = left.get(want.method, math.inf) - pages * want.seconds
        if room <= 0:
            break
    return taken
