"""Which tables of a lake somebody may read: those that fit their globs. SQL finds its tables and views here alone.

A readable view shows labels of other tables, so whoever reads one must be allowed to read these as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from b24lake.errors import NotFoundError, UsageError
from b24lake.lake.catalog import find, table_folders
from b24lake.lake.place import Place
from b24lake.lake.readable import SUFFIX
from b24lake.lake.views import View, view

Limits = tuple[tuple[str, ...], ...]
"""Lists of globs over `layer.table`: a table has to fit one of each list; () = all tables may be read."""


@dataclass(frozen=True)
class Reach:
    """What may be read of a lake."""

    lake: Place
    limits: Limits = ()

    def allows(self, name: str) -> bool:
        """Whether the table `layer.table` may be read."""
        return all(any(fnmatchcase(name, glob) for glob in limit) for limit in self.limits)

    def names(self) -> list[str]:
        """The tables that may be read, as `layer.table`."""
        return [name for name in map(sql_name, table_folders(self.lake)) if self.allows(name)]

    def found(self, name: str) -> str:
        """The whole name of a table or view, given with or without its layer.

        Raises NotFoundError where there is none or it may not be read, which sound the same, and UsageError where
        several layers have it.
        """
        known = self.names()
        fitting = [each for each in known if name in {each, each.partition(".")[2]}]
        if not fitting and name.endswith(SUFFIX):
            base = name.removesuffix(SUFFIX)
            fitting = [f"{each}{SUFFIX}" for each in known if base in {each, each.partition(".")[2]}]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UsageError(
                f"{name!r} is a table of several layers", why=", ".join(fitting), fix="name the layer, too"
            )
        raise self._unknown(name)

    def table(self, name: str) -> Place:
        """The folder of a table that SQL names. Raises as `found` where it may not be read, and as `catalog.find`."""
        self._refuse(name)
        path = find(self.lake, name)
        if not self.allows(sql_name(path)):  # a folder's name may hold a dot
            raise self._unknown(name)
        return path

    def view(self, name: str, wanted: frozenset[str] | None = None) -> View:
        """A readable view that SQL names, with what it needs for the columns that are wanted.

        Raises as `table` and `views.view`, and UsageError where it shows rows of a table that may not be read.
        """
        self._refuse(name.removesuffix(SUFFIX), name)
        found = view(self.lake, name, wanted)
        hidden = next((each for each in map(sql_name, found.tables.values()) if not self.allows(each)), None)
        if hidden is not None:
            raise UsageError(
                f"{name} may not be read here",
                why=f"it shows rows of {hidden}, which this access does not reach",
                fix="name the columns that you need: labels of others are then not looked up; or read the table itself",
            )
        return found

    def _refuse(self, table: str, name: str = "") -> None:
        """Raises NotFoundError for what may not be read, whether there is such a table or not."""
        if not self.allows(table):
            raise self._unknown(name or table)

    def _unknown(self, name: str) -> NotFoundError:
        near = get_close_matches(name, self.names(), n=3, cutoff=0.5)
        return NotFoundError(
            f"There is no table {name!r} that may be read here",
            fix=f"did you mean {' or '.join(near)}" if near else "list the tables first",
        )


def sql_name(path: Place) -> str:
    """The folder of a table as SQL knows it."""
    return f"{path.parent.name}.{path.name}"


def exactly(names: Iterable[str]) -> tuple[str, ...]:
    """Globs that fit these names and nothing else."""
    return tuple(re.sub(r"([*?[])", r"[\1]", name) for name in sorted(names))
