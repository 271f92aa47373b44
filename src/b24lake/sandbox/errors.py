"""Refusals as a portal words them.

Source: _includes/system-errors.md, settings/performance/limits.md and the error tables of the methods' pages.
"""

from typing import Any


class ApiError(Exception):
    """A refusal on purpose: HTTP status, `error` (a code, "", or a number) and `error_description`."""

    def __init__(self, status: int, code: str | int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text

    def body(self) -> dict[str, Any]:
        """The body of the answer; it carries no `time`."""
        return {"error": self.code, "error_description": self.text}


class GatewayError(Exception):
    """No answer of the portal at all: what its proxy says, or that it hangs up (status 0)."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def no_auth() -> ApiError:
    """Wrong webhook code or user."""
    return ApiError(401, "NO_AUTH_FOUND", "Wrong authorization data")


def no_method() -> ApiError:
    """The portal knows no such method."""
    return ApiError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")


def no_scope() -> ApiError:
    """The webhook was not granted the method's scope."""
    text = "The request requires higher privileges than provided by the webhook token"
    return ApiError(403, "insufficient_scope", text)


def denied() -> ApiError:
    """The webhook's owner has no right to read this."""
    return ApiError(400, "ACCESS_DENIED", "Access denied")


def too_many() -> ApiError:
    """The leaky bucket is full."""
    return ApiError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")


def overload() -> ApiError:
    """The vendor has blocked the portal by hand."""
    return ApiError(503, "OVERLOAD_LIMIT", "REST API is blocked due to overload")


def no_time() -> ApiError:
    """The method's operating budget is used up."""
    return ApiError(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")


def internal() -> ApiError:
    """Something broke inside."""
    return ApiError(500, "INTERNAL_SERVER_ERROR", "Internal server error")


def too_long_batch() -> ApiError:
    """Command 51 and on."""
    return ApiError(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")


def nested_batch() -> ApiError:
    """A batch within a batch."""
    return ApiError(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")


def plain(text: str, code: str | int = "", status: int = 400) -> ApiError:
    """A module's own refusal: most have an empty code."""
    return ApiError(status, code, text)


def bad_filter(field: str, problem: str = "is not allowed in filter") -> ApiError:
    """Strict methods (crm.item.list and its family) name the field they refuse."""
    return ApiError(400, "INVALID_ARG_VALUE", f"Invalid filter: field '{field}' {problem}")


def bad_order(field: str) -> ApiError:
    """The same for an order."""
    return ApiError(400, "INVALID_ARG_VALUE", f"Invalid order: field '{field}' is not allowed in order")
