"""`b24lake history`, `diff` and `restore`: travelling in time."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.cli.tables import TableName
from b24lake.errors import UsageError

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from b24lake.lake.comparing import Comparison, RowChange
    from b24lake.lake.place import Place
    from b24lake.lake.restoring import Restored
    from b24lake.lake.versions import VersionInfo

VERSIONS = 20  # on the screen; --json has all
ROWS, ROWS_AS_JSON = 20, 1_000
WIDEST = 60  # characters of a value on the screen
WIDE = 130  # columns of a screen that has room for everything

Version = Annotated[str, typer.Argument(help="A version, or a time such as 2026-10-20T12:00 (UTC).")]
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="List a table's versions: when, by which run, what changed, and whether they can be read.")(
        history
    )
    app.command(help="Compare two versions of a table: rows that are new, gone or changed.")(diff)
    app.command(help="Make an earlier version of a table its newest one.")(restore)


def history(
    table: TableName,
    limit: Annotated[
        int | None,
        typer.Option(help=f"Newest versions to list. [default: {VERSIONS}, with --json all]", show_default=False),
    ] = None,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """List a table's versions."""
    from b24lake.lake import catalog, versions

    if limit is not None and limit < 1:
        raise UsageError("--limit is less than 1", fix="give the number of versions to list")
    path = catalog.find(common.lake(lake, home), table)
    most = limit or (None if json else VERSIONS)
    found = versions.history(path, catalog.opened(path), most)
    if json:
        common.print_json({"table": sql_name(path), "versions": [asdict(one) for one in found]})
    else:
        _list(found)
        if most is not None and len(found) == most and found[-1].version:
            common.console(stderr=True).print("[dim]there are older ones; see --limit[/]")


def sql_name(path: Place) -> str:
    """As SQL knows the table in this folder."""
    return f"{path.parent.name}.{path.name}"


def _list(found: tuple[VersionInfo, ...]) -> None:
    from rich.table import Table

    terminal = common.console()
    lines = [_line(one) for one in found]
    if terminal.width < WIDE:
        for line in lines:
            del line["sync type"]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in lines[0]:
        justify: JustifyMethod = "right" if heading in {"version", "new", "changed", "gone"} else "left"
        # On a narrow screen the run's id is cut, and nothing else.
        least = 0 if heading == "run" else max(len(heading), *(len(line[heading]) for line in lines))
        table.add_column(heading, justify=justify, no_wrap=True, min_width=least)
    for line in lines:
        table.add_row(*(f"[red]{word}[/]" if word == "no" else word for word in line.values()))
    terminal.print(table)


def _line(one: VersionInfo) -> dict[str, str]:
    counts = {"new": one.inserted, "changed": one.updated, "gone": one.deleted}
    return {
        "version": str(one.version),
        "written (UTC)": f"{one.at:%Y-%m-%d %H:%M:%S}",
        "what": one.did,
        "sync type": one.metadata.get("sync_type", ""),
        **{name: "" if count is None else f"{count:,}" for name, count in counts.items()},
        "readable": "yes" if one.readable else "no",
        "run": one.run_id,
    }


def diff(
    table: TableName,
    before: Annotated[str, typer.Argument(metavar="V1", help="The earlier version, or a time in UTC.")],
    after: Annotated[str, typer.Argument(metavar="V2", help="The later one.")],
    limit: Annotated[
        int | None,
        typer.Option(
            help=f"Most rows to list; all are counted. [default: {ROWS}, with --json {ROWS_AS_JSON}]",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Column that tells rows apart. [default: the table's key]", show_default=False)
    ] = None,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Compare two versions of a table."""
    from b24lake.lake import catalog, versions
    from b24lake.lake.comparing import compare
    from b24lake.lake.files import reopened

    if limit is not None and limit < 0:
        raise UsageError("--limit is negative", fix="give the number of rows to list, or 0")
    path = catalog.find(common.lake(lake, home), table)
    known = versions.history(path, catalog.opened(path))
    chosen = [versions.as_of(known, wanted, sql_name(path)) for wanted in (before, after)]
    states = [reopened(path, each.version) for each in chosen]
    most = limit if limit is not None else ROWS_AS_JSON if json else ROWS
    found = compare(path, *states, key=key, limit=most)
    if json:
        told = {"table": sql_name(path), "before": chosen[0].version, "after": chosen[1].version}
        common.print_json({**told, **asdict(found), "truncated": found.truncated})
    else:
        _show(sql_name(path), chosen[0].version, chosen[1].version, found)


def _show(name: str, before: int, after: int, found: Comparison) -> None:
    terminal = common.console()
    rows = "row" if found.added == 1 else "rows"
    counts = f"{found.added:,} {rows} added, {found.removed:,} removed, {found.changed:,} changed"
    terminal.print(f"[bold]{name}[/] from version {before} to {after}: {counts}")
    for change in found.schema:
        terminal.print(
            f"column {change.column} {change.kind}: {' -> '.join(filter(None, (change.before, change.after)))}"
        )
    if found.columns:
        changed = sorted(found.columns.items(), key=lambda each: (-each[1], each[0]))
        terminal.print("changed in: " + ", ".join(f"{column} ({count:,})" for column, count in changed))
    if found.rows:
        _rows(found)
    if found.truncated and found.rows:
        common.console(stderr=True).print(f"[dim]only the first {len(found.rows):,} rows; see --limit[/]")


def _rows(found: Comparison) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("", found.key, "column", "before", "after"):
        table.add_column(heading, justify="right" if heading == found.key else "left")
    for row in found.rows:
        sign, color = _SIGNS[row.kind]
        for number, values in enumerate(_values(row)):
            begin = (sign, str(row.key)) if number == 0 else ("", "")
            table.add_row(*(Text(word, style=color) for word in begin), *(Text(word) for word in values))
    common.console().print()
    common.console().print(table)


def _values(row: RowChange) -> list[tuple[str, str, str]]:
    """Column, before, after; rows that are new or gone are named only."""
    if row.kind != "changed":
        return [("", "", "")]
    return [(column, _cell(row.before[column]), _cell(after)) for column, after in row.after.items()]


def _cell(value: Any) -> str:
    from b24lake.cli.query import cell

    text = cell(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def restore(table: TableName, version: Version, lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """Make an earlier version of a table its newest one."""
    from b24lake.lake import catalog, restoring, versions
    from b24lake.lake.table import our_owner

    path = catalog.find(common.lake(lake, home), table)
    with common.table_lock(path, home) as run_id:
        state = catalog.opened(path)
        our_owner(path, state)
        wanted = versions.as_of(versions.history(path, state), version, sql_name(path))
        done = restoring.restore(path, state, wanted.version, run_id)
    if json:
        told = {"table": sql_name(path), "restored": wanted.version, "version": done.version}
        common.print_json({**told, "bookmark": _bookmark(done)})
    else:
        _say(sql_name(path), wanted, done)


def _bookmark(done: Restored) -> str | None:
    from b24lake.lake.bookmarks import value_shown

    return value_shown(done.bookmark) or None if done.bookmark else None


def _say(name: str, wanted: VersionInfo, done: Restored) -> None:
    from b24lake.lake.versions import shown

    if done.version is None:
        typer.echo(f"Version {wanted.version} is the newest one of {name}: nothing was written.")
        return
    typer.echo(f"{name} holds again what it held in version {wanted.version}, written {shown(wanted.at)}.")
    mark = _bookmark(done)
    begins = f"begins at {mark}" if mark else "is a full one"
    typer.echo(f"This is version {done.version}. The next read {begins}.")
