"""Where the service may send requests to: addresses of the internet, and private ones only where that is allowed.

Whoever may type a webhook URL could otherwise have this machine ask others of its own network. A name is looked up
before its portal is asked, since it may lead to a private address as well.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from b24lake.errors import UsageError
from b24lake.portal.webhook import Webhook, is_loopback

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet; those that wrap an IPv4 address are as public as that.

    >>> [is_public(each) for each in ("8.8.8.8", "10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1")]
    [True, False, False, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        inner += [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)] if ip in _NAT64 else []
        if not all(_is_global(each) for each in inner if each is not None):
            return False
        if ip.ipv4_mapped or ip in _NAT64:
            return True
    return _is_global(ip)


def _is_global(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_global and not ip.is_multicast


def addresses(host: str) -> list[str]:
    """The IP addresses of a host; none where nobody knows it, which the request itself will tell."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


def written_address(webhook: Webhook) -> list[str]:
    """The address that a webhook names without any look-up, if it does."""
    host = urlsplit(webhook.origin).hostname or ""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return ["127.0.0.1"] if is_loopback(host) else []


def refuse_private(
    webhook: Webhook, *, private: bool, own: bool = False, resolve: Callable[[str], Iterable[str]] = addresses
) -> None:
    """Raises UsageError where a webhook leads to a private address; `resolve` looks its name up.

    private   all of them are allowed
    own       this machine's own are: where nobody logs in, whoever asks is on it
    """
    if private:
        return
    host = urlsplit(webhook.origin).hostname or ""
    if all(is_public(each) or (own and is_own(each)) for each in (*written_address(webhook), *resolve(host))):
        return
    raise UsageError(
        f"{webhook} is in a private network",
        why="this service asks portals of the internet only, so that nobody can reach machines behind it",
        fix="use the portal's public address, or start the service with --allow-private",
    )


def is_own(address: str) -> bool:
    """Whether an IP address is this machine's own."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
