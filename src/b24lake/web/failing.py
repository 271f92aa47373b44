"""An error of ours over HTTP: its status, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from b24lake.control.logins import TOO_MANY
from b24lake.errors import B24LakeError, ConflictError, NotFoundError, UsageError
from b24lake.portal.webhook import mask

BY_KIND: tuple[tuple[type[B24LakeError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (UsageError, 400),
    (B24LakeError, 503),  # a fault of a portal, a database or a lake: it may pass
)

_CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    421: "misdirected",
    422: "invalid",
    500: "internal",
    503: "unavailable",
}


def status_of(error: B24LakeError) -> int:
    """The status of an error."""
    if error.code == TOO_MANY:
        return 429
    return next(status for kind, status in BY_KIND if isinstance(error, kind))


def failure(status: int, error: B24LakeError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as the JSON API tells it, without secrets."""
    told = {name: mask(text) for name, text in error.as_json().items()}
    told["code"] = told["code"] or _CODES.get(status, "failed")
    return JSONResponse({"error": told}, status_code=status, headers=headers)
