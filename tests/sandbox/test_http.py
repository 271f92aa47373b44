"""Requests, errors, limits: what holds for every method."""

import pytest

from b24lake.sandbox import Settings
from b24lake.sandbox.params import parse_query, to_int


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("a=1&b=x+y", {"a": "1", "b": "x y"}),
        ("select[]=ID&select[]=UF_*", {"select": ["ID", "UF_*"]}),
        ("filter[%3E%3DDATE]=2025-01-01T00%3A00%3A00%2B03%3A00", {"filter": {">=DATE": "2025-01-01T00:00:00+03:00"}}),
        ("filter%5B%3EID%5D=5", {"filter": {">ID": "5"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("filter[>=ID]=5", {"filter_>": "ID]=5"}),
        ("a[2]=x&a[]=y", {"a": {"2": "x", "3": "y"}}),
        ("a", {"a": ""}),
        ("", {}),
    ],
)
def test_query_strings_are_read_as_php_reads_them(text, params):
    assert parse_query(text) == params


@pytest.mark.parametrize(
    ("value", "number"),
    [("12abc", 12), ("abc", 0), ([1, 2], 1), ([], 0), ({}, 0), (None, 0), (" 7", 7), ("-3", -3), (5.9, 5)],
)
def test_values_are_cast_to_integers_as_php_casts_them(value, number):
    assert to_int(value) == number


def test_all_forms_of_a_request_read_the_same(hook):
    asked = [("filter[>ID]", "20"), ("order[ID]", "ASC"), ("select[]", "ID"), ("start", "-1")]
    _, form = hook.form("crm.deal.list", asked)
    _, got = hook.send("GET", f"{hook.base}crm.deal.list.json?filter[%3EID]=20&order[ID]=ASC&select[]=ID&start=-1")
    _, sent = hook.call("crm.deal.list", filter={">ID": 20}, order={"ID": "ASC"}, select=["ID"], start=-1)
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in asked)
    multipart = "multipart/form-data; boundary=x"
    _, mixed = hook.send("POST", f"{hook.base}crm.deal.list", (parts + "--x--\r\n").encode(), multipart)
    assert form["result"] == got["result"] == sent["result"] == mixed["result"]
    assert int(form["result"][0]["ID"]) > 20


def test_method_names_are_case_insensitive(hook):
    assert hook.result("CRM.Deal.LIST", select=["ID"]) == hook.result("crm.deal.list", select=["ID"])


def test_json_that_does_not_parse_loses_all_parameters(hook):
    status, body = hook.send("POST", f"{hook.base}crm.deal.list", b'{"filter":{"ID":5', "application/json")
    assert (status, body["total"]) == (200, 300)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/rest/1/wrongcode/profile", 401, "NO_AUTH_FOUND"),
        ("/rest/2/sandboxcode1234ab/profile", 401, "NO_AUTH_FOUND"),
        ("/somewhere/else", 401, "NO_AUTH_FOUND"),
        ("/rest/1/sandboxcode1234ab/crm.nothing.list", 404, "ERROR_METHOD_NOT_FOUND"),
        ("/rest/1/sandboxcode1234ab/app.info", 403, "ACCESS_DENIED"),
        ("/rest/1/sandboxcode1234ab/crm.deal.get?id=0", 400, ""),
        ("/rest/1/sandboxcode1234ab/crm.item.list?entityTypeId=999", 400, "NOT_FOUND"),
        ("/rest/1/sandboxcode1234ab/crm.category.list?entityTypeId=1", 400, "ENTITY_TYPE_NOT_SUPPORTED"),
        ("/rest/1/sandboxcode1234ab/crm.timeline.comment.list", 400, ""),
        ("/rest/1/sandboxcode1234ab/imopenlines.config.list.get?PARAMS[start]=0", 400, "INVALID_FORMAT"),
        ("/rest/1/sandboxcode1234ab/crm.deal.list?filter=x", 400, ""),
        ("/rest/1/sandboxcode1234ab/crm.item.productrow.list", 400, 100),
    ],
)
def test_refusals(hook, path, status, code):
    seen, body = hook.send("GET", path)
    assert (seen, body["error"]) == (status, code)
    assert set(body) == {"error", "error_description"}


def test_a_missing_scope_is_403_and_method_get_tells_it(portal_with):
    with portal_with(scopes=("user",)) as hook:
        status, body = hook.call("crm.deal.list")
        assert (status, body["error"]) == (403, "insufficient_scope")
        assert hook.result("method.get", name="crm.deal.list") == {"isExisting": True, "isAvailable": False}
        assert hook.result("method.get", name="crm.deal.dance") == {"isExisting": False, "isAvailable": False}
        assert hook.result("scope") == ["user"]
        assert "UF_USR_1688456" not in hook.result("user.fields")


def test_only_administrators_list_smart_processes(portal_with):
    with portal_with(admin=False) as hook:
        status, body = hook.call("crm.type.list")
        assert (status, body["error"]) == (400, "ACCESS_DENIED")
        assert hook.result("user.admin") is False
        assert hook.result("crm.type.getByEntityTypeId", entityTypeId=128)["type"]["id"] == 4


def test_the_bucket_overflows_at_the_threshold_and_drains_with_the_clock(portal_with):
    clock = [1_800_000_000.0]
    with portal_with(threshold=50, now=lambda: clock[0]) as hook:
        assert [hook.call("profile")[0] for _ in range(51)] == [200] * 50 + [503]
        assert hook.call("profile")[1]["error"] == "QUERY_LIMIT_EXCEEDED"
        clock[0] += 1.0
        assert [hook.call("profile")[0] for _ in range(3)] == [200, 200, 503]
        assert hook.portal.counters.refused == 3


@pytest.mark.parametrize(
    ("operating", "keys"),
    [("present", {"operating", "operating_reset_at"}), ("zero", {"operating"}), ("absent", set())],
)
def test_the_operating_gauge_is_there_as_asked(portal_with, operating, keys):
    with portal_with(operating=operating) as hook:
        time = hook.ask("profile")["time"]
        assert set(time) == {"start", "finish", "duration", "processing", "date_start", "date_finish"} | keys


@pytest.mark.parametrize(
    "wrong",
    [
        {"deals": -1}, {"users": 0}, {"deal_fields": 10}, {"id_start": 0}, {"id_gap": 0.5}, {"server_offset": 9999},
        {"code": "a/b"}, {"threshold": -1}, {"drain": -1}, {"operating": "maybe"}, {"billing": "x"}, {"gauges": "x"},
        {"resets": "x"}, {"page_ms": -1}, {"count_ms": -1}, {"acceleration": 0}, {"factors": {"a": -1}},
        {"user_id": 0}, {"products": -5}, {"departments": 0},
    ],
)  # fmt: skip
def test_wrong_options_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_gzip_only_by_option(portal_with):
    with portal_with(gzip=True) as hook:
        hook.connection.request("GET", f"{hook.base}profile", headers={"Accept-Encoding": "gzip"})
        answer = hook.connection.getresponse()
        answer.read()
        assert answer.getheader("Content-Encoding") == "gzip"
