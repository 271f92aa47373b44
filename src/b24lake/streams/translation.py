"""How the rows of one family of methods get the columns of another one: data, read by `universal`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What becomes of the keys of the portal's rows.

    names      a field's `upperName` (its key, where the portal does not tell one) -> its column, where that has
               another name
    left_out   keys that get no values in the table: they say again what other keys say
    apart      key that holds a list of multi-fields of all kinds: it is told apart, by their `typeId`
    """

    names: Mapping[str, str]
    left_out: frozenset[str] = frozenset()
    apart: str = ""

    def column(self, key: str, upper: str = "") -> str:
        """The column of a key, with the `upperName` that the portal tells of it."""
        return self.names.get(upper or key, upper or key)
