"""The frame of every page: addresses, errors, languages, headers, static files."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page
from web_site import Web

from b24lake.errors import UsageError
from b24lake.web.assets import STATIC
from b24lake.web.server import Server
from running import command

VENDOR = STATIC / "vendor"


def test_the_front_door_leads_to_the_sources(web: Web) -> None:
    assert web.get("/").headers["location"] == "/sources"
    assert "Add source" in web.text("/sources")


def test_a_page_that_does_not_exist_says_so_in_the_frame(web: Web) -> None:
    answer = web.get("/nothing")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert web.get("/static/../app.py").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80", "Origin": "http://evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({}, 303),
    ],
)
def test_other_pages_cannot_ask_in_our_name(web: Web, headers: dict[str, str], status: int) -> None:
    assert web.post("/settings/language", {"language": "pt_BR"}, headers=headers).status_code == status


def test_a_form_without_its_token_changes_nothing(web: Web) -> None:
    answer = web.client.post("/settings/language", data={"language": "pt_BR"})
    assert answer.status_code == 403
    assert "language" not in web.client.cookies


def test_the_language_is_the_browsers_until_one_is_chosen(web: Web) -> None:
    assert 'lang="pt-BR"' in web.get("/sources", headers={"Accept-Language": "pt-PT,pt;q=0.9"}).text
    assert 'lang="en"' in web.get("/sources", headers={"Accept-Language": "fr"}).text
    web.post("/settings/language", {"language": "pt_BR"})
    assert 'lang="pt-BR"' in web.get("/sources", headers={"Accept-Language": "fr"}).text


def test_every_answer_has_the_strict_headers(web: Web) -> None:
    for path in ("/sources", "/nothing", "/static/app.css", "/healthz"):
        policy = web.get(path).headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy


def test_the_vendored_files_are_those_that_were_taken() -> None:
    record = json.loads((VENDOR / "vendored.json").read_text())
    checksums = {name: checksum for package in record for name, checksum in package["sha256"].items()}
    found = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()} - {"vendored.json"}
    assert set(checksums) <= found
    assert all(name.startswith("licences/") for name in found - set(checksums))  # written down by hand
    for name, checksum in checksums.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == checksum, name


def test_the_first_visit_shows_the_page_and_asks_nobody_else(page: Page, web: Web) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    assert page.get_by_role("link", name="Add source").first.is_visible()
    assert all(url.startswith(web.address) for url in asked)
    assert page.evaluate("document.cookie") == "zone=America%2FSao_Paulo"


def test_the_port_answers_metrics_and_health(web: Web) -> None:
    answer = web.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "b24lake_info" in answer.text
    assert web.get("/healthz").json() == {"status": "ok", "workers": 0, "last_heartbeat_seconds": None, "queued": 0}
    with pytest.raises(UsageError, match="cannot be used"):
        Server(web.site, "127.0.0.1", int(web.address.rpartition(":")[2]))


@pytest.mark.slow
def test_the_demo_goes_on_with_the_web_app(tmp_path: Path) -> None:
    words = command("demo", "--serve", "--deals", "150", "--port", "0", "--lake", str(tmp_path / "lake"), "--json")
    demo = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        told = json.loads("".join(iter(demo.stdout.readline, "}\n")) + "}")
        assert httpx.get(told["address"] + "/sources").status_code == 200
        assert (tmp_path / "lake" / "raw" / "bitrix24_deals").is_dir()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    assert demo.returncode == 0
    shutil.rmtree(told["home"])
