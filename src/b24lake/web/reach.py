"""From where the app can be reached, and what that asks for: a login everywhere but on this machine's own address."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from b24lake.control import accounts
from b24lake.control.database import Database
from b24lake.errors import UsageError
from b24lake.web.security import ANY, loopback


@dataclass(frozen=True, slots=True)
class Reach:
    """How the app is reached.

    login     whether people log in, and `why`
    hosts     names it may be called by, beside those of the loopback; `security.ANY` = by any
    proxies   addresses and networks whose forwarded headers are believed
    in_clear  other machines reach it without a proxy that could add TLS
    """

    login: bool
    why: str
    hosts: frozenset[str]
    proxies: tuple[str, ...]
    in_clear: bool = False


def reach(host: str, *, login: bool, names: Sequence[str] = (), proxies: Sequence[str] = ()) -> Reach:
    """What follows from an address to listen on, names and proxies. Raises UsageError for what is none.

    >>> reach("127.0.0.1", login=False).login, reach("0.0.0.0", login=False).login
    (False, True)
    """
    hosts = frozenset(_name(name) for name in names)
    whys = {
        "--login was given": login,
        f"{host} can be reached from other machines": not loopback(host),
        "--proxy was given, so others come by way of it": bool(proxies),
        "--allow-host was given, so it is called by a name": bool(names),
    }
    why = next((why for why, holds in whys.items() if holds), "")
    # Behind a login a foreign name is no way in: its pages get no cookie. Without one it would be DNS rebinding.
    usual = frozenset({ANY}) if why and not loopback(host) else frozenset[str]()
    return Reach(bool(why), why, hosts or usual, tuple(map(_network, proxies)), not loopback(host) and not proxies)


def require_a_manager(database: Database, reached: Reach) -> None:
    """Raises UsageError where people are to log in and nobody could manage the accounts."""
    with database.reading() as session:
        if accounts.managers(session):
            return
    raise UsageError(
        "Nobody could log in",
        why=f"{reached.why}, and there is no account of a manager yet",
        fix="make one first: b24lake user add NAME --role manager",
    )


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise UsageError(
            f"{text!r} is not the address of a proxy", fix="give an address or a network, as 10.0.0.0/24"
        ) from None


def _name(text: str) -> str:
    """A host name as browsers send it."""
    name = text.strip().rstrip(".").lower()
    if not name or any(sign in name for sign in "/@:*?# "):
        raise UsageError(f"{text!r} is not the name of a host", fix="give a name alone, as lake.example.com")
    return name
