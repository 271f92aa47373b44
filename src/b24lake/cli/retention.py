"""`b24lake vacuum` and `retention`: how long old versions are kept."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.cli.history import sql_name
from b24lake.cli.tables import TableName, size
from b24lake.errors import B24LakeError

if TYPE_CHECKING:
    from b24lake.lake.compacting import Compaction
    from b24lake.lake.place import Place
    from b24lake.lake.retention import Effect, Kept

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="Remove what is older than the tables keep it, and make small files into larger ones.")(vacuum)
    app.command(help="Show or change how long a table keeps old versions.")(retention)


@dataclass(frozen=True)
class _Tidied:
    """What `vacuum` does to one table; `error` says why it does nothing."""

    table: str
    effect: Effect | None = None
    compaction: Compaction | None = None
    error: B24LakeError | None = None

    @property
    def nothing(self) -> bool:
        """Whether the table stays as it is, since all is well."""
        return self.error is None and self.compaction is None and (self.effect is None or self.effect.nothing)

    def document(self) -> dict[str, Any]:
        """For scripts."""
        gone, small = self.effect, self.compaction
        return {
            "table": self.table,
            "versions": list(gone.versions) if gone else [],
            "until": gone.until if gone else None,
            "files_removed": len(gone.files) if gone else 0,
            "bytes_removed": gone.bytes if gone else 0,
            "files_compacted": small.files if small else 0,
            "error": self.error.as_json() if self.error else None,
        }


def vacuum(
    table: Annotated[
        str | None, typer.Argument(help="layer.table, or its name alone. [default: all tables]", show_default=False)
    ] = None,
    dry_run: DryRun = False,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Remove what is older than the tables keep it; it is said beforehand."""
    from b24lake.lake import catalog

    folder = common.lake(lake, home)
    if table is not None:
        done = [_tidy(catalog.find(folder, table), home, dry_run=dry_run, quiet=json)]
    else:
        paths = [path for path in catalog.table_folders(folder) if _is_ours(path)]
        done = [_try(path, home, dry_run=dry_run, quiet=json) for path in paths]
    same = sum(one.nothing for one in done)
    if not json and (same or not done):
        typer.echo(f"Nothing to do for {same:,} of {len(done):,} table{'' if len(done) == 1 else 's'}.")
    if json:
        common.print_json({"dry_run": dry_run, "tables": [one.document() for one in done]})
    raise typer.Exit(int(any(one.error for one in done)))


def _is_ours(path: Place) -> bool:
    """Tables of other programs are none of our business; one that cannot be read is told of."""
    from b24lake.lake import catalog
    from b24lake.lake.table import owner_of

    try:
        return owner_of(catalog.opened(path)) is not None
    except B24LakeError:
        return True


def _try(path: Place, home: Path | None, *, dry_run: bool, quiet: bool) -> _Tidied:
    try:
        return _tidy(path, home, dry_run=dry_run, quiet=quiet)
    except B24LakeError as error:
        common.complain(error)
        return _Tidied(sql_name(path), error=error)


def _tidy(path: Place, home: Path | None, *, dry_run: bool, quiet: bool) -> _Tidied:
    from b24lake.lake import catalog, compacting, retention
    from b24lake.lake.table import our_owner

    now = datetime.now(UTC)
    with nullcontext("") if dry_run else common.table_lock(path, home) as run_id:
        state = catalog.opened(path)
        our_owner(path, state)
        found = _Tidied(sql_name(path), retention.effect(path, state, now), compacting.planned(path, state))
        if not quiet and not found.nothing:
            _say(found)
        if found.compaction and not dry_run:
            compacting.compact(path, state, found.compaction, run_id)
        if not dry_run:
            retention.apply(path, catalog.opened(path), now)
    return found


def _say(found: _Tidied) -> None:
    gone, small = found.effect, found.compaction
    if gone is not None and not gone.nothing:
        files = f" {_files(len(gone.files))} to be removed: {size(gone.bytes)}." if gone.files else ""
        typer.echo(f"{found.table}: {gone.words()}.{files}")
    if small is not None:
        typer.echo(f"{found.table}: {small.files:,} small files, {size(small.bytes)}, become about {small.into:,}.")


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def retention(
    table: TableName,
    log: Annotated[
        str | None, typer.Option(help="How long versions are kept, as 30d; files follow, 7 days longer.")
    ] = None,
    files: Annotated[
        str | None, typer.Option(help="How long files are kept that no version shows any more, as 37d.")
    ] = None,
    dry_run: DryRun = False,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Show or change how long a table keeps old versions."""
    from b24lake.lake import catalog
    from b24lake.lake import retention as rules

    path = catalog.find(common.lake(lake, home), table)
    asked = [None if text is None else common.duration(text) for text in (log, files)]
    if asked == [None, None]:
        state = catalog.opened(path)
        wanted = rules.kept(state)
        effect = rules.effect(path, state, datetime.now(UTC))
    else:
        wanted, effect = _change(path, home, asked, dry_run=dry_run)
    if json:
        days = {"log_days": _days(wanted.log), "file_days": _days(wanted.files)}
        common.print_json({"table": sql_name(path), **days, "versions": list(effect.versions), "until": effect.until})
        return
    _tell(path, wanted, effect)


def _change(path: Place, home: Path | None, asked: list[timedelta | None], *, dry_run: bool) -> tuple[Kept, Effect]:
    from b24lake.lake import catalog
    from b24lake.lake import retention as rules
    from b24lake.lake.table import our_owner

    with common.table_lock(path, home) as run_id:
        state = catalog.opened(path)
        our_owner(path, state)
        wanted = rules.changed(rules.kept(state), *asked)
        effect = rules.effect(path, state, datetime.now(UTC), wanted)
        if not dry_run:
            rules.set_kept(path, state, wanted, run_id)
    return wanted, effect


def _tell(path: Place, wanted: Kept, effect: Effect) -> None:
    typer.echo(
        f"{sql_name(path)} keeps versions for {_in_days(wanted.log)}"
        f" and files that none of them shows for {_in_days(wanted.files)}."
    )
    if wanted.files < wanted.log:
        typer.echo("Versions whose files have gone stay in its history, but cannot be read.")
    typer.echo(f"At the next vacuum or run: {effect.words()}.")


def _days(time: timedelta) -> float:
    return time / timedelta(days=1)


def _in_days(time: timedelta) -> str:
    return f"{_days(time):g} day{'' if _days(time) == 1 else 's'}"
