"""Which chains and single commands go into the next request. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from b24lake.portal.connection import MAX_COMMANDS

Owner = TypeVar("Owner")
SAFE_SECONDS = 30.0  # of the portal's work in one request; it gives up after 60
WORTHWHILE = 10  # a chain is shortened to fit only if at least so many pages of it fit


@dataclass(frozen=True, slots=True)
class Want(Generic[Owner]):
    """Somebody wants `pages` commands in a row, each of about so many `seconds` of the portal's work.

    Fewer than `least` of them are of no use.
    """

    owner: Owner
    pages: int
    least: int = 1
    seconds: float = 0.0


def fill(
    wants: Iterable[Want[Owner]], room: int = MAX_COMMANDS, seconds: float = SAFE_SECONDS
) -> list[tuple[Want[Owner], int]]:
    """The wants that fit into one request, each with its number of pages, in the order given.

    room, seconds   commands and seconds of the portal's work that the request may have; one command always fits

    >>> [(want.owner, pages) for want, pages in fill([Want("a", 30), Want("b", 30), Want("c", 5), Want("d", 50)])]
    [('a', 30), ('b', 20)]
    """
    taken: list[tuple[Want[Owner], int]] = []
    whole = min(room, WORTHWHILE)
    for want in wants:
        fits = min(room, int(seconds / want.seconds)) if want.seconds else room
        fits = max(fits, 0 if taken else want.least)
        pages = want.pages if want.pages <= fits else (0 if fits < want.least or (taken and fits < whole) else fits)
        if pages:
            taken.append((want, pages))
            room, seconds = room - pages, seconds - pages * want.seconds
        if room <= 0:
            break
    return taken
