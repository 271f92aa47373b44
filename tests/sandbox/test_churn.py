"""Rows that change under a read, by plan."""

import pytest

from b24lake.sandbox.churn import Step


def ids(rows):
    return [int(row["ID"]) for row in rows]


@pytest.mark.parametrize(
    ("step", "numbers"),
    [
        ({}, [1]),
        ({"after": 3}, [3]),
        ({"every": 4}, [1, 5, 9]),
        ({"after": 2, "every": 4}, [2, 6, 10]),
        ({"after": 2, "every": 4, "times": 2}, [2, 6]),
    ],
)
def test_a_step_is_due_as_planned(step, numbers):
    planned = Step(do="change", table="deals", **step)
    assert [number for number in range(13) if planned.due(number)] == numbers


def test_rows_change_after_a_request(fresh):
    table = fresh.portal.tables["deals"]
    gone, changed = table.ids[0], table.ids[1]
    fresh.portal.plan("delete", "deals", id=gone, after=2)
    fresh.portal.plan("change", "deals", id=changed, fields={"TITLE": "new"}, after=2)
    fresh.portal.plan("create", "deals", after=2, count=3)
    before, second, after = (fresh.result("crm.deal.list", order={"ID": "ASC"}) for _ in range(3))
    assert before == second
    assert ids(after)[:49] == ids(before)[1:]
    assert after[0]["TITLE"] == "new"
    assert len(table.ids) == 122
    assert [(done.do, done.requests) for done in fresh.portal.churn.log] == [
        ("delete", 2),
        ("change", 2),
        *[("create", 2)] * 3,
    ]
    assert fresh.portal.churn.touched("deals") == {gone, changed, *table.ids[-3:]}


def test_refused_requests_count_too(fresh):
    fresh.portal.plan("create", "deals", after=2)
    fresh.call("no.such.method")
    fresh.call("crm.deal.get", id=0)
    assert len(fresh.portal.tables["deals"].ids) == 121


def test_rows_change_between_the_pages_of_a_batch(fresh):
    first = fresh.portal.tables["deals"].ids[0]
    fresh.portal.plan("delete", "deals", id=first, after=2, unit="page", method="crm.deal.list")
    lists = "crm.deal.list?order[ID]=ASC&start=-1"
    done = fresh.batch({"a": lists, "x": "crm.lead.list?start=-1", "b": lists, "c": lists, "p": "profile"})
    assert [ids(done["result"][key])[0] == first for key in "abc"] == [True, True, False]
    assert (fresh.portal.churn.log[0].pages, fresh.portal.churn.log[0].requests) == (3, 0)


def test_rows_are_chosen_by_the_seed(portal_with):
    logs = []
    for seed in (5, 5, 6):
        with portal_with(seed=seed) as hook:
            for do in ("create", "change", "delete"):
                hook.lever("plan", do=do, table="contacts", every=2, count=2, times=4)
            for _ in range(20):
                hook.ask("profile")
            logs.append(hook.send("GET", "/sandbox/plan")[1]["log"])
            assert len(logs[-1]) == 24
            assert len(hook.portal.tables["contacts"].ids) == 36
    assert logs[0] == logs[1] != logs[2]


def test_a_row_that_is_gone_is_left_alone(fresh):
    first = fresh.portal.tables["deals"].ids[0]
    for do in ("delete", "change", "delete"):
        fresh.portal.plan(do, "deals", id=first)
    fresh.ask("profile")
    assert [done.do for done in fresh.portal.churn.log] == ["delete"]


def test_a_plan_is_forgotten(fresh):
    fresh.lever("plan", do="create", table="deals", every=1)
    fresh.ask("profile")
    assert len(fresh.send("GET", "/sandbox/plan")[1]["log"]) == 1
    assert fresh.lever("plan", off=True) == (200, {"log": []})
    fresh.ask("profile")
    assert len(fresh.portal.tables["deals"].ids) == 121


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"do": "paint", "table": "deals"}, "do is one of"), ({"do": "create", "table": "moons"}, "no table 'moons'"),
        ({"do": "create", "table": "deals", "after": 0}, "after"),
        ({"do": "create", "table": "deals", "unit": "moon"}, "unit"),
        ({"do": "create"}, "table"), ({"do": "create", "table": "deals", "moon": 1}, "moon"),
    ],
)  # fmt: skip
def test_wrong_plans_are_refused(mended, wrong, text):
    status, body = mended.lever("plan", **wrong)
    assert status == 400
    assert text in body["error"]
    assert not mended.portal.churn


def test_a_read_by_keys_keeps_what_existed_throughout(portal_with):
    with portal_with(deals=330) as hook:
        before = {*hook.portal.tables["deals"].ids}
        for do in ("create", "change", "delete"):
            hook.portal.plan(do, "deals", every=1, count=3, times=5)
        last, seen = 0, []
        while rows := hook.result("crm.deal.list", filter={">ID": last}, order={"ID": "ASC"}, select=["ID"], start=-1):
            seen += ids(rows)
            last = seen[-1]
        deleted = {done.id for done in hook.portal.churn.log if done.do == "delete"}
        assert deleted
        assert before - deleted <= {*seen}
        assert len(seen) == len({*seen})
