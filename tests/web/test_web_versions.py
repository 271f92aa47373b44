"""Time travel: versions, a look at one, two side by side, and a restore."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from people import account, log_in
from playwright.sync_api import Page
from web_site import Web, words

from aging import aged
from b24lake.control import audit
from b24lake.lake.catalog import opened
from b24lake.sync.home import lock_name
from b24lake.web.pages import table_diff
from written import OWNER, SCHEMA, write

AT = "/catalog/raw/deals"
MARKED = "<b>new</b>"


def deals(web: Web) -> Path:
    """Versions 0 and 1 (its properties) with three rows, 2 with changes, 3 with a full read and a new column."""
    lake = web.site.here.lake
    assert isinstance(lake, Path)
    write(lake, {1: "one", 2: "two", 3: "three"}, "run-1", mark=1_700_000_000_000)
    write(lake, {2: MARKED, 4: "four"}, "run-2", mark=1_700_000_100_000, full=False)
    wider = pa.schema([*SCHEMA, pa.field("CITY", pa.string(), metadata={"comment": "Town"})])
    write(lake, {1: "one", 2: MARKED, 4: "four", 5: "five"}, "run-3", mark=1_700_000_200_000, schema=wider, CITY="Rio")
    return lake / "raw" / "deals"


def found(web: Web, path: str) -> str:
    """What a part of a page says when the work behind it is done."""
    answers: list[str] = []

    def there() -> bool:
        answer = web.get(path, headers={"hx-request": "true"})
        assert answer.status_code == 200, answer.text
        answers.append(answer.text)
        return "hx-trigger" not in answer.text

    web.awaited(there)
    return answers[-1]


def newest(table: Path) -> int:
    return int(opened(table).version())


def test_versions_are_listed_with_what_they_did_and_how_long_they_last(web: Web) -> None:
    table = deals(web)
    said = web.text(f"{AT}/versions")
    assert f"{newest(table)} " in said
    assert "Full read INCREMENTAL 1 3 1 4" in said
    assert "Changes read INCREMENTAL 1 1 0 4" in said
    assert "First read INCREMENTAL 3 – 0 3" in said
    assert said.count("until ") == newest(table)
    assert "Newest version" in said
    assert "cannot be read any more" not in said


def test_what_cannot_be_read_any_more_is_told_before_anyone_clicks(web: Web) -> None:
    table = deals(web)
    for file in table.glob("part-run-1-*"):
        file.unlink()
    page = web.get(f"{AT}/versions").text
    assert words(page).count("Not readable any more") == 2
    assert "2 versions are older than this table keeps them" in words(page)
    for version in (0, 1):
        assert f'href="{AT}/versions/{version}"' not in page
        assert f"versions/{version}/restore" not in page
        assert f'<option value="{version}"' not in page
    assert f'href="{AT}/versions/2"' in page
    for path in (f"{AT}/versions/0", f"{AT}/diff?from=0&to=2", f"{AT}/versions/0/restore"):
        answer = web.get(path)
        assert answer.status_code == 400, path
        assert "Version 0 of raw.deals cannot be read any more" in answer.text
    answer = web.post(f"{AT}/restore", {"version": "0", "newest": str(newest(table))})
    assert (answer.status_code, "cannot be read any more" in answer.text) == (400, True)
    assert newest(table) == 3


def test_what_goes_with_the_next_run_is_told(web: Web) -> None:
    aged(deals(web), 40)
    write(web.site.here.lake, {1: "today"}, "run-4")
    said = web.text(f"{AT}/versions")
    assert said.count("Until the next run") == 3
    assert said.count("until ") == 1


def test_many_versions_come_page_by_page(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    deals(web)
    monkeypatch.setattr("b24lake.web.pages.table_versions.LISTED", 2)
    page = web.get(f"{AT}/versions").text
    assert re.findall(r"/versions/(\d+)\"[^>]*>\d", page) == ["3", "2"]
    assert f'href="{AT}/versions?before=2"' in page
    page = web.get(f"{AT}/versions?before=2").text
    assert re.findall(r"/versions/(\d+)\"[^>]*>\d", page) == ["1", "0"]
    assert "before=" not in page
    assert web.get(f"{AT}/versions?before=%D9%A3").status_code == 200  # a digit of another script


def test_a_version_is_shown_with_its_own_columns(web: Web) -> None:
    deals(web)
    then = web.get(f"{AT}/versions/2").text
    assert "&lt;b&gt;new&lt;/b&gt;" in then
    assert MARKED not in then
    assert "CITY : a new column ( string )" in words(then)
    table = then.partition("<thead>")[2]
    assert "TITLE" in table
    assert "CITY" not in table
    now = web.get(f"{AT}/versions/3").text
    assert "Rio" in now
    assert "Columns that have changed since" not in now
    for wrong in ("99", "x", "-1", "0.5", "٣"):
        assert web.get(f"{AT}/versions/{wrong}").status_code == 404, wrong
    assert web.get("/catalog/raw/nothing/versions").status_code in {400, 404}


def test_a_version_whose_file_is_damaged_says_so_in_its_place(web: Web) -> None:
    table = deals(web)
    (file,) = table.glob("part-run-3-0*")
    file.write_bytes(file.read_bytes()[:-40])
    answer = web.get(f"{AT}/versions/3")
    assert answer.status_code == 503
    assert "What to do" in answer.text
    assert "Versions" in answer.text


def test_two_versions_side_by_side(web: Web) -> None:
    deals(web)
    page = web.get(f"{AT}/diff?from=0&to=3").text
    assert "Comparing the two versions" in words(page)
    done = found(web, f"{AT}/diff?from=0&to=3")
    said = words(done)
    assert "From version 0 to 3" in said
    assert "Changed rows 2 New rows 2 Gone rows 1" in said
    assert "CITY : a new column" in said
    assert "<del>two</del>" in done
    assert "<ins>&lt;b&gt;new&lt;/b&gt;</ins>" in done
    assert MARKED not in done
    added = words(web.get(f"{AT}/diff?from=0&to=3&kind=added").text)
    assert re.search(r"4 four 10 Rio .* 5 five 10 Rio", added)
    removed = words(web.get(f"{AT}/diff?from=0&to=3&kind=removed").text)
    assert "3 three 10" in removed
    back = words(found(web, f"{AT}/diff?from=3&to=0"))
    assert "Changed rows 2 New rows 1 Gone rows 2" in back


def test_without_more_words_a_version_is_compared_with_the_newest(web: Web) -> None:
    deals(web)
    assert "From version 2 to 3" in words(found(web, f"{AT}/diff?from=2"))
    assert "Both are the same version" in web.text(f"{AT}/diff")


def test_long_lists_come_page_by_page(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = web.site.here.lake
    write(lake, {1: "one"}, "run-1")
    write(lake, {number: f"deal {number}" for number in range(1, 31)}, "run-2")
    monkeypatch.setattr(table_diff, "LISTED", 25)
    monkeypatch.setattr(table_diff, "ON_A_PAGE", 10)
    address = f"{AT}/diff?from=0&kind=added"
    said = words(found(web, address))
    assert "New rows 29" in said
    assert "Page 1 of 3 · the first 25 of 29 rows" in said
    assert "b24lake diff raw.deals 0 2 --limit" in said
    assert "deal 11 " in said
    assert "deal 12 " not in said
    last = words(web.get(f"{address}&page=3").text)
    assert "deal 26 " in last
    assert "deal 21 " not in last
    for odd in ("0", "99", "x", "-1", "9" * 30):
        assert web.get(f"{address}&page={odd}").status_code == 200


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("from=99", "There is no version 99"),
        ("from=x&to=0", "neither a version nor a time"),
        ("from=0&to=" + "9" * 400, "There is no version"),
    ],
)
def test_versions_that_are_not_there_are_told(web: Web, query: str, why: str) -> None:
    deals(web)
    answer = web.get(f"{AT}/diff?{query}")
    assert (answer.status_code, why in words(answer.text)) == (400, True), words(answer.text)


def test_rows_that_nothing_tells_apart_are_told(web: Web) -> None:
    lake = web.site.here.lake
    for number in range(2):
        write_deltalake(str(lake / "raw" / "theirs"), pa.table({"id": [1, 1, number]}), mode="overwrite")
    said = words(found(web, "/catalog/raw/theirs/diff?from=0&to=1"))
    assert "cannot be told apart by 'id'" in said


def test_a_comparison_that_nobody_waits_for_ends_and_begins_again_when_asked(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    deals(web)
    monkeypatch.setattr(table_diff, "PATIENCE", 0.0)
    web.get(f"{AT}/diff?from=0")
    (key,) = [key for key in web.site.jobs._jobs if key.startswith("compare")]
    web.awaited(lambda: (job := web.site.jobs.found(key)) is not None and job.state == "failed")
    monkeypatch.undo()
    assert "From version 0 to 3" in words(found(web, f"{AT}/diff?from=0"))


def test_a_restore_says_what_it_will_do_and_does_it(web: Web) -> None:
    table = deals(web)
    page = web.get(f"{AT}/versions/0/restore").text
    said = words(page)
    assert "The table gets a new version that holds what version 0 held" in said
    assert "reads what has changed in Bitrix24 since Nov 14, 2023" in said
    assert "All versions stay, the present one (3) among them" in said
    effect = words(found(web, f"{AT}/versions/0/restore"))
    assert "1 row that is gone now comes back." in effect
    assert "2 rows that came later go." in effect
    assert "2 rows get their earlier values back." in effect
    assert "CITY : the column goes" in effect
    answer = web.post(f"{AT}/restore", {"version": "0", "newest": "3"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{AT}/versions")
    after = web.text(f"{AT}/versions")
    assert "raw.deals holds again what it held in version 0. This is version 4." in after
    assert "Restore of version 0" in after
    rows = opened(table).to_pyarrow_table().to_pylist()
    assert sorted((row["ID"], row["TITLE"]) for row in rows) == [(1, "one"), (2, "two"), (3, "three")]
    (entry,) = audit.entries(web.site.database, "table raw.deals")
    assert (entry.who, entry.action, entry.detail) == ("ann", "restored", {"version": 0, "as": 4})


def test_a_restore_of_the_newest_version_is_none(web: Web) -> None:
    table = deals(web)
    assert "This is the newest version" in web.text(f"{AT}/versions/3/restore")
    web.post(f"{AT}/restore", {"version": "3", "newest": "3"})
    assert "Version 3 is the newest one of raw.deals: nothing was written." in web.text(f"{AT}/versions")
    assert newest(table) == 3


def test_whoever_restores_after_somebody_else_changed_the_table_is_told(web: Web) -> None:
    table = deals(web)
    write(web.site.here.lake, {7: "meanwhile"}, "run-4")
    answer = web.post(f"{AT}/restore", {"version": "0", "newest": "3"})
    assert answer.status_code == 409
    assert "raw.deals has changed meanwhile" in words(answer.text)
    assert 'name="newest" value="4"' in answer.text
    assert newest(table) == 4


def test_a_restore_waits_for_no_run(web: Web) -> None:
    table = deals(web)
    with web.site.here.home.ready().lock(f"table-{lock_name(table)}", "the table raw.deals"):
        answer = web.post(f"{AT}/restore", {"version": "0", "newest": "3"})
    assert answer.status_code == 503
    assert "Another run holds the table raw.deals" in words(answer.text)
    assert 'action="/catalog/raw/deals/restore"' in answer.text  # to be tried again
    assert newest(table) == 3


@pytest.mark.parametrize(
    "form", [{}, {"version": "0"}, {"version": "x", "newest": "3"}, {"version": "9" * 30, "newest": "3"}]
)
def test_a_form_that_is_not_whole_restores_nothing(web: Web, form: dict[str, Any]) -> None:
    table = deals(web)
    assert web.post(f"{AT}/restore", form).status_code == 400
    assert newest(table) == 3


def test_a_stream_without_bookmarks_is_said_to_be_read_again(web: Web) -> None:
    lake = web.site.here.lake
    write(lake, {1: "one"}, "run-1")
    write(lake, {2: "two"}, "run-2")
    assert "This stream is read in full each time" in web.text(f"{AT}/versions/0/restore")
    write(lake, {3: "three"}, "run-3", mark=5)
    assert "Nobody knows how far the stream had been read then" in web.text(f"{AT}/versions/0/restore")


def test_viewers_look_and_compare_but_do_not_restore(start: Callable[..., Web]) -> None:
    web = start(login=True)
    table = deals(web)
    account(web.site, "vera")
    log_in(web, "vera")
    for path in ("versions", "versions/0", "diff?from=0"):
        page = web.get(f"{AT}/{path}")
        assert page.status_code == 200
        assert "/restore" not in page.text
    assert web.get(f"{AT}/versions/0/restore").status_code == 403
    token = re.search(r'name="csrf-token" content="(\w+)"', web.get(f"{AT}/versions").text)
    assert token
    data = {"token": token[1], "version": "0", "newest": "3"}
    assert web.client.post(f"{AT}/restore", data=data).status_code == 403
    assert newest(table) == 3


def test_the_way_from_yesterdays_version_to_a_restored_table(web: Web, page: Page) -> None:
    table = deals(web)
    page.goto(f"{AT}/versions")
    page.get_by_role("link", name="Look at version 0").click()
    page.get_by_role("cell", name="three").wait_for()
    page.get_by_role("link", name="Changes since").click()
    page.get_by_role("heading", name="From version 0 to 3").wait_for()
    assert page.locator("ins").all_inner_texts() == ["Rio", MARKED, "Rio"]
    page.get_by_role("link", name="New rows 2").click()
    page.get_by_role("cell", name="five").wait_for()
    page.get_by_label("Earlier version").select_option("2")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="From version 2 to 3").wait_for()
    page.get_by_role("link", name="All versions").click()
    page.get_by_role("link", name="Restore version 0").click()
    page.get_by_text("2 rows that came later go.").wait_for()
    page.get_by_role("button", name="Restore version 0").click()
    page.get_by_text("This is version 4.").wait_for()
    assert newest(table) >= 4


def test_a_column_and_a_table_with_odd_names(web: Web, page: Page) -> None:
    lake = web.site.here.lake
    odd = pa.schema([*SCHEMA, pa.field('select "x" <i>', pa.string())])
    more = {'select "x" <i>': "was"}
    write(lake, {1: "one"}, "run-1", name="order-2_x", schema=odd, **more)
    write(lake, {1: "one"}, "run-2", name="order-2_x", schema=odd, **{'select "x" <i>': "is"})
    said = words(found(web, "/catalog/raw/order-2_x/diff?from=0"))
    assert 'select "x" <i> was is' in said
    page.goto("/catalog/raw/order-2_x/versions/0")
    page.get_by_role("columnheader", name='select "x" <i>').wait_for()


def test_the_jobs_key_tells_versions_and_tables_apart(web: Web) -> None:
    deals(web)
    write(web.site.here.lake, {1: "one"}, "run-1", name="other", owner=OWNER)
    write(web.site.here.lake, {1: "two"}, "run-2", name="other", owner=OWNER)
    assert "New rows 2" in words(found(web, f"{AT}/diff?from=0&to=3"))
    assert "New rows 0" in words(found(web, "/catalog/raw/other/diff?from=0&to=2"))
