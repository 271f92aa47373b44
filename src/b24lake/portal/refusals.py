"""Every way the portal says no -> one member of the error family, by a table. Pure.

Source: error-codes.md, limits.md and the error tables of the method pages of the vendor's docs. Codes are compared
without regard to case; `error` may also be "", 0, a number or a sentence, then the text decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from b24lake.errors import B24LakeError, BusyError, LockedError, RestError, RetryError, StopError, StreamError
from b24lake.portal.webhook import mask

_AUTH = (
    "the webhook's code is wrong, expired or revoked, or its owner was dismissed",
    "open Bitrix24 > Developer resources > Integrations, copy the incoming webhook's URL again or make a new one",
)
_SCOPE = (
    "the webhook was not given this permission",
    "open the incoming webhook in Bitrix24 > Developer resources > Integrations and tick the missing scope",
)
_RIGHTS = (
    "the employee who owns the webhook may not read this",
    "let an administrator create the webhook, or give its owner the right to read it",
)
_PLAN = (
    "the REST API is open only on commercial plans with an active Market subscription, or during a trial",
    "activate the plan in Bitrix24",
)
_GONE = ("the portal was deleted or its public site is closed", "check the portal's address")
_BLOCKED = ("the vendor has blocked the portal's REST API because of overload", "write to Bitrix24 support")
_BUSY = ("too many requests in a short time", "wait; other integrations on this machine share the limit")
_TIME = ("the method used up its operating time", "wait until the portal frees it")
_FAULT = ("the portal had an internal error", "run it again later")
_UNKNOWN = ("the portal does not know this method", "an on-premise portal may need an update")
_HTTPS = ("the portal accepts https only", "write https:// in the webhook URL")
_INTRANET = ("only intranet employees may read this", "let an employee of the portal create the webhook")

Text = tuple[str, str]
_CODES: dict[str, tuple[type[B24LakeError], Text]] = {
    "QUERY_LIMIT_EXCEEDED": (BusyError, _BUSY),
    "TOO_MANY_REQUESTS": (BusyError, _BUSY),
    "OPERATION_TIME_LIMIT": (RestError, _TIME),
    "INTERNAL_SERVER_ERROR": (RetryError, _FAULT),
    "ERROR_UNEXPECTED_ANSWER": (RetryError, _FAULT),
    "OVERLOAD_LIMIT": (StopError, _BLOCKED),
    "NO_AUTH_FOUND": (StopError, _AUTH),
    "INVALID_CREDENTIALS": (StopError, _AUTH),
    "EXPIRED_TOKEN": (StopError, _AUTH),
    "INVALID_TOKEN": (StopError, _AUTH),
    "AUTHORIZATION_ERROR": (StopError, _AUTH),
    "APPLICATION_NOT_FOUND": (StopError, _AUTH),
    "ERROR_OAUTH": (StopError, _AUTH),
    "WRONG_AUTH_TYPE": (StopError, _AUTH),
    "NOT_INSTALLED": (StopError, _AUTH),
    "USER_ACCESS_ERROR": (StopError, _AUTH),
    "PAYMENT_REQUIRED": (StopError, _PLAN),
    "PORTAL_DELETED": (StopError, _GONE),
    "INVALID_REQUEST": (StopError, _HTTPS),
    "INSUFFICIENT_SCOPE": (LockedError, _SCOPE),
    "ACCESS_DENIED": (LockedError, _RIGHTS),
    "ACCESS_ERROR": (LockedError, _RIGHTS),
    "200040300010": (LockedError, _RIGHTS),
    "ALLOWED_ONLY_INTRANET_USER": (LockedError, _INTRANET),
    "METHOD_CONFIRM_WAITING": (LockedError, _RIGHTS),
    "METHOD_CONFIRM_DENIED": (LockedError, _RIGHTS),
    "ERROR_METHOD_NOT_FOUND": (LockedError, _UNKNOWN),
    "ERROR_MANIFEST_IS_NOT_AVAILABLE": (LockedError, _UNKNOWN),
}
# ACCESS_DENIED covers five situations, and an empty code says nothing: then the text decides
_TEXTS: tuple[tuple[str, type[B24LakeError], Text], ...] = (
    ("commercial plans", StopError, _PLAN),
    ("extended plans", LockedError, ("the portal's plan does not include this", "use a larger plan")),
    ("application context required", LockedError, ("only an application may call it, not a webhook", "")),
    ("can't be authorized", StopError, _AUTH),
    ("access denied", LockedError, _RIGHTS),
    ("no permission", LockedError, _RIGHTS),
    ("not have permission", LockedError, _RIGHTS),
    ("more scopes", LockedError, _SCOPE),
    ("higher privileges", LockedError, _SCOPE),
    ("method not found", LockedError, _UNKNOWN),
    ("operation time limit", RestError, _TIME),
    ("too many requests", BusyError, _BUSY),
    ("internal server error", RetryError, _FAULT),
    ("internalservererror", RetryError, _FAULT),
)


def refusal(status: int, error: Any, description: Any, *, method: str) -> B24LakeError:
    """The exception for one error body.

    status        of the HTTP answer; 0 for a command inside a batch
    error         as sent: text in any case, "", a number, or an object {code, message} (REST 3.0)
    description   the portal's own sentence; it is quoted in the message
    """
    if isinstance(error, dict):
        error, description = error.get("code", ""), error.get("message", description)
    code = str(error if error is not None else "").strip()
    said = mask(str(description or "").strip())
    kind, (why, fix) = _by_code_and_text(code.upper(), said.lower()) or _by_status(status)
    quoted = ", ".join(part for part in (code, said) if part) or f"HTTP {status}"
    return kind(f"The portal refused {method} ({quoted})", why=why, fix=fix, code=code)


def _by_code_and_text(code: str, said: str) -> tuple[type[B24LakeError], Text] | None:
    by_text = next(((kind, text) for part, kind, text in _TEXTS if part in said or part in code.lower()), None)
    if code == "ACCESS_DENIED":
        return by_text or _CODES[code]
    return _CODES.get(code) or by_text


def _by_status(status: int) -> tuple[type[B24LakeError], Text]:
    rules: tuple[tuple[Callable[[int], bool], type[B24LakeError], Text], ...] = (
        (lambda s: s == 429, BusyError, _BUSY),
        (lambda s: s >= 500, RetryError, _FAULT),
        (lambda s: s == 401, StopError, _AUTH),
    )
    return next(((kind, text) for fits, kind, text in rules if fits(status)), (StreamError, ("", "")))
