"""The one family of errors, split by what a run does next.

B24LakeError
    UsageError       a person typed or configured something wrong: nothing was done (exit code 2)
        NotFoundError    ... what was named does not exist
        ConflictError    ... somebody else changed it meanwhile, or it was asked for in another way before
        SqlError         ... in SQL, and maybe where in it
    StopError        nothing can go on: wrong webhook, no tariff, portal gone, lake unwritable
    StreamError      this stream cannot be read or written; the others go on
        LockedError      ... because the webhook or its owner may not (scope, rights, plan)
        PagingError      ... because going on would loop or lose rows
        BrokenOffError   ... because the portal did not answer for long: what was read is kept for the next run
    RetryError       a hiccup of network or portal: the same call again, after a pause
        BusyError        ... because too many requests came in: slow down as well
        OverlongError    ... because it took longer than the portal allows: ask for less at once
    RestError        one method used up its operating time: that method rests, others go on
"""

from __future__ import annotations


class B24LakeError(Exception):
    """Everything raised on purpose here: what happened, why, and what to do.

    `code` is the portal's own error code where there is one ("" otherwise); no text ever holds a webhook's secret.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "", code: str = "") -> None:
        self.what, self.why, self.fix, self.code = what, why, fix, code
        super().__init__(". ".join(part.rstrip(".") for part in self._parts()) + ".")

    def as_json(self) -> dict[str, str]:
        """What, why and fix, for scripts."""
        return {"what": self.what, "why": self.why, "fix": self.fix, "code": self.code}

    def _parts(self) -> list[str]:
        said = [self.what]
        said += [f"Why: {self.why}"] if self.why else []
        said += [f"Fix: {self.fix}"] if self.fix else []
        return said


class UsageError(B24LakeError):
    """Wrong input; nothing was read and nothing written."""


class NotFoundError(UsageError):
    """What was named does not exist."""


class ConflictError(UsageError):
    """What is asked for rests on something that is no longer so; nothing was changed."""


class SqlError(UsageError):
    """SQL that cannot be run; `at` is where its text is wrong: the offsets of the first sign and after the last one."""

    def __init__(
        self, what: str, *, why: str = "", fix: str = "", code: str = "", at: tuple[int, int] | None = None
    ) -> None:
        self.at = at
        super().__init__(what, why=why, fix=fix, code=code)


class StopError(B24LakeError):
    """The whole run ends: no stream can be read or written."""


class HeldError(StopError):
    """Another run is at what this one needs: it may begin when that one has ended."""


class StreamError(B24LakeError):
    """One stream ends; the others go on."""


class LockedError(StreamError):
    """The webhook, its owner or the portal's plan does not give access to this stream."""


class PagingError(StreamError):
    """The pages of a stream cannot be trusted: going on would loop or lose rows."""


class BrokenOffError(StreamError):
    """The portal left a stream unanswered again and again; what came of it can be gone on with."""


class RetryError(B24LakeError):
    """A passing fault: the same call may succeed after a pause."""


class BusyError(RetryError):
    """The portal counted too many requests (QUERY_LIMIT_EXCEEDED)."""


class OverlongError(RetryError):
    """A gateway gave up on the request: it may have asked for more than the portal does in its 60 seconds."""


class RestError(B24LakeError):
    """A method is blocked until its operating time sinks (OPERATION_TIME_LIMIT)."""
