"""The SELECT that stands for a table or view, or for some of its columns, as it is or was."""

from __future__ import annotations

from collections.abc import Collection

from b24lake.lake.catalog import describe, find
from b24lake.lake.columns import literal, quoted
from b24lake.lake.place import Place
from b24lake.lake.views import is_view, view


def select_of(
    lake: Place, table: str, *, at: str | None = None, columns: Collection[str] = ()
) -> tuple[str, int | None]:
    """The SELECT, and how many rows it will have where the log tells.

    table     a table or view, with or without its layer
    at        the table as of this version or time
    columns   none = all

    Raises UsageError where there is no such table or version.
    """
    if is_view(lake, table):
        name, rows = view(lake, table).name, None
    else:
        path = find(lake, table)
        name = f"{path.parent.name}.{path.name}"
        rows = describe(lake, name, at).info.rows
    selected = ", ".join(map(quoted, columns)) or "*"
    then = ""
    if at:
        then = f" VERSION AS OF {at}" if at.isascii() and at.isdigit() else f" TIMESTAMP AS OF {literal(at)}"
    return f"SELECT {selected} FROM {'.'.join(map(quoted, name.split('.')))}{then}", rows  # noqa: S608
