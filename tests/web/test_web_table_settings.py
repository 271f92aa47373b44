"""The settings of a table: retention with its effect in words, and what people say of table and columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from people import account, log_in
from playwright.sync_api import Page
from web_site import Web, words

from aging import aged
from b24lake.control import audit
from b24lake.lake import retention
from b24lake.lake.catalog import opened
from b24lake.lake.columns import comment
from b24lake.lake.table import schema_of
from b24lake.sync.home import lock_name
from written import SCHEMA, write

AT = "/catalog/raw/deals/settings"
DAY = timedelta(days=1)


def deals(web: Web) -> Path:
    lake = web.site.here.lake
    assert isinstance(lake, Path)
    write(lake, {1: "one"}, "run-1")
    write(lake, {1: "one", 2: "two"}, "run-2")
    return lake / "raw" / "deals"


def seen(web: Web, form: str, path: str = AT) -> str:
    """What a form of the page carries of what is there now."""
    page = web.get(path).text.partition(f'action="{path}/{form}"')[2]
    found = re.search(r'name="seen" value="([^"]*)"', page)
    assert found
    return unescape(found[1])


def save(web: Web, form: str, values: dict[str, str], saw: str = "") -> httpx.Response:
    return web.post(f"{AT}/{form}", {"seen": saw or seen(web, form), **values})


def days(table: Path) -> tuple[int, int]:
    kept = retention.kept(opened(table))
    return kept.log // DAY, kept.files // DAY


def noted(web: Web) -> list[dict[str, object]]:
    return [one.detail for one in audit.entries(web.site.database, "table raw.deals")]


def test_retention_says_what_it_means_before_it_is_saved(web: Web) -> None:
    table = deals(web)
    aged(table, 20)
    write(web.site.here.lake, {1: "late"}, "run-3")
    said = web.text(AT)
    assert "Every version that can be read now stays readable." in said
    fragment = {"hx-request": "true"}
    said = words(web.get(f"{AT}?log=10&files=17", headers=fragment).text)
    assert "With the next run, these versions can no longer be read: 0, 1" in said
    said = words(web.get(f"{AT}?log=40&files=5", headers=fragment).text)
    assert "Files go before the log does" in said
    for wrong in ("x", "", "-1", "1.5", "9" * 20, "0", "٣"):
        said = words(web.get(f"{AT}?log={wrong}&files=5", headers=fragment).text)
        assert "a number of days" in said or "cannot be so long" in said, wrong
    answer = save(web, "retention", {"log": "10", "files": "17"})
    assert answer.status_code == 200
    said = words(answer.text)
    assert "With the next run, 2 versions that can be read now are gone for good: 0 to 1" in said
    assert days(table) == (30, 37)
    agreed = {"log": "10", "files": "17", "agreed": "0 to 1"}
    assert save(web, "retention", {**agreed, "agreed": "0"}).status_code == 200  # to other versions
    assert days(table) == (30, 37)
    assert save(web, "retention", agreed).status_code == 303
    assert "The settings are saved." in web.text(AT)
    assert days(table) == (10, 17)
    assert noted(web) == [{"log_days": 10, "file_days": 17}]


def test_a_longer_retention_is_saved_at_once(web: Web) -> None:
    table = deals(web)
    assert save(web, "retention", {"log": "60", "files": "70"}).status_code == 303
    assert days(table) == (60, 70)
    assert save(web, "retention", {"log": "60", "files": "70"}).status_code == 303
    assert "Nothing was changed." in web.text(AT)
    for wrong in ("0", "3661", "x", "", "1e3"):
        answer = save(web, "retention", {"log": wrong, "files": "70"})
        assert (answer.status_code, f'value="{wrong}"' in answer.text) == (400, True), wrong
    assert days(table) == (60, 70)


def test_a_description_is_written_shown_and_taken_away(web: Web) -> None:
    table = deals(web)
    text = "All <b>deals</b>, &amp; more"
    assert save(web, "description", {"description": f"  {text}\r\n"}).status_code == 303
    assert opened(table).metadata().description == text
    page = web.get(AT).text
    assert "<b>deals</b>" not in page
    assert text in words(page)
    answer = save(web, "description", {"description": "x" * 5000})
    assert (answer.status_code, "x" * 5000 in answer.text) == (400, True)
    assert save(web, "description", {"description": ""}).status_code == 303
    assert not opened(table).metadata().description
    assert noted(web) == [{"description": ""}, {"description": text}]


def test_columns_get_words_that_runs_leave_alone(web: Web) -> None:
    table = deals(web)
    version = opened(table).version()
    values = {"column.ID": "", "column.TITLE": 'What "it" is', "column.SUM": " Net\namount "}
    assert save(web, "columns", values).status_code == 303
    assert opened(table).version() == version + 2
    renamed = pa.schema([each if each.name != "TITLE" else each.with_metadata({"comment": "Name"}) for each in SCHEMA])
    write(web.site.here.lake, {1: "one", 2: "two", 3: "three"}, "run-3", schema=renamed)
    page = web.get(AT).text
    assert 'value="What &#34;it&#34; is"' in page
    assert 'value="Net amount"' in page
    assert "<td>Name</td>" in page
    assert comment(schema_of(opened(table)).field("TITLE")) == 'What "it" is'
    assert 'What "it" is' in web.text("/catalog/raw/deals")
    assert save(web, "columns", {"column.TITLE": "", "column.SUM": "Net amount"}).status_code == 303
    assert comment(schema_of(opened(table)).field("TITLE")) == "Name"
    assert noted(web)[0] == {"columns": {"TITLE": ""}}
    answer = save(web, "columns", {"column.NOWHERE": "x"})
    assert (answer.status_code, "There is no column 'NOWHERE'" in words(answer.text)) == (400, True)


@pytest.mark.parametrize(
    ("form", "mine", "theirs", "shown"),
    [
        ("retention", {"log": "50", "files": "57"}, {"log": "40", "files": "47"}, "Saved meanwhile: 40"),
        ("description", {"description": "Mine"}, {"description": "Theirs"}, "Saved meanwhile: Theirs"),
        ("columns", {"column.TITLE": "Mine"}, {"column.TITLE": "Theirs"}, "Saved meanwhile: Theirs"),
    ],
)
def test_the_second_of_two_people_is_told(
    web: Web, form: str, mine: dict[str, str], theirs: dict[str, str], shown: str
) -> None:
    deals(web)
    saw = seen(web, form)
    assert save(web, form, theirs, saw).status_code == 303
    answer = save(web, form, mine, saw)
    assert answer.status_code == 409
    said = words(answer.text)
    assert "ann has changed this table meanwhile" in said
    assert shown in said
    assert all(f'value="{text}"' in answer.text or f">{text}</textarea>" in answer.text for text in mine.values())
    assert len(noted(web)) == 1
    again = unescape(re.findall(rf'(?s)action="{AT}/{form}".*?name="seen" value="([^"]*)"', answer.text)[0])
    assert save(web, form, mine, again).status_code == 303
    assert len(noted(web)) == 2


def test_two_people_may_describe_different_columns_at_once(web: Web) -> None:
    table = deals(web)
    saw = seen(web, "columns")
    unchanged = {"column.ID": "", "column.TITLE": "", "column.SUM": ""}
    assert save(web, "columns", {**unchanged, "column.TITLE": "Theirs"}, saw).status_code == 303
    assert save(web, "columns", {**unchanged, "column.SUM": "Mine"}, saw).status_code == 303
    fields = schema_of(opened(table))
    assert [comment(fields.field(name)) for name in ("TITLE", "SUM")] == ["Theirs", "Mine"]


def test_a_form_waits_for_no_run_and_loses_nothing(web: Web) -> None:
    table = deals(web)
    with web.site.here.home.ready().lock(f"table-{lock_name(table)}", "the table raw.deals"):
        answer = save(web, "columns", {"column.TITLE": "Mine"})
    assert answer.status_code == 503
    assert "Another run holds the table raw.deals" in words(answer.text)
    assert 'value="Mine"' in answer.text


@pytest.mark.parametrize("saw", ["x", "[]", "null", '{"log": 1}', '{"log": "x", "files": "1"}', '{"log": "1"}'])
@pytest.mark.parametrize("form", ["retention", "description", "columns"])
def test_a_form_that_is_not_whole_changes_nothing(web: Web, form: str, saw: str) -> None:
    table = deals(web)
    version = opened(table).version()
    values = {"log": "40", "files": "47", "description": "x", "column.NOWHERE": "x"}
    assert save(web, form, values, saw).status_code in {400, 409}
    assert opened(table).version() == version


def test_viewers_see_the_settings_and_cannot_change_them(start: Callable[..., Web]) -> None:
    web = start(login=True)
    table = deals(web)
    account(web.site, "vera")
    log_in(web, "vera")
    page = web.get(AT).text
    assert page.count("<fieldset") == page.count('<fieldset class="card-body" disabled>')
    assert "Save the retention" not in page
    token = re.search(r'name="csrf-token" content="(\w+)"', page)
    assert token
    for form in ("retention", "description", "columns"):
        data = {"token": token[1], "seen": "{}", "description": "x", "log": "50", "files": "57", "column.TITLE": "x"}
        assert web.client.post(f"{AT}/{form}", data=data).status_code == 403
    assert days(table) == (30, 37)


def test_tables_of_other_programs_are_shown_and_left_alone(web: Web) -> None:
    path = web.site.here.lake / "raw" / "deals"
    write_deltalake(str(path), pa.table({"id": [1]}))
    said = web.text(AT)
    assert "Another program made this table" in said
    assert "Save the" not in said
    answer = save(web, "description", {"description": "Mine"})
    assert (answer.status_code, "not made by b24lake" in answer.text) == (400, True)


def test_the_effect_is_told_while_one_types(web: Web, page: Page) -> None:
    table = deals(web)
    aged(table, 20)
    write(web.site.here.lake, {1: "late"}, "run-3")
    page.goto(AT)
    page.get_by_label("Delta Log Retention (days)").fill("5")
    page.get_by_text("these versions can no longer be read: 0, 1").wait_for()
    page.get_by_label("Deleted File Retention (days)").fill("12")
    page.get_by_role("button", name="Save the retention").click()
    page.get_by_role("heading", name="Keep old states for a shorter time?", level=2).wait_for()
    page.get_by_role("button", name="Keep them for 5 days only").click()
    page.get_by_text("The settings are saved.").wait_for()
    assert days(table) == (5, 12)
    page.get_by_label("Your description of TITLE").fill("What it is called")
    page.get_by_role("button", name="Save the descriptions").click()
    page.get_by_text("The settings are saved.").wait_for()
    assert comment(schema_of(opened(table)).field("TITLE")) == "What it is called"
