"""The application: one FastAPI app with pages, static files and the JSON API, over one site."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from b24lake.errors import B24LakeError
from b24lake.web import monitoring, security
from b24lake.web.agents import PATH, Agents
from b24lake.web.api import PREFIX
from b24lake.web.asking import asking
from b24lake.web.bodies import Bounded, Whole
from b24lake.web.failing import failure, status_of
from b24lake.web.later import LaterApi
from b24lake.web.pages import (
    account,
    accounts,
    base,
    catalog,
    helping,
    layers,
    model,
    query,
    reference,
    runs,
    skills,
    source,
    source_alerts,
    source_settings,
    source_state,
    source_triggers,
    sources,
    table,
    table_diff,
    table_lineage,
    table_restore,
    table_settings,
    table_use,
    table_versions,
    triggers,
    wizard,
    wizard_check,
    wizard_source,
    wizard_streams,
    wizard_tables,
)
from b24lake.web.site import Site

WIZARD = (wizard, wizard_streams, wizard_tables, wizard_source, wizard_check)
SOURCE = (source_state, source_triggers, source_settings, source_alerts, source)
TABLE = (table_use, table_versions, table_diff, table_restore, table_lineage, table_settings, table)
CATALOG = (model, catalog, layers, *TABLE)
FIRST = (base, account, accounts, reference, helping, skills, triggers)
PAGES = (*FIRST, *WIZARD, sources, *SOURCE, runs, *CATALOG, query)
"""In this order: pages whose addresses begin with any word come after those that begin with one word."""


def create_app(site: Site) -> FastAPI:
    """The app of one installation."""
    app = FastAPI(title="b24lake", openapi_url=None)
    app.state.site = site
    app.add_middleware(Bounded)  # the innermost: what it raises becomes an answer
    app.middleware("http")(security.guard(site))
    app.add_middleware(Whole)  # the outermost
    app.include_router(monitoring.router)
    for group in PAGES:
        app.include_router(group.router)
    app.mount(PREFIX, LaterApi(site))
    app.router.routes.append(Route(PATH, Agents(site)))
    app.add_exception_handler(B24LakeError, _failed)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _broken)
    return app


def _failed(request: Request, error: Exception) -> Response:
    """An error of ours: what happened, why, what to do. Wrong input is 400, the rest a fault that may pass."""
    assert isinstance(error, B24LakeError)
    return _answer(request, error, status_of(error))


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = "There is no such page" if error.status_code == 404 else str(error.detail)
    return _answer(request, B24LakeError(what), error.status_code)


def _broken(request: Request, error: Exception) -> Response:  # noqa: ARG001  uvicorn logs it
    told = B24LakeError("Something went wrong here", why="it is written in the service's log", fix="try again")
    answer = _answer(request, told, 500)
    answer.headers.update(security.HEADERS)  # it is made outside of the guard
    return answer


def _answer(request: Request, error: B24LakeError, status: int) -> Response:
    if request.url.path.startswith("/api/"):
        return failure(status, error)
    asked = asking(request)
    name = "trouble.html" if asked.fragment else "error.html"
    return asked.page(name, status=status, error=error, section="")
