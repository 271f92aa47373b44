"""`b24lake plan` as people and scripts see it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from b24lake.sandbox import Server
from running import Lake, Ran

Run = Callable[..., Ran]


def test_a_plan_tells_rows_requests_and_time(serve: Callable[..., Server], b24lake: Run, lake: Lake) -> None:
    url = serve(code="pl4ns3cr3tc0d3").url
    ran = b24lake("plan", url, "--json")
    found = {stream["name"]: stream for stream in ran.json["streams"]}
    assert ran.code == 0
    assert (found["deals"]["rows"], found["deals"]["read"], found["users"]["rows"]) == (260, "full", 60)
    assert {"requests", "portal_seconds", "seconds"} < ran.json.keys()
    shown = b24lake("plan", url, "-s", "deal*")
    assert "in full" in shown.out
    assert "requests" in shown.out
    assert "leads" not in shown.out
    assert "pl4ns3cr3tc0d3" not in ran.said + shown.said
    assert not lake.path.exists()


def test_a_plan_knows_the_bookmarks_of_a_lake(serve: Callable[..., Server], b24lake: Run) -> None:
    url = serve().url
    assert b24lake("sync", url, "-s", "activities").code == 0
    assert "since 20" in b24lake("plan", url, "-s", "activities").out
    changed = ("--replication-key", "activities=LAST_UPDATED")
    assert "read in full, since it is asked otherwise" in b24lake("plan", url, "-s", "activities", *changed).out
    document = b24lake("plan", url, "-s", "activities", "--full", "--json").json
    assert (document["streams"][0]["read"], document["streams"][0]["because"]) == ("full", None)


def test_a_plan_of_locked_streams_alone_fails(serve: Callable[..., Server], b24lake: Run) -> None:
    url = serve(scopes=("user",)).url
    ran = b24lake("plan", url, "-s", "deals")
    assert (ran.code, "scope crm" in ran.out) == (1, True)
    assert b24lake("plan", url).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-s", "dealz"), "deals"),
        (("--operating-threshold", "-1"), "threshold"),
        (("--concurrency", "0"), "concurrency"),
        (("--portal-plan", "gold"), "enterprise"),
        (("--prefix", "a/b"), "name"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    serve: Callable[..., Server], b24lake: Run, words: tuple[str, ...], said: str
) -> None:
    ran = b24lake("plan", serve().url, *words)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
