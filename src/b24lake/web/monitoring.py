"""/metrics for Prometheus, /healthz for whoever keeps the service running.

Without a session: where people log in, /metrics needs a token with the scope read, and /healthz tells no figures.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from b24lake.control import metrics, tokens
from b24lake.errors import B24LakeError
from b24lake.web.site import Site

router = APIRouter(include_in_schema=False)
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics")
def shown_metrics(request: Request) -> Response:
    """The service's figures in Prometheus' text format."""
    site: Site = request.app.state.site
    try:
        if site.login and not _may_read(request):
            said = {"WWW-Authenticate": "Bearer"}
            return Response("This needs a token: Authorization: Bearer b24l_…", 401, said, "text/plain")
        families = metrics.families(site.database, site.clock())
    except B24LakeError as error:
        return _failed(error)
    return Response(metrics.text(families), media_type=_PROMETHEUS)


@router.get("/healthz")
def healthz(request: Request) -> Response:
    """Whether the service does its work; 503 where its database does not answer."""
    site: Site = request.app.state.site
    try:
        vital: dict[str, Any] = metrics.vital(site.database, site.clock())
    except B24LakeError as error:
        return _failed(error)
    return JSONResponse({"status": "ok", **({} if site.login else vital)})


def _may_read(request: Request) -> bool:
    """Whether the request shows a token that may look at everything."""
    site: Site = request.app.state.site
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    bearer = tokens.bearer(site.database, text.strip(), site.clock()) if kind.lower() == "bearer" else None
    return bearer is not None and "read" in bearer.scopes and bearer.sources is None


def _failed(error: B24LakeError) -> Response:
    return JSONResponse({"status": "failed", "error": error.as_json()}, status_code=503)
