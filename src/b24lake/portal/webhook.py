"""A webhook URL: parse, validate, mask. The secret is in the URL's path, so the URL is never printed whole."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit

from b24lake.errors import UsageError

_PATH = re.compile(
    r"^(?P<prefix>(?:/[\w.~-]+)*?)/rest/(?:api/)?(?P<user>\d+)/(?P<code>[\w-]+)(?:/[\w.]*)?/?$", re.ASCII
)  # a code with a dot would be a method name in its place
_SECRET = re.compile(r"(/rest/(?:api/)?\d+/)[^/\s?#\"'<>]+")
_HOW_TO = (
    "create an incoming (inbound) webhook in Bitrix24 under Applications > Developer resources > Other > "
    "Incoming webhook and paste its URL, https://PORTAL/rest/USER/CODE/"
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Which portal to read, as whom, with which secret. Prints masked; refuses to be pickled.

    origin   scheme, host, port and path prefix, as "https://acme.bitrix24.com"
    user     numeric id of the employee who owns the webhook
    code     the secret
    """

    origin: str
    user: str
    code: str = field(repr=False)
    allow_http: bool = False

    def __str__(self) -> str:
        return f"{self.origin}/rest/{self.user}/***/"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A webhook is a secret and is never pickled: pass the source's id instead")

    @property
    def address(self) -> str:
        """The portal without scheme and secret: host, port and path prefix, lower-case."""
        return self.origin.partition("://")[2].lower()

    def url(self, method: str) -> str:
        """The secret URL of one REST method."""
        return f"{self.origin}/rest/{self.user}/{self.code}/{method}.json"

    def moved_to(self, location: str) -> Webhook:
        """The same webhook at the address a redirect names; only https (or what the user allowed) is followed.

        The vendor's docs say that the old host answers 302 after a portal's address changed. The path
        carries the secret, so a plain http target of a https webhook is refused, and so is a page of another
        server (a log-in, say): a moved portal names its REST address, or at least its bare host.
        """
        target = _split(urljoin(f"{self.origin}/", location))
        if "/rest/" not in target.path and target.path.strip("/"):
            raise UsageError(
                f"{target.scheme}://{_netloc(target)} is no REST address", fix="open the portal in a browser"
            )
        prefix = target.path.partition("/rest/")[0].rstrip("/") if "/rest/" in target.path else ""
        downgrade = self.origin.startswith("https:")
        _require_safe(target, allow_http=self.allow_http, masked=self.scrub(location), downgrade=downgrade)
        return Webhook(f"{target.scheme}://{_netloc(target)}{prefix}", self.user, self.code, self.allow_http)

    def scrub(self, text: str) -> str:
        """`text` without the secret, wherever it stands."""
        return mask(text).replace(self.code, "***")


def mask(text: str) -> str:
    """`text` with the secret part of every webhook URL in it replaced by ***.

    >>> mask("POST https://acme.bitrix24.com/rest/1/s3cr3t/profile.json failed")
    'POST https://acme.bitrix24.com/rest/1/***/profile.json failed'
    """
    return _SECRET.sub(r"\1***", text)


def parse(text: str, *, allow_http: bool = False) -> Webhook:
    """The webhook in what a person pasted.

    Accepts a missing scheme or trailing slash, a trailing method name (`/profile.json` is what the portal's own
    screen shows), quotes, spaces and a query string. Raises UsageError for an outgoing webhook's handler URL, a
    bare token, plain http to anything but this machine (unless `allow_http`).
    """
    pasted = text.strip().strip("\"'<>«»“”").strip()
    if not pasted.isascii():
        raise UsageError(
            "This is not a webhook URL",
            why="it holds letters that no webhook URL has",
            fix=f"copy it again; write a national domain name in its xn-- form; {_HOW_TO}",
        )
    if not pasted:
        raise UsageError("No webhook URL was given", why="it is empty", fix=_HOW_TO)
    if "://" not in pasted and "/" not in pasted.rstrip("/"):
        raise UsageError(
            "This is not a webhook URL",
            why="it looks like a bare token or a host name; the application token of an outgoing (outbound) webhook "
            "cannot read anything",
            fix=_HOW_TO,
        )
    target = _split(pasted if "://" in pasted else f"https://{pasted}")
    found = _PATH.match(target.path)
    if not found:
        raise UsageError(
            f"{_shown(target)} is not an incoming webhook URL",
            why="it lacks the part /rest/USER/CODE/; a handler URL of an outgoing (outbound) webhook receives events "
            "and cannot read anything",
            fix=_HOW_TO,
        )
    _require_safe(target, allow_http=allow_http, masked=_shown(target))
    return Webhook(f"{target.scheme}://{_netloc(target)}{found['prefix']}", found["user"], found["code"], allow_http)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _split(url: str) -> SplitResult:
    try:
        target = urlsplit(url)
        _ = target.port
    except ValueError:
        raise UsageError("This is not a webhook URL", why="its host or port cannot be read", fix=_HOW_TO) from None
    if target.scheme.lower() not in {"http", "https"} or not target.hostname:
        raise UsageError("This is not a webhook URL", why="it does not begin with https://HOST/", fix=_HOW_TO)
    if target.username or target.password:
        raise UsageError("The webhook URL holds a user name or password before the host", fix="remove that part")
    return target


def _require_safe(target: SplitResult, *, allow_http: bool, masked: str, downgrade: bool = False) -> None:
    """Let https pass, and http to this machine, unless it would be a `downgrade` from https."""
    if target.scheme.lower() == "https" or allow_http or (is_loopback(target.hostname or "") and not downgrade):
        return
    raise UsageError(
        f"{masked} uses plain http",
        why="the webhook's secret is in the URL and would travel in clear",
        fix="use https://, or pass --allow-http for a portal inside your own network",
    )


def _netloc(target: SplitResult) -> str:
    host = (target.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{target.port}" if target.port else host


def _shown(target: SplitResult) -> str:
    """Scheme and host only: the path of a refused URL may hold any secret, and so may a host without a dot."""
    host = target.hostname or ""
    return f"{target.scheme}://{_netloc(target)}/…" if "." in host or is_loopback(host) else "What was given"
