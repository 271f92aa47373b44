"""The API's application: its paths, its errors, its OpenAPI document."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from b24lake import __version__
from b24lake.errors import B24LakeError
from b24lake.web.api import PREFIX, alerts, catalog, house, runs, shapes, sources, triggers
from b24lake.web.failing import failure, status_of
from b24lake.web.site import Site

GROUPS = (sources, triggers, runs, catalog, alerts, house)
_ABOUT = """Sources, triggers, runs, tables and alerts of this installation, as the command line knows them.

Send `Authorization: Bearer b24l_…` with a token of `b24lake token add`. Bodies are JSON, times RFC 3339 in UTC.
Every error is `{"error": {"what", "why", "fix", "code"}}`."""
_SAID = {
    400: "Wrong input; nothing was changed",
    401: "No valid token",
    403: "The token's scopes or sources do not allow this",
    404: "There is none, or not for this token",
    409: "It was changed meanwhile, or is there already",
    413: "The body is too long",
    415: "The body is not application/json",
    422: "The request does not fit",
    503: "A portal, the lake or the database does not answer",
}

_CURES = {
    401: "make one with `b24lake token add`, or on the page /account",
    403: "use a token with more scopes, or for more sources",
    404: f"{PREFIX}/openapi.json and the page /api tell what there is",
    405: f"{PREFIX}/openapi.json and the page /api tell what there is",
    413: "send less at once",
    415: "send JSON, with Content-Type: application/json",
}


def create_api(site: Site) -> FastAPI:
    """The API over a site."""
    api = FastAPI(
        title="b24lake",
        version=__version__,
        description=_ABOUT,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses={status: {"model": shapes.Failure, "description": said} for status, said in _SAID.items()},
        generate_unique_id_function=lambda route: route.name,
    )
    api.state.site = site
    for group in GROUPS:
        api.include_router(group.router)
    api.add_exception_handler(B24LakeError, _failed)
    api.add_exception_handler(HTTPException, _refused)
    api.add_exception_handler(RequestValidationError, _does_not_fit)
    api.add_exception_handler(Exception, _broken)
    return api


def _failed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, B24LakeError)
    return failure(status_of(error), error)


def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    what = "There is no such path" if error.status_code == 404 else str(error.detail)
    problem = B24LakeError(what, fix=_CURES.get(error.status_code, ""))
    return failure(error.status_code, problem, dict(error.headers or {}))


def _does_not_fit(_request: Request, error: Exception) -> JSONResponse:
    """What of a request does not fit, without repeating it: it may hold a secret."""
    assert isinstance(error, RequestValidationError)
    told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5]]
    fix = f"see {PREFIX}/openapi.json, or the page /api"
    return failure(422, B24LakeError("The request does not fit", why="; ".join(told), fix=fix))


def _broken(_request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001  uvicorn logs it
    return failure(500, B24LakeError("Something went wrong here", why="it is in the service's log", fix="try again"))
