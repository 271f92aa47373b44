"""The list of sources, and what can be done to one from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Response
from sqlalchemy.orm import raiseload

from b24lake.control import claims, sources, starting, triggers
from b24lake.control.database import Database
from b24lake.control.health import Health, Looked, looked
from b24lake.control.models import Source
from b24lake.control.recent import NEWEST, Recent
from b24lake.control.runs import AT_WORK, ENDED, WAITING
from b24lake.errors import UsageError
from b24lake.web.asking import Asked, Asking, Form, Sent, may, seen_after
from b24lake.web.pages.one_source import changing, existing

router = APIRouter(prefix="/sources", include_in_schema=False)
PAGE = 25  # sources on one page
BADGES = ("stopped", "failing", "late", "partial", "running", "queued", "new", "ok", "paused", "draft")
"""As `control.health` says them, those that want a person first."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_FAR = datetime.max.replace(tzinfo=UTC)


class Bar(NamedTuple):
    """A run in the strip: its state, and where its bar is, in a drawing that is 24 high."""

    state: str
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """A source as the list shows it.

    last       the newest run that has ended
    at_work    a run that is being performed, or waits
    runs       the newest ones, newest first
    """

    source: Source
    health: Health
    next_at: datetime | None
    last: Recent | None
    at_work: Recent | None
    runs: Sequence[Recent]

    @property
    def strip(self) -> list[Bar]:
        """The newest runs as bars; made for the lines only that are shown."""
        return strip(self.runs[:NEWEST][::-1])


@dataclass(frozen=True, slots=True)
class Which:
    """What of the list is wanted."""

    words: str = ""
    state: str = ""
    sort: str = "name"
    page: int = 1

    def address(self, **changes: Any) -> str:
        """The list, asked for so; what is as usual is left out."""
        fields = {"q": self.words, "state": self.state, "sort": self.sort, "page": self.page, **changes}
        usual = {"q": "", "state": "", "sort": "name", "page": 1}
        query = urlencode({name: value for name, value in fields.items() if value != usual[name]})
        return f"/sources?{query}" if query else "/sources"


SORTS: dict[str, Callable[[Line], Any]] = {
    "name": lambda line: line.source.name.casefold(),
    "health": lambda line: (BADGES.index(line.health.badge), line.source.name.casefold()),
    "success": lambda line: line.health.fresh_at or _NEVER,
    "next": lambda line: line.next_at or _FAR,
    "rows": lambda line: -(line.last.rows_read if line.last else -1),
}


def line_of(one: Looked, now: datetime) -> Line:
    """What the list says of a source."""
    last = next((run for run in one.runs if run.state in ENDED), None)
    at_work = next((run for run in one.runs if run.state in (*AT_WORK, *WAITING)), None)
    next_at = triggers.next_run(one.source, one.triggers, now)
    return Line(one.source, one.health, next_at, last, at_work, one.runs)


def strip(runs: Sequence[Recent]) -> list[Bar]:
    """Runs as bars, the oldest first, pushed to the right: the longer a run took, the higher its bar."""
    longest = max((run.seconds or 0 for run in runs), default=0) or 1
    heights = [round(5 + 19 * ((run.seconds or 0) / longest) ** 0.5, 1) for run in runs]
    first = NEWEST - len(runs)
    bars = [
        (run.state, (first + place) * 8, height) for place, (run, height) in enumerate(zip(runs, heights, strict=True))
    ]
    return [Bar(state, x, round(24 - height, 1), height) for state, x, height in bars]


def wanted(lines: Iterable[Line], asked: Which) -> list[Line]:
    """The lines that were asked for, in the order that was asked for: all words somewhere in what people see."""
    words = asked.words.casefold().split()
    found = [line for line in lines if _holds(line, words) and asked.state in {"", *_states(line)}]
    return sorted(found, key=SORTS[asked.sort])


def _holds(line: Line, words: Sequence[str]) -> bool:
    source = line.source
    text = f"{source.name} {source.description} {source.id} {source.portal_address}".casefold()
    return all(word in text for word in words)


def _states(line: Line) -> set[str]:
    at_work = {"running" if line.at_work.state in AT_WORK else "queued"} if line.at_work else set()
    return {line.health.badge} | at_work


def all_lines(database: Database, now: datetime) -> list[Line]:
    """Every source; the number of queries does not depend on how many there are."""
    with database.reading() as session:
        return [line_of(one, now) for one in looked(session, now, options=[raiseload(Source.streams)])]


# --- pages ------------------------------------------------------------------------------------------------------------


@router.get("")
def listed(asked: Asked) -> Response:
    """All sources, or those that were asked for; htmx gets the list alone."""
    return _answer(asked, _wanted(asked.request.query_params))


def _wanted(fields: Any) -> Which:
    sort, page = fields.get("sort") or "name", str(fields.get("page") or "1")
    return Which(
        str(fields.get("q") or "").strip()[:200],
        str(fields.get("state") or "") if fields.get("state") in BADGES else "",
        sort if sort in SORTS else "name",
        min(int(page), 10_000) if page.isascii() and page.isdigit() and len(page) < 6 and int(page) else 1,
    )


def _answer(asked: Asking, which: Which, *, message: str = "", link: str = "", level: str = "success") -> Response:
    lines = all_lines(asked.site.database, asked.viewer.now)
    found = wanted(lines, which)
    pages = max(1, -(-len(found) // PAGE))
    page = min(which.page, pages)
    answer = asked.page(
        "sources/list.html" if asked.fragment else "sources/index.html",
        section="sources",
        lines=found[(page - 1) * PAGE : page * PAGE],
        count=len(found),
        total=len(lines),
        which=which,
        page=page,
        pages=pages,
        busy=any(line.at_work for line in found),
        states=[badge for badge in BADGES if any(badge in _states(line) for line in lines) or badge == which.state],
        message=message,
        link=link,
        level=level,
    )
    if asked.fragment and asked.request.method == "GET":
        answer.headers["HX-Replace-Url"] = which.address()
    return answer


# --- what can be done -------------------------------------------------------------------------------------------------


@router.post("/{source_id}/run", dependencies=[may("editor")])
def run(source_id: str, asked: Asked, form: Sent) -> Response:
    """The arrow: one run, however often it is pressed."""
    site, actor = asked.site, asked.actor
    existing(asked, source_id)
    try:
        pressed = starting.press(site.database, source_id, actor.at, full=form.on("full"), requested_by=actor.who)
    except UsageError as error:
        return _refused(asked, form, error)
    if pressed.new:
        said = asked.say("The run is in the queue and begins in a moment.")
    elif pressed.state == "queued":
        said = asked.say("A run waits already: nothing was added.")
    else:
        said = asked.say("A run is at work already: nothing was added.")
    return _done(asked, form, said, link=f"/runs/{pressed.run_id}", level="success" if pressed.new else "info")


@router.post("/{source_id}/pause", dependencies=[may("editor")])
def pause(source_id: str, asked: Asked, form: Sent) -> Response:
    """No more runs by themselves."""
    try:
        with changing(asked, source_id) as (session, source):
            sources.pause(session, asked.actor, source)
    except UsageError as error:
        return _refused(asked, form, error)
    return _done(asked, form, asked.say("{name} is paused: it runs only by hand.").format(name=source.name))


@router.post("/{source_id}/resume", dependencies=[may("editor")])
def resume(source_id: str, asked: Asked, form: Sent) -> Response:
    """Go on after a pause, or after too many failures."""
    try:
        with changing(asked, source_id) as (session, source):
            sources.resume(session, asked.actor, source)
    except UsageError as error:
        return _refused(asked, form, error)
    return _done(asked, form, asked.say("{name} goes on.").format(name=source.name))


@router.post("/{source_id}/duplicate", dependencies=[may("editor")])
def duplicate(source_id: str, asked: Asked, form: Sent) -> Response:  # noqa: ARG001  Sent checks the form's token
    """A draft with the same settings and tables of its own, to be looked through in the wizard."""
    with changing(asked, source_id) as (session, source):
        name = asked.say("{name} copy").format(name=source.name)[:100]
        made = sources.duplicate(session, asked.site.here, asked.actor, source, name).id
    return seen_after(asked, f"/sources/{made}/setup")


@router.get("/{source_id}/delete", dependencies=[may("editor")])
def ask_delete(source_id: str, asked: Asked) -> Response:
    """What deleting would take away, and what is to become of the tables."""
    return _ask_delete(asked, source_id)


def _ask_delete(asked: Asking, source_id: str, error: UsageError | None = None, tables: str = "") -> Response:
    source = existing(asked, source_id)
    names = sorted(claims.shown(path) for path in claims.owned_tables(source, asked.site.here))
    return asked.page(
        "sources/delete.html",
        status=400 if error else 200,
        section="sources",
        source=source,
        names=names,
        error=error,
        tables=tables,
    )


@router.post("/{source_id}/delete", dependencies=[may("editor")])
def delete(source_id: str, asked: Asked, form: Sent) -> Response:
    """Delete a source; its tables stay or go, as was said."""
    tables = form.text("tables")
    try:
        with changing(asked, source_id) as (session, source):
            none = not tables and not claims.owned_tables(source, asked.site.here)
            gone = sources.delete(session, asked.site.here, asked.actor, source, tables="keep" if none else tables)
    except UsageError as error:
        return _ask_delete(asked, source_id, error, tables)
    claims.remove(gone, asked.site.here.home)
    asked.site.index.changed()
    return seen_after(asked, "/sources", asked.say("{name} is deleted.").format(name=source.name))


def _done(asked: Asking, form: Form, said: str, *, link: str = "", level: str = "success") -> Response:
    """Back to where the viewer was: the list by htmx, else the page itself."""
    if asked.fragment:
        return _answer(asked, _wanted(form.data), message=said, link=link, level=level)
    back = urlsplit(asked.request.headers.get("referer", "")).path  # its path alone: never away from here
    return seen_after(asked, back if back.startswith("/sources") else "/sources", said)


def _refused(asked: Asking, form: Form, error: UsageError) -> Response:
    """What cannot be done is said beside the list; without scripts it is a page of its own."""
    if not asked.fragment:
        raise error
    told = asked.viewer.language.wording.told
    said = ". ".join(told(part) for part in (error.what, error.why, error.fix) if part)
    return _answer(asked, _wanted(form.data), message=said, level="danger")
