"""Logging in with a real browser: by keyboard, and at the width of a phone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from people import PASSWORD, account
from playwright.sync_api import Page
from web_site import Web


@pytest.fixture
def web(start: Callable[..., Web]) -> Web:
    """The app of the browser's tests asks for a login."""
    site = start(login=True)
    account(site.site, "ann", "manager")
    return site


def test_somebody_logs_in_by_keyboard_makes_a_token_and_logs_out(page: Page, web: Web) -> None:
    page.goto("/account")
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{web.address}/account")
    page.locator("#token-name").fill("reports")
    page.get_by_role("button", name="Make token").click()
    assert page.get_by_label("New token", exact=True).input_value().startswith("b24l_")
    page.goto("/account")
    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    page.wait_for_url(f"{web.address}/login")
    page.go_back()
    page.wait_for_url(re.compile("/login[?]next=/account$"))  # nothing is shown from the browser's memory


@pytest.mark.parametrize("path", ["/account", "/accounts", "/api"])
def test_no_page_is_wider_than_a_phone(page: Page, web: Web, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(path)
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(web.address + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
