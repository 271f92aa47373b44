"""Which tables of a lake somebody may read: those that fit their globs. SQL is judged by the tables it reads.

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
from b24lake.lake.views import is_view, view


@dataclass(frozen=True)
class Reach:
    """What may be read of a lake.

    limits   lists of globs over `layer.table`: a table has to fit one of each list; () = all tables may be read
    """

    lake: Place
    limits: tuple[tuple[str, ...], ...] = ()

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
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        raise NotFoundError(
            f"There is no table {name!r} that may be read here",
            fix=f"did you mean {' or '.join(near)}" if near else "list the tables first",
        )

    def check(self, sql: str) -> None:
        """Raises UsageError where a statement is not one that only reads, or reads a table that it may not.

        Judged is what was parsed, not the text: subqueries, CTEs, quoted names and views make no difference.
        """
        from b24lake.lake.statement import parsed  # its parser takes a while to load

        statement = parsed(sql)
        if not self.limits:
            return
        for source in sorted(statement.sources):
            wanted = source.sql_name
            if is_view(self.lake, wanted):
                self._refuse(wanted.removesuffix(SUFFIX), wanted)
                for layer, name in view(self.lake, wanted, statement.columns).tables:
                    self._refuse(f"{layer}.{name}", wanted)
            else:
                self._refuse(wanted, wanted)
                self._refuse(sql_name(find(self.lake, wanted)), wanted)  # a folder's name may hold a dot

    def _refuse(self, table: str, wanted: str) -> None:
        if self.allows(table):
            return
        if table == wanted:
            self.found(wanted)
        raise UsageError(
            f"{wanted} may not be read here",
            why=f"it shows rows of {table}, which this access does not reach",
            fix="name the columns that you need: labels of others are then not looked up; or read the table itself",
        )


def sql_name(path: Place) -> str:
    """The folder of a table as SQL knows it."""
    return f"{path.parent.name}.{path.name}"


def exactly(names: Iterable[str]) -> tuple[str, ...]:
    """Globs that fit these names and nothing else."""
    return tuple(re.sub(r"([*?[])", r"[\1]", name) for name in sorted(names))
