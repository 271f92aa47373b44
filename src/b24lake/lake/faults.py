"""What the answers of an object store mean for a run, told by the text that delta-rs' client makes of them (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from b24lake.errors import B24LakeError, StopError, StreamError

_RIGHTS = (
    "give the key these rights on the bucket and its objects: s3:ListBucket, s3:GetObject, s3:PutObject, "
    "s3:DeleteObject, s3:AbortMultipartUpload"
)
_KEYS = "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws (AWS_PROFILE)"

# What the text holds -> why, and what to do. The first that fits counts.
_MEANINGS = tuple(
    (re.compile(signs), why, fix)
    for signs, why, fix in (
        (
            r"169\.254\.|CredentialsNotLoaded|credentials? provider|[Nn]o credentials",
            "no credentials were found: not in the environment, not in ~/.aws, and this machine has no role",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for a profile in ~/.aws",
        ),
        ("NoSuchBucket", "there is no such bucket", "create the bucket, or correct --lake and AWS_ENDPOINT_URL"),
        (
            r"list request(?s:.*)404 Not Found",
            "what answers at {at} is no S3-compatible store",
            "correct AWS_ENDPOINT_URL",
        ),
        ("InvalidAccessKeyId|InvalidClientTokenId", "the store does not know this access key", _KEYS),
        ("SignatureDoesNotMatch", "the secret access key does not belong to the access key", _KEYS),
        (
            "ExpiredToken|InvalidToken|TokenRefreshRequired",
            "the session token has expired, or belongs to another key",
            "fetch new credentials, and set AWS_SESSION_TOKEN with them",
        ),
        (
            "RequestTimeTooSkewed",
            "the clock of this machine is wrong: the store refuses signatures of another time",
            "set the clock, then run again",
        ),
        (
            "PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint|configured region",
            "the bucket is in another region",
            "set AWS_REGION to the region of the bucket",
        ),
        (
            "scheme is not allowed",
            "the endpoint is plain http://, so everything could be read on the way",
            "use https, or allow it in your own network with AWS_ALLOW_HTTP=true",
        ),
        ("QuotaExceeded|StorageFull|InsufficientStorage|507 ", "the store is full", "free some space, then run again"),
        (
            "AccessDenied|AllAccessDisabled|Unauthori|[Pp]ermission|403 Forbidden|401 ",
            "the credentials do not allow it",
            _RIGHTS,
        ),
        (
            "dns error|tcp connect|Connect\\)|[Cc]onnection|error sending request|timed out|builder error",
            "the store does not answer: {at}",
            "check the network and AWS_ENDPOINT_URL, then run again",
        ),
        (
            "SlowDown|ServiceUnavailable|InternalError|50[0234] |after \\d+ retries",
            "the store at {at} is overloaded or out of order",
            "run again later",
        ),
    )
)
_ABSENT = re.compile("NoSuchKey|404 Not Found|not found", re.IGNORECASE)
_SIGNS = re.compile(r"\x1b\[[0-9;]*m")
_MESSAGE = re.compile(r"<Code>(?P<code>[^<]*)</Code>\s*<Message>(?P<message>[^<]*)</Message>")
_AT = re.compile(r"performing [A-Z]+ (https?://[^/?\s]+)")
_LOGIN = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True)
class Fault:
    """One answer; `wide` ones mean the whole lake, the others one object. `absent`: there is no such object."""

    why: str
    fix: str
    wide: bool
    absent: bool = False

    def error(self, where: object) -> B24LakeError:
        """The same as what ends the run, or the stream."""
        kind = StopError if self.wide else StreamError
        return kind(f"Cannot read or write {where}", why=self.why, fix=self.fix)


def told(text: str) -> Fault:
    """What the text of an error means.

    >>> told("... <Code>NoSuchBucket</Code> ...").why
    'there is no such bucket'
    """
    for signs, why, fix in _MEANINGS:
        if signs.search(text):
            return Fault(why.format(at=_address(text)), fix, wide=True)
    fix = "look at the bucket; if objects are missing, move the table away and read the stream in full"
    return Fault(_short(text), fix, wide=False, absent=bool(_ABSENT.search(text)))


def known(text: str) -> bool:
    """Whether the text tells of something that is wrong with the store or the way to it."""
    return any(signs.search(text) for signs, _, _ in _MEANINGS)


def _address(text: str) -> str:
    """Who was asked; never with a login."""
    at = _AT.search(text)
    return _LOGIN.sub("//", at[1]) if at else "the store"


def _short(text: str) -> str:
    """What the store itself said, else the first and the last line; never an address with a login in it."""
    answer = _MESSAGE.search(text)
    lines = [line.strip(" ↳") for line in _SIGNS.sub("", text).strip().splitlines()]
    said = f"{answer['message']} ({answer['code']})" if answer else ": ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))
    return _LOGIN.sub("//", said)
