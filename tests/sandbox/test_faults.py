"""Faults: when they happen, and what each does to an answer."""

import http.client
import json

import pytest

from b24lake.sandbox.faults import COUNTED_BY, Fault, Faults

ORDER = {"order": {"ID": "ASC"}, "start": -1}


def fired(fault, asked=range(1, 13), method="profile", now=lambda: 0.0, seed=1):
    """Which of the requests a fault happens to."""
    faults = Faults(seed, now)
    faults.on(fault)
    return [number for number in asked if faults.fires(fault.kind, method)]


def ids(rows):
    return [int(row.get("ID") or row.get("id")) for row in rows]


# --- schedules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "numbers"),
    [
        ({}, list(range(1, 13))),
        ({"every": 4}, [4, 8, 12]),
        ({"next": 3}, [1, 2, 3]),
        ({"after": 10}, [11, 12]),
        ({"after": 2, "next": 2}, [3, 4]),
        ({"every": 3, "next": 2}, [3, 6]),
        ({"after": 1, "every": 5}, [6, 11]),
        ({"method": "profile", "next": 1}, [1]),
        ({"method": "scope"}, []),
        ({"rate": 1.0, "next": 1}, [1]),
    ],
)
def test_a_fault_happens_as_scheduled(schedule, numbers):
    assert fired(Fault(kind="bad_gateway", **schedule)) == numbers


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_a_rate_is_thrown_by_the_seed(rate):
    fault = Fault(kind="bad_gateway", rate=rate)
    once = fired(fault, range(2000))
    assert once == fired(fault, range(2000))
    assert once != fired(fault, range(2000), seed=2)
    assert len(once) / 2000 == pytest.approx(rate, abs=0.04)


def test_a_fault_for_some_seconds_ends_by_itself():
    moments = iter([0, 0, 50, 50, 109.9, 110, 111])
    numbers = fired(Fault(kind="bad_gateway", after=1, seconds=60), now=lambda: next(moments, 200))
    assert numbers
    assert max(numbers) < 12


def test_faults_of_one_kind_for_two_methods_stand_side_by_side():
    faults = Faults(1, lambda: 0.0)
    for method in ("a", "b", "a"):
        faults.on(Fault(kind="internal_error", method=method, next=1))
    assert [each.method for each in faults.all()] == ["b", "a"]
    assert [bool(faults.fires("internal_error", method)) for method in "abab"] == [True, True, False, False]
    faults.off("internal_error")
    assert not faults


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"kind": "flood"}, "no fault 'flood'"), ({"kind": "half", "rate": 2}, "rate"),
        ({"kind": "half", "next": -1}, "next"),
        ({"kind": "half", "rows": 3}, "does not know rows"), ({"kind": "other_program"}, "needs per_second"),
        ({"kind": "hidden_rows"}, "needs rate"), ({"kind": "half", "moon": 1}, "moon"), ({"rate": 1}, "kind"),
        ({"off": "flood"}, "no fault 'flood'"), ({"kind": "half", "rate": "x"}, "TypeError"),
    ],
)  # fmt: skip
def test_wrong_faults_are_refused(mended, wrong, text):
    status, body = mended.lever("faults", **wrong)
    assert status == 400
    assert text in body["error"]
    assert not mended.portal.faults


def test_faults_are_switched_and_listed_over_http(mended):
    assert mended.lever("faults", kind="bad_gateway", after=1, next=1)[0] == 200
    status, body = mended.lever("faults", kind="clock_off")
    assert (status, body["known"]) == (200, COUNTED_BY)
    assert body["on"] == [{"kind": "bad_gateway", "after": 1, "next": 1}, {"kind": "clock_off"}]
    assert [mended.raw()[0] for _ in range(3)] == [200, 502, 200]
    assert mended.counters()["faults"] == {"bad_gateway": 1}
    assert mended.lever("faults", off="clock_off")[1]["on"] == [{"kind": "bad_gateway", "after": 1, "next": 1}]
    assert mended.lever("faults", off=True)[1]["on"] == []


# --- whole requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("too_many", 503, "QUERY_LIMIT_EXCEEDED"),
        ("overload", 503, "OVERLOAD_LIMIT"),
        ("unauthorized", 401, "NO_AUTH_FOUND"),
    ],
)
def test_refusals_of_whole_requests(mended, kind, status, code):
    mended.portal.fault(kind, after=1)
    mended.ask("profile")
    for method in ("profile", "batch"):
        seen, body = mended.call(method)
        assert (seen, body["error"]) == (status, code)
    told = mended.counters()
    assert (told["refused"], told["blocked"], told["faults"]) == (0, 0, {kind: 2})


@pytest.mark.parametrize(
    ("kind", "status", "text"), [("bad_gateway", 502, b"502 Bad Gateway"), ("gateway_timeout", 504, b"504 Gateway")]
)
def test_pages_of_the_proxy_are_html(mended, kind, status, text):
    mended.portal.fault(kind, next=1)
    seen, kind_of, body = mended.raw()
    assert (seen, kind_of) == (status, "text/html")
    assert text in body
    assert mended.raw()[0] == 200


def test_a_proxy_can_give_up_on_long_batches_only(mended):
    mended.portal.fault("gateway_timeout", commands=2)
    sent = {n: b"&".join(b"cmd[c%d]=profile" % number for number in range(n)) for n in (2, 3)}
    assert [mended.raw("batch", "POST", sent[n])[0] for n in (2, 3)] == [200, 504]
    assert mended.raw()[0] == 200


def test_a_connection_is_closed_without_an_answer(mended):
    mended.portal.fault("hang_up", next=1)
    with pytest.raises(http.client.RemoteDisconnected):
        mended.raw()
    assert mended.raw()[0] == 200


def test_a_connection_is_closed_within_the_body(mended):
    mended.portal.fault("truncated", next=1)
    with pytest.raises(http.client.IncompleteRead):
        mended.raw("crm.deal.list")
    assert mended.raw()[0] == 200


def test_half_of_a_body_comes_as_if_it_were_whole(mended):
    mended.portal.fault("half", next=1)
    status, kind, body = mended.raw("crm.deal.list")
    assert (status, kind) == (200, "application/json; charset=utf-8")
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_a_page_in_place_of_json_under_200(mended):
    mended.portal.fault("not_json", next=1)
    status, kind, body = mended.raw()
    assert (status, kind, body[:6]) == (200, "text/html", b"<html>")


def test_another_program_takes_its_share_of_the_bucket(portal_with):
    clock = [1_800_000_000.0]
    with portal_with(threshold=50, now=lambda: clock[0]) as hook:

        def passing(seconds, every):
            seen = []
            for _ in range(int(seconds / every)):
                clock[0] += every
                seen.append(hook.call("profile")[0])
            return seen.count(503)

        assert passing(100, 0.5) == 0
        hook.portal.fault("other_program", per_second=1.0)
        assert passing(40, 0.5) == 0  # the burst is used up first
        assert 85 <= passing(100, 0.5) <= 105  # then half of the requests are too many
        assert passing(100, 1.0) <= 1
        hook.portal.mend("other_program")
        clock[0] += 50
        assert passing(100, 0.5) == 0
        hook.portal.fault("other_program", per_second=100.0)
        clock[0] += 60
        assert [hook.call("profile")[0] for _ in range(3)] == [503] * 3


# --- batches and commands ---------------------------------------------------------------------------------------------


def test_commands_go_missing_from_all_sections(mended):
    mended.portal.fault("missing_keys", rate=0.3)
    done = mended.batch({f"c{n}": "crm.deal.list?select[]=ID" for n in range(50)})
    lost = 50 - len(done["result"])
    assert 5 <= lost <= 30
    assert {len(entries) for entries in done.values()} == {50 - lost, 0}
    assert all(set(entries) == set(done["result"]) for entries in done.values() if entries)


def test_all_sections_are_empty_once(mended):
    mended.portal.fault("empty_sections", next=1)
    first, second = (mended.ask("batch", cmd={"a": "profile"}) for _ in range(2))
    assert set(map(json.dumps, first["result"].values())) == {"[]"}
    assert set(second["result"]["result"]) == {"a"}


def test_single_commands_break(mended):
    mended.portal.fault("internal_error", method="crm.deal.list", every=3)
    done = mended.batch({f"c{n}": "crm.deal.list?select[]=ID" for n in range(7)} | {"p": "profile"})
    assert {key: error["error"] for key, error in done["result_error"].items()} == dict.fromkeys(
        ["c2", "c5"], "INTERNAL_SERVER_ERROR"
    )
    assert [mended.call("crm.deal.list")[0] for _ in range(2)] == [200, 500]


def test_a_method_is_blocked_for_a_time(mended, turned):
    mended.portal.fault("operation_limit", method="crm.deal.list", after=2, seconds=90)
    done = mended.batch({f"c{n}": "crm.deal.list?select[]=ID" for n in range(4)} | {"p": "profile"})
    assert list(done["result_error"]) == ["c2", "c3"]
    assert mended.call("crm.deal.list")[1]["error"] == "OPERATION_TIME_LIMIT"
    turned.at += 89
    assert mended.call("crm.deal.list")[0] == 429
    turned.at += 1
    assert mended.call("crm.deal.list")[0] == 200
    assert mended.counters()["blocked"] == 0


def test_whole_batches_are_blocked(mended):
    mended.portal.fault("operation_limit", method="batch", next=1)
    assert [mended.call("batch", cmd={"a": "profile"})[0] for _ in range(2)] == [429, 200]


def test_time_comes_without_the_gauge(mended):
    mended.portal.fault("no_operating", every=2)
    for told in (True, False, True, False):
        body = mended.ask("batch", cmd={"a": "profile"})
        assert [("operating" in time) for time in (body["time"], body["result"]["result_time"]["a"])] == [told, told]
        assert ("operating_reset_at" in body["time"]) == told


def test_the_clock_is_an_hour_off(mended, turned):
    plain = mended.ask("server.time")
    mended.portal.fault("clock_off")
    off = mended.ask("server.time")
    assert off["time"]["start"] - plain["time"]["start"] == 3600
    assert off["time"]["operating_reset_at"] - plain["time"]["operating_reset_at"] == 3600
    assert [plain["result"][11:13], off["result"][11:13]] == ["11", "12"]
    mended.portal.fault("clock_off", skew=-3600)
    assert mended.ask("server.time")["time"]["start"] - plain["time"]["start"] == -3600


# --- lists ------------------------------------------------------------------------------------------------------------

FAMILIES = [
    ("crm.deal.list", {"filter": {">ID": 100}, **ORDER}, None),
    ("crm.item.list", {"entityTypeId": 2, "filter": {">id": 100}, "order": {"id": "ASC"}, "start": -1}, "items"),
    ("user.get", {"FILTER": {">ID": 20}, "sort": "ID", "order": "ASC", "start": -1}, None),
    ("voximplant.statistic.get", {"FILTER": {">ID": 100}, "SORT": "ID", "ORDER": "ASC", "start": -1}, None),
    ("crm.stagehistory.list", {"entityTypeId": 2, "filter": {">ID": 100}, **ORDER}, "items"),
]


def listed(hook, method, params, under):
    result = hook.result(method, **params)
    return ids(result[under] if under else result)


@pytest.mark.parametrize(("method", "params", "under"), FAMILIES)
def test_a_method_ignores_the_id_filter(mended, method, params, under):
    honest = listed(mended, method, params, under)
    mended.portal.fault("ignores_id", method=method)
    deaf = listed(mended, method, params, under)
    assert min(honest) > 20
    assert min(deaf) < 20
    assert listed(mended, "crm.lead.list", {"filter": {">ID": 100}, **ORDER}, None)[0] > 100


@pytest.mark.parametrize(("method", "params", "under"), FAMILIES)
def test_a_method_ignores_the_order(mended, method, params, under):
    honest = listed(mended, method, params, under)
    mended.portal.fault("ignores_order", method=method)
    deaf = listed(mended, method, params, under)
    assert honest == sorted(honest)
    assert deaf == sorted(deaf, reverse=True)


def test_a_batch_hears_no_better(mended):
    mended.portal.fault("ignores_id")
    done = mended.batch({"a": "crm.deal.list?filter[%3EID]=100&order[ID]=ASC&start=-1"})
    assert min(ids(done["result"]["a"])) < 20


@pytest.mark.parametrize(
    ("kind", "value", "honoured"),
    [
        ("ignores_date_offset", "2026-01-01T00:00:00+03:00", False),
        ("ignores_date_offset", "2025-12-31T21:00:00Z", False),
        ("ignores_date_offset", "2026-01-01 00:00:00", True),
        ("ignores_date", "2026-01-01T00:00:00+03:00", False),
        ("ignores_date", "2026-01-01 00:00:00", False),
        ("clock_off", "2026-01-01T00:00:00+03:00", True),
    ],
)
@pytest.mark.parametrize(("method", "field"), [("crm.deal.list", "DATE_MODIFY"), ("crm.item.list", "updatedTime")])
def test_a_method_ignores_dates(mended, kind, value, honoured, method, field):
    mended.portal.fault(kind)
    body = mended.ask(method, entityTypeId=2, filter={f">={field}": value})
    assert (body["total"] < 330) == honoured


def test_only_the_field_named_is_ignored(mended):
    mended.portal.fault("ignores_date", field="DATE_CREATE")
    late = "2026-01-01T00:00:00+03:00"
    totals = [
        mended.ask("crm.deal.list", filter={f">={name}": late})["total"] for name in ("DATE_CREATE", "DATE_MODIFY")
    ]
    assert [total < 330 for total in totals] == [False, True]


def test_an_unknown_filter_is_ignored_or_refused_by_family(mended):
    mended.portal.fault("unknown_filter", field="DATE_MODIFY", method="crm.deal.list")
    mended.portal.fault("unknown_filter", field="updatedTime", method="crm.item.list")
    late = "2026-01-01T00:00:00+03:00"
    assert mended.ask("crm.deal.list", filter={">=DATE_MODIFY": late})["total"] == 330
    status, body = mended.call("crm.item.list", entityTypeId=2, filter={">=updatedTime": late})
    assert (status, body["error"]) == (400, "INVALID_ARG_VALUE")
    assert "'updatedTime' is not allowed in filter" in body["error_description"]


@pytest.mark.parametrize(("method", "params", "under"), FAMILIES)
def test_a_page_comes_short_before_the_end(mended, method, params, under):
    honest = listed(mended, method, params, under)
    mended.portal.fault("short_pages", rows=2, next=1)
    assert listed(mended, method, params, under) == honest[:-2]
    assert listed(mended, method, params, under) == honest


def test_a_chain_restarts_after_a_page_that_came_short(mended):
    mended.portal.fault("short_pages", next=1)
    first = "crm.deal.list?order[ID]=ASC&start=-1&filter[%3EID]="
    done = mended.batch({"a": f"{first}0", "b": f"{first}$result[a][49][ID]", "c": f"{first}$result[b][49][ID]"})
    pages = {key: ids(rows) for key, rows in done["result"].items()}
    assert pages["a"] == pages["b"][:49]
    assert pages["c"][0] > pages["b"][-1]


def test_hidden_rows_are_always_the_same_and_pages_are_short_in_the_middle(mended):
    mended.portal.fault("hidden_rows", rate=0.1)
    mended.connection.request("GET", "/sandbox/truth/deals?visible=1")
    visible = ids([json.loads(line) for line in mended.connection.getresponse().read().splitlines()])
    everything = list(mended.portal.tables["deals"].ids)
    pages = [mended.ask("crm.deal.list", select=["ID"], start=start) for start in range(0, 330, 50)]
    assert [id_ for page in pages for id_ in ids(page["result"])] == visible
    assert [page.get("next") for page in pages] == [50, 100, 150, 200, 250, 300, None]
    assert {page["total"] for page in pages} == {330}
    assert 280 < len(visible) < 315 < len(everything)
    assert any(len(page["result"]) < 50 for page in pages[:-1])
    shown = ids(mended.result("crm.item.list", entityTypeId=2, order={"id": "ASC"}, start=-1)["items"])
    assert shown == [id_ for id_ in everything[:50] if id_ in visible]
