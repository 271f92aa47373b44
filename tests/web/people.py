"""People who log in to a web app in tests."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
from web_site import Web

from b24lake.control import accounts, tokens
from b24lake.control.audit import Actor
from b24lake.web.site import Site

PASSWORD = "correct horse battery"


def actor() -> Actor:
    return Actor("ann", datetime.now(UTC))


def account(site: Site, name: str, role: str = "viewer", password: str = PASSWORD) -> None:
    with site.database.writing() as session:
        accounts.add(session, actor(), name, role, password)


def token(site: Site, *scopes: str, name: str = "test", **more: object) -> str:
    with site.database.writing() as session:
        return tokens.add(session, actor(), name, scopes, **more)[1]  # type: ignore[arg-type]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def csrf(page: str) -> str:
    """The token that the forms of a page carry."""
    return page.partition('name="csrf-token" content="')[2].partition('"')[0]


def log_in(web: Web, name: str, password: str = PASSWORD, following: str = "") -> httpx.Response:
    data = {"token": csrf(web.client.get("/login").text), "name": name, "password": password, "next": following}
    return web.client.post("/login", data=data)
