"""`b24lake run …` and `b24lake source run`: what runs there are, what they say, and one more."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json
from b24lake.cli.control import Control, DatabaseAddress, moment, opened

if TYPE_CHECKING:
    from rich.text import Text

app = typer.Typer(help="Runs: list, show, logs, cancel, retry.", no_args_is_help=True)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the beginning of it.", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended; its end is the exit code.")]
_EXIT = {"success": 0, "failed": 1, "partial": 3, "canceled": 130}
_STYLES = {"success": "green", "failed": "red", "partial": "yellow", "running": "blue", "cancelling": "yellow"}
_LEVELS = {"warning": "yellow", "error": "red"}
_LOOK_SECONDS = 0.5
_SILENT = timedelta(minutes=2)  # without a heartbeat, after which a worker is not counted on; clocks may differ


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="run")


@app.command("list", help="The newest runs.")
def list_(
    source: Annotated[str | None, typer.Option(help="Of this source only.", show_default=False)] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="In this state only; may be given several times.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """The newest runs first."""
    from b24lake.control import runs

    with opened(database, home) as control:
        found = runs.listed(control.database, source_id=source, states=state or (), limit=limit)
    if json:
        common.print_json({"runs": found})
        return
    table = _table("run", "source", "state", "cause", "begun", "took", "rows", "requests", "error")
    for run in found:
        table.add_row(*_line(run))
    common.console().print(table)


@app.command(help="One run, stream by stream; its error first.")
def show(run: RunId, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False) -> None:
    """One run, stream by stream."""
    from b24lake.control import runs

    with opened(database, home) as control:
        found = runs.shown(control.database, run)
    if json:
        common.print_json(found)
    else:
        _print(found)


@app.command(help="What a run said, oldest first; --json prints one JSON document a line.")
def logs(
    run: RunId,
    level: Annotated[str, typer.Option(help="From this level on: info, warning or error.")] = "info",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """The log of a run."""
    from b24lake.control import logs as kept
    from b24lake.control import runs

    with opened(database, home) as control:
        run_id, after = runs.shown(control.database, run)["id"], 0
        while True:
            ended = runs.shown(control.database, run_id)["state"] in runs.ENDED  # before: its last lines are there then
            for line in kept.read(control.database, run_id, level=level, after=after):
                after = line["id"]
                _say(line, json=json)
            if ended or not follow:
                return
            time.sleep(_LOOK_SECONDS)


@app.command(help="End a run. What it has read is kept: the next run goes on there.")
def cancel(
    run: RunId, wait: Wait = False, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False
) -> None:
    """End a run."""
    from b24lake.control import runs

    with opened(database, home) as control:
        run_id = runs.shown(control.database, run)["id"]
        runs.cancel(control.database, run_id, control.clock(), requested_by=control.who)
        found = _awaited(control, run_id) if wait else runs.shown(control.database, run_id)
    _answer(found, json=json)


@app.command(help="Ask for a run once more, with the same streams.")
def retry(
    run: RunId, wait: Wait = False, database: DatabaseAddress = None, home: HomeDir = None, json: Json = False
) -> None:
    """Ask for a run once more."""
    from b24lake.control import runs

    with opened(database, home) as control:
        run_id = runs.retry(control.database, run, control.clock(), requested_by=control.who)
        found = _awaited(control, run_id) if wait else runs.shown(control.database, run_id)
    _answer(found, json=json)
    if wait:
        raise typer.Exit(_EXIT[found["state"]])


def run_source(
    name: Annotated[str, typer.Argument(help="The source's id.", show_default=False)],
    full: Annotated[bool, typer.Option("--full", help="Read everything, also what INCREMENTAL would skip.")] = False,
    stream: Annotated[
        list[str] | None,
        typer.Option("--stream", "-s", help="Only this stream, by name or glob; several times.", show_default=False),
    ] = None,
    wait: Wait = False,
    database: DatabaseAddress = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Ask for a run of a source: a worker takes it up within seconds."""
    from b24lake.control import runs

    with opened(database, home) as control:
        run_id = runs.request(
            control.database, name, control.clock(), full=full, streams=stream or (), requested_by=control.who
        )
        found = _awaited(control, run_id) if wait else runs.shown(control.database, run_id)
        alone = not wait and not _workers(control)
    _answer(found, json=json)
    if alone:
        sys.stderr.write("No worker is alive: start one with `b24lake serve` or `b24lake worker`\n")
    if wait:
        raise typer.Exit(_EXIT[found["state"]])


def _workers(control: Control) -> int:
    from b24lake.control import workers

    heard = workers.heartbeats(control.database).values()
    return sum(control.clock() - at < _SILENT for at in heard)  # of others nobody may have noticed that they are dead


def _awaited(control: Control, run_id: str) -> dict[str, Any]:
    """The run when it has ended; its progress goes to a terminal."""
    from b24lake.control import runs

    terminal = common.console(stderr=True)
    with terminal.status(run_id) as status:
        while (found := runs.shown(control.database, run_id))["state"] not in runs.ENDED:
            status.update(_moving(found))
            time.sleep(_LOOK_SECONDS)
    return found


def _moving(run: dict[str, Any]) -> str:
    return "  ".join([run["id"], run["state"], *_so_far(run)])


def _so_far(run: dict[str, Any]) -> list[str]:
    """How far a run is that has not ended."""
    progress = run["progress"]
    parts = [f"waits for {', '.join(progress['waits_for'])}"] if progress.get("waits_for") else []
    if progress.get("rows") is not None:
        parts.append(f"{progress['rows']:,} rows, {progress['requests']:,} requests")
    if progress.get("seconds_left"):
        parts.append(f"about {progress['seconds_left']} s left")
    return parts


# --- printed ----------------------------------------------------------------------------------------------------------


def _answer(run: dict[str, Any], *, json: bool) -> None:
    if json:
        common.print_json(run)
    elif run["ended_at"]:
        _print(run)
    else:
        common.console().print(f"{run['id']}  {run['source']}  {run['state']}")


def _line(run: dict[str, Any]) -> list[Text | str]:
    from rich.text import Text

    error = run["error"]["what"] if run["error"] else ""
    state = Text(run["state"], style=_STYLES.get(run["state"], ""))
    cause = f"{run['cause']} {run['attempt']}" if run["attempt"] > 1 else run["cause"]
    begun = moment(run["started_at"]) or (f"not before {moment(run['not_before'])}" if run["not_before"] else "")
    return [
        run["id"],
        run["source"],
        state,
        cause + (" full" if run["full"] and run["cause"] != "full_sync" else ""),
        begun,
        _took(run),
        f"{run['rows_read']:,}" if run["rows_read"] else "",
        f"{run['requests']:,}" if run["requests"] else "",
        error if len(error) < 60 else f"{error[:59]}…",
    ]


def _took(run: dict[str, Any]) -> str:
    from datetime import datetime

    if not (run["started_at"] and run["ended_at"]):
        return ""
    seconds = (datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])).total_seconds()
    return f"{seconds:,.1f} s"


def _print(run: dict[str, Any]) -> None:
    from rich.text import Text

    terminal = common.console()
    error = run["error"]
    for part in ("what", "why", "fix") if error else ():
        if error.get(part):
            terminal.print(Text(f"{part}: {error[part]}", style="red" if part == "what" else ""))
    terminal.print(Text.assemble((run["state"], f"bold {_STYLES.get(run['state'], '')}"), f"  {_story(run)}"))
    streams = run["streams"] or run["progress"].get("streams", [])
    if streams:
        table = _table("stream", "state", "rows", "new", "changed", "gone", "pages", "portal s", "rests", "error")
        for line in streams:
            table.add_row(*_stream(line))
        terminal.print(table)
    for note in run["notes"]:
        terminal.print(Text(note, style="yellow"))


def _story(run: dict[str, Any]) -> str:
    parts = [run["id"], f"source {run['source']}", f"cause {run['cause']}{' (full)' if run['full'] else ''}"]
    parts += [f"attempt {run['attempt']}"] if run["attempt"] > 1 else []
    parts += [f"after {run['retry_of']}"] if run["retry_of"] else []
    parts += [f"by {run['requested_by']}"] if run["requested_by"] else []
    parts += [f"begun {moment(run['started_at'])}"] if run["started_at"] else []
    parts += [f"took {_took(run)}"] if _took(run) else []
    parts += [f"worker {run['worker']}"] if run["worker"] else []
    parts += [f"taken up {run['claims']} times"] if run["claims"] > 1 else []
    parts += [f"not before {moment(run['not_before'])}"] if run["not_before"] and not run["ended_at"] else []
    parts += [] if run["ended_at"] else _so_far(run)
    return ", ".join(parts)


def _stream(line: dict[str, Any]) -> list[Text | str]:
    """A line of the report, or of the progress."""
    from rich.text import Text

    state = line.get("status") or line.get("state") or ""
    counts = [line.get(name) for name in ("rows_inserted", "rows_updated", "rows_deleted", "commands")]
    rows = line.get("rows_read", line.get("rows"))
    return [
        line.get("stream") or line["name"],
        Text(state, style=_STYLES.get(state, "")),
        *("" if count is None else f"{count:,}" for count in (rows, *counts)),
        f"{line.get('portal_seconds') or 0:,.1f}",
        f"{line.get('rests') or ''}",
        line.get("error") or "",
    ]


def _say(line: dict[str, Any], *, json: bool) -> None:
    import orjson
    from rich.text import Text

    if json:
        sys.stdout.write(orjson.dumps(line).decode() + "\n")
        sys.stdout.flush()
        return
    told = " ".join(f"{name}={value}" for name, value in line["data"].items())
    words = [moment(line["at"]), f"{line['level']:7}", line["stream"] or "", line["event"], told]
    terminal = common.console()
    terminal.print(
        Text("  ".join(word for word in words if word), style=_LEVELS.get(line["level"], "")), soft_wrap=True
    )


def _table(*headings: str) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    numbers = {"took", "rows", "requests", "new", "changed", "gone", "pages", "portal s", "rests"}
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left", no_wrap=heading != "error")
    return table


def add_to_sources(sources: typer.Typer) -> None:
    """Add `source run` to the commands about sources."""
    sources.command("run", help="Ask for a run of a source: a worker takes it up within seconds.")(run_source)
