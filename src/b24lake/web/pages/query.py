"""The SQL explorer: an editor, the rows of one SELECT, what was run before, and what was saved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Event
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from b24lake.control import queries
from b24lake.control.models import SavedQuery
from b24lake.errors import B24LakeError, SqlError, UsageError
from b24lake.lake.guarded import TIME_IS_UP, Beginning
from b24lake.lake.naming import table_name
from b24lake.web import completing, querying
from b24lake.web.asking import Asked, Asking, Form, Sent, may, seen_after
from b24lake.web.failing import status_of

router = APIRouter(prefix="/query", include_in_schema=False)
WITHOUT_SCRIPT = 100  # rows that a page has on which no script shows them
PREFILLED = 100  # rows that the SQL for a table asks for
ERROR_KEPT = 1_000  # signs
_NUMBERS = ("byte", "short", "integer", "long", "float", "double", "decimal", "uint", "halffloat")


# --- the page ---------------------------------------------------------------------------------------------------------


@router.get("")
def explorer(asked: Asked, sql: str = "", table: str = "", saved: str = "", past: int = 0) -> Response:
    """The editor with SQL from the address, of a table, a saved query or an earlier one; nothing runs by itself."""
    site = asked.site
    values: dict[str, Any] = {"sql": sql}
    with site.database.reading() as session:
        if saved:
            one = queries.found(session, saved)
            values = {"sql": one.sql, "name": one.name, "description": one.description, "chosen": one}
        elif past:
            values = {"sql": queries.past_one(session, asked.actor.who, past).sql}
    if table and not values["sql"]:
        values["sql"] = f"SELECT *\nFROM {table_name(table)}\nLIMIT {PREFILLED}"
    return _page(asked, **values)


@router.post("", dependencies=[may("viewer")])
def run_without_script(asked: Asked, form: Sent) -> Response:
    """Run the SQL of the form, and show its first rows on the page."""
    try:
        found, seconds = _run(asked, form, Event())
    except B24LakeError as error:
        return _page(asked, error=_advised(asked, error), **_typed(asked, form))
    return _page(asked, answer=_answer(asked, found, seconds, WITHOUT_SCRIPT), **_typed(asked, form))


def _page(asked: Asking, *, error: B24LakeError | None = None, status: int = 0, **values: Any) -> Response:
    site, who = asked.site, asked.actor.who
    with site.database.reading() as session:
        shown = {"listed": queries.listed(session), "ran": queries.past(session, who)}
    told: dict[str, Any] = {
        "section": "query",
        "sql": "",
        "name": "",
        "description": "",
        "chosen": None,
        "answer": None,
        "error": error,
        "escape": False,
        "limit": querying.LIMIT,
        "seconds": querying.SECONDS,
        "limits": querying.LIMITS,
        "times": querying.TIMES,
        "kept": queries.KEPT,
        "may_change": lambda one: _may_change(asked, one),
        **shown,
        **values,
    }
    return asked.page("query/page.html", status=status or (status_of(error) if error else 200), **told)


def _typed(asked: Asking, form: Form) -> dict[str, Any]:
    """What was in the form, to be shown again."""
    typed: dict[str, Any] = {name: form.text(name) for name in ("sql", "name", "description")}
    typed |= {"escape": form.on("escape"), "chosen": _chosen(asked, form.text("saved"))}
    numbers = {"limit": (querying.LIMITS, querying.LIMIT), "seconds": (querying.TIMES, querying.SECONDS)}
    for name, (choices, otherwise) in numbers.items():
        given = form.text(name)
        typed[name] = int(given) if given in map(str, choices) else otherwise
    return typed


def _chosen(asked: Asking, saved: str) -> SavedQuery | None:
    try:
        with asked.site.database.reading() as session:
            return queries.found(session, saved) if saved else None
    except UsageError:
        return None


# --- running ----------------------------------------------------------------------------------------------------------


@router.post("/run", dependencies=[may("viewer")])
async def run(asked: Asked, form: Sent, request: Request) -> Response:
    """The first rows of an answer as JSON, or where its SQL is wrong. It ends when the browser does not wait for it."""
    sql = form.secret("sql")

    def work(stop: Event) -> dict[str, Any]:
        try:
            found, seconds = _run(asked, form, stop)
        except B24LakeError as error:
            return {"error": _error(asked, sql, error)}
        return _answer(asked, found, seconds)

    return JSONResponse(await querying.until_gone(request, work))


def _run(asked: Asking, form: Form, stop: Event) -> tuple[Beginning, float]:
    """Run the SQL of a form and remember it, however it ended. Returns its rows, and how many seconds it took."""
    sql, began = queries.checked(form.secret("sql")), time.monotonic()
    limit = _number(form, "limit", querying.LIMITS, querying.LIMIT)
    seconds = _number(form, "seconds", querying.TIMES, querying.SECONDS)
    try:
        found = querying.beginning(asked.site, sql, limit=limit, seconds=seconds, stop=stop)
    except B24LakeError as error:
        said = ". ".join(filter(None, (error.what, error.why)))[:ERROR_KEPT]
        _remember(asked, sql, time.monotonic() - began, error=said)
        raise
    took = time.monotonic() - began
    _remember(asked, sql, took, rows=found.rows.num_rows)
    return found, took


def _remember(asked: Asking, sql: str, seconds: float, **how: Any) -> None:
    with asked.site.database.writing() as session:
        queries.remember(session, asked.actor.who, asked.viewer.now, sql, seconds=seconds, **how)


def _number(form: Form, name: str, choices: tuple[int, ...], otherwise: int) -> int:
    given = form.text(name) or str(otherwise)
    if given not in map(str, choices):
        raise UsageError(f"{given[:20]!r} is no choice for {name}", fix=f"choose of {', '.join(map(str, choices))}")
    return int(given)


def _answer(asked: Asking, found: Beginning, seconds: float, most: int | None = None) -> dict[str, Any]:
    """Rows for people: columns with their types and labels, values as texts, and what there is to say about them."""
    from b24lake.lake.columns import comment, type_name

    viewer, count, said = asked.viewer, found.rows.num_rows, asked.viewer.language
    columns = [
        {"name": field.name, "type": type_name(field.type), "label": comment(field)} for field in found.rows.schema
    ]
    note = ""
    if found.cut == "rows":
        note = asked.say("There are more rows. Choose a higher limit, or download them all.")
    elif found.cut == "bytes":
        note = asked.say("There are more rows, but these fill the page. Choose fewer columns, or download them all.")
    elif most is not None and count > most:
        note = asked.say("Only the first rows are shown.")
    rows = said.texts("%(num)s row", "%(num)s rows", count).replace("%(num)s", said.number(count))
    return {
        "columns": [{**each, "number": each["type"].startswith(_NUMBERS)} for each in columns],
        "rows": querying.cells(found.rows.slice(0, most) if most is not None else found.rows),
        "said": f"{rows} · {viewer.language.number(seconds, 1)} s",
        "note": note,
    }


def _advised(asked: Asking, error: B24LakeError) -> B24LakeError:
    """The error with advice for this page: where time is up, that of the command line helps nobody here."""
    if error.code != TIME_IS_UP:
        return error
    fix = asked.say("make it smaller (WHERE, a join on keys), or choose a longer time limit")
    return UsageError(error.what, why=error.why, fix=fix)


def _error(asked: Asking, sql: str, error: B24LakeError) -> dict[str, Any]:
    """An error as the editor shows it; `from` and `to` count as JavaScript does."""
    advised, told = _advised(asked, error), asked.viewer.language.wording.told
    document: dict[str, Any] = {name: told(text) for name, text in advised.as_json().items() if name != "code"}
    if isinstance(error, SqlError) and error.at:
        document |= dict(zip(("from", "to"), (_units(sql.replace("\r\n", "\n"), at) for at in error.at), strict=True))
    return document


def _units(text: str, offset: int) -> int:
    """An offset in UTF-16 units.

    >>> _units("a😀b", 2)
    3
    """
    return len(text[:offset].encode("utf-16-le", "surrogatepass")) // 2


@router.post("/csv", dependencies=[may("viewer")])
async def download(asked: Asked, form: Sent, request: Request) -> Response:
    """The whole answer as a file; where there is none, the page says why, with the SQL as it was."""

    def begun(stop: Event) -> tuple[querying.Download, bytes]:
        sql = queries.checked(form.secret("sql"))
        made = querying.Download(asked.site, sql, stop, escape_formulas=form.on("escape"))
        return made, made.first()

    try:
        made, first = await querying.until_gone(request, begun)
    except B24LakeError as error:
        return await run_in_threadpool(
            lambda told: _page(asked, error=told, **_typed(asked, form)), _advised(asked, error)
        )
    headers = {"Content-Disposition": f'attachment; filename="query-{asked.viewer.now:%Y-%m-%d-%H%M%S}.csv"'}
    return StreamingResponse(made.pieces(first, request), media_type="text/csv; charset=utf-8", headers=headers)


# --- what the editor asks for -----------------------------------------------------------------------------------------


@router.get("/names")
def names(asked: Asked) -> Response:
    """What there is to be completed: layers, tables, functions."""
    return JSONResponse(completing.names(asked.site))


@router.get("/columns")
def columns(asked: Asked, table: str) -> Response:
    """The columns of one table or view."""
    return JSONResponse(completing.columns(asked.site, table))


@router.get("/past")
def past(asked: Asked) -> Response:
    """What this person ran, as a part of the page."""
    with asked.site.database.reading() as session:
        ran = queries.past(session, asked.actor.who)
    return asked.page("query/past.html", ran=ran)


@router.post("/past/forget", dependencies=[may("viewer")])
def forget(asked: Asked, form: Sent) -> Response:  # noqa: ARG001  it has checked the token
    """Forget what this person ran."""
    with asked.site.database.writing() as session:
        queries.forget(session, asked.actor.who)
    return seen_after(asked, "/query", asked.say("Your history is empty now."))


# --- saved queries ----------------------------------------------------------------------------------------------------


@router.post("/saved", dependencies=[may("viewer")])
def save(asked: Asked, form: Sent) -> Response:
    """Save the SQL of the form under a name."""
    return _saved(asked, form, "")


@router.post("/saved/{query}", dependencies=[may("viewer")])
def change(asked: Asked, form: Sent, query: str) -> Response:
    """Save a query once more, with another name, description or SQL."""
    return _saved(asked, form, query)


def _saved(asked: Asking, form: Form, query: str) -> Response:
    texts: Mapping[str, str] = {name: form.text(name) for name in ("name", "sql", "description")}
    try:
        with asked.site.database.writing() as session:
            if query:
                one = _changeable(asked, queries.found(session, query))
                queries.change(session, asked.actor, one, **texts)
            else:
                one = queries.save(session, asked.actor, **texts)
            saved = one.id
    except UsageError as error:
        return _page(asked, error=error, **_typed(asked, form))
    return seen_after(asked, f"/query?saved={saved}", asked.say("The query is saved."))


@router.post("/saved/{query}/delete", dependencies=[may("viewer")])
def delete(asked: Asked, form: Sent, query: str) -> Response:  # noqa: ARG001
    """Forget a saved query."""
    with asked.site.database.writing() as session:
        queries.delete(session, asked.actor, _changeable(asked, queries.found(session, query)))
    return seen_after(asked, "/query", asked.say("The saved query is deleted."))


def _may_change(asked: Asking, one: SavedQuery) -> bool:
    """Whether this person may change a saved query: one's own, or any as an editor."""
    return asked.viewer.may("editor") or one.saved_by == asked.actor.who


def _changeable(asked: Asking, one: SavedQuery) -> SavedQuery:
    if not _may_change(asked, one):
        raise HTTPException(403, asked.say("Somebody else saved this query: an editor may change it."))
    return one
