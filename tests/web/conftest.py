"""What the tests of the web app share: the app over a database of its own, a worker, and a real browser."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from web_site import Web

from b24lake.control.claims import Installation
from b24lake.control.database import open_database
from b24lake.control.keys import open_keyring
from b24lake.control.moments import now
from b24lake.control.worker import Worker
from b24lake.control.workers import Pace
from b24lake.sync.home import Home
from b24lake.web.server import Server
from b24lake.web.site import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """Start web apps; keywords as `Site` has them."""
    home = Home(tmp_path / "home")
    with ExitStack() as stack:
        database = open_database(None, home)
        stack.callback(database.close)

        def start(*, proxies: Sequence[str] = (), **how: Any) -> Web:
            here = Installation(home, tmp_path / "lake")
            known = {"clock": now, "random": secrets.token_bytes, "who": "ann", "private": True, **how}
            site = Site(database, open_keyring(database, home, {}), here, **known)
            server = Server(site, "127.0.0.1", 0, proxies=proxies)
            stack.callback(server.close)
            client = httpx.Client(base_url=server.address, timeout=30)
            stack.callback(client.close)
            return Web(site, server.address, client)

        yield start


@pytest.fixture
def web(start: Callable[..., Web]) -> Web:
    """The app, without login."""
    return start()


@pytest.fixture
def visit() -> Iterator[Callable[[Web], Web]]:
    """Come to an app with another browser."""
    with ExitStack() as stack:

        def visit(web: Web) -> Web:
            client = stack.enter_context(httpx.Client(base_url=web.address, timeout=30))
            return Web(web.site, web.address, client)

        yield visit


@pytest.fixture
def worker(web: Web) -> Iterator[Worker]:
    """A worker for the app's runs."""
    site = web.site
    pace = Pace(beat=0.5)
    made = Worker(site.database, site.keyring, site.here.home, site.here.lake, site.clock, most=2, pace=pace)
    ended = threading.Event()
    thread = threading.Thread(target=made.work, args=(ended.is_set,), daemon=True)
    thread.start()
    yield made
    ended.set()
    thread.join(60)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; where there is none, the tests that need it are skipped, but never in CI."""
    if CHROMIUM is None:
        wanted = "Chromium is needed: on Debian, apt-get install chromium"
        pytest.fail(wanted) if os.environ.get("CI") else pytest.skip(wanted)
    with sync_playwright() as tools:
        # As root, in a container, Chromium has no sandbox of its own.
        yield tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])


@pytest.fixture
def context(browser: Browser, web: Web) -> Iterator[BrowserContext]:
    """A browser that has been nowhere, at the app's address."""
    made = browser.new_context(
        base_url=web.address, viewport={"width": 1280, "height": 900}, locale="en-US", timezone_id="America/Sao_Paulo"
    )
    made.set_default_timeout(20_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab. Whatever it reports as an error, the content policy's included, fails the test."""
    tab, errors = context.new_page(), list[str]()
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield tab
    assert not errors, errors
