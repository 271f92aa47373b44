"""Envelopes, sections and refusals of every shape."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.errors import (
    B24LakeError,
    BusyError,
    LockedError,
    OverlongError,
    RestError,
    RetryError,
    StopError,
    StreamError,
)
from b24lake.portal import replies
from b24lake.portal.refusals import refusal
from b24lake.portal.replies import Answer, Timing, listed, mapping, read_batch, timing, whole

HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
BOM = b"\xef\xbb\xbf"


def refused(status: int, body: bytes) -> B24LakeError:
    with pytest.raises(B24LakeError) as error:
        replies.read(status, body, method="crm.deal.list")
    return error.value


@pytest.mark.parametrize(
    ("body", "result", "total", "next_"),
    [
        (b'{"result": [], "total": 0}', [], 0, None),
        (b'{"result": [1], "total": "654", "next": "50"}', [1], 654, 50),
        (b'{"next": 50, "result": {"items": []}, "total": 51}', {"items": []}, 51, 50),
        (b'{"result": null}', None, None, None),
        (b'{"result": false, "total": null}', False, None, None),
        (b'{"result": "2026-01-01T00:00:00+03:00", "time": []}', "2026-01-01T00:00:00+03:00", None, None),
        (BOM + b'{"result": true}', True, None, None),
    ],
)
def test_an_envelope_is_read(body: bytes, result: Any, total: int | None, next_: int | None) -> None:
    answer = replies.read(200, body, method="x")
    assert (answer.result, answer.total, answer.next, answer.timing) == (result, total, next_, Timing())


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, HTML, RetryError),
        (302, HTML, RetryError),
        (403, HTML, RetryError),
        (500, HTML, RetryError),
        (502, HTML, OverlongError),
        (503, HTML, RetryError),
        (504, b"", OverlongError),
        (200, b"", RetryError),
        (200, b'{"result": [1, 2', RetryError),
        (200, b'{"result": "\xff\xfe"}', RetryError),
        (200, b'"text"', RetryError),
        (200, b"[1]", RetryError),
        (200, b"null", RetryError),
        (200, b"{}", RetryError),
        (500, b"{}", RetryError),
        (500, b'{"result": []}', RetryError),
        (404, HTML, StopError),
        (401, b"Unauthorized", StopError),
        (410, HTML, StopError),
        (405, b"", StopError),
        (404, b"{}", StopError),
        (400, b'{"result": []}', StopError),
    ],
)
def test_what_is_no_envelope_is_never_taken_for_an_answer(status: int, body: bytes, kind: type[B24LakeError]) -> None:
    assert type(refused(status, body)) is kind


REFUSALS: list[tuple[int, Any, str, type[B24LakeError]]] = [
    (500, "INTERNAL_SERVER_ERROR", "Internal server error", RetryError),
    (500, "ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response", RetryError),
    (200, "InternalServerError", "", RetryError),
    (200, "", "Internal server error", RetryError),
    (500, "SOMETHING_NEW", "", RetryError),
    (503, "QUERY_LIMIT_EXCEEDED", "Too many requests", BusyError),
    (200, "query_limit_exceeded", "", BusyError),
    (429, "", "", BusyError),
    (200, "", "Too many requests", BusyError),
    (429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", RestError),
    (200, "", "Method is blocked due to operation time limit.", RestError),
    (503, "OVERLOAD_LIMIT", "REST API is blocked due to overload", StopError),
    (405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", StreamError),
    (400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded", StreamError),
    (401, "NO_AUTH_FOUND", "Wrong authorization data", StopError),
    (400, "INVALID_REQUEST", "Https required", StopError),
    (403, "ACCESS_DENIED", "REST API is available only on commercial plans", StopError),
    (403, "ACCESS_DENIED", "REST is available only on commercial plans.", StopError),
    (400, "ACCESS_DENIED", "Access denied!", LockedError),
    (400, "ACCESS_DENIED", "Access denied", LockedError),
    (400, "ACCESS_DENIED", "Access denied.", LockedError),
    (403, "ACCESS_DENIED", "Access denied! Application context required", LockedError),
    (403, "ACCESS_DENIED", "Access denied! Available only on extended plans", LockedError),
    (403, "ACCESS_DENIED", "Current user can't be authorized in this context", StopError),
    (403, "ACCESS_DENIED", "", LockedError),
    (403, "INVALID_CREDENTIALS", "Invalid request credentials", StopError),
    (404, "ERROR_MANIFEST_IS_NOT_AVAILABLE", "Manifest is not available", LockedError),
    (403, "insufficient_scope", "The request requires higher privileges", LockedError),
    (403, "INSUFFICIENT_SCOPE", "", LockedError),
    (401, "expired_token", "The access token provided has expired", StopError),
    (403, "user_access_error", "The user does not have access to the application", StopError),
    (500, "PORTAL_DELETED", "Portal was deleted", StopError),
    (410, "PORTAL_DELETED", "", StopError),
    (404, "ERROR_METHOD_NOT_FOUND", "Method not found!", LockedError),
    (402, "PAYMENT_REQUIRED", "Payment required", StopError),
    (401, "METHOD_CONFIRM_WAITING", "", LockedError),
    (403, "METHOD_CONFIRM_DENIED", "", LockedError),
    (401, "authorization_error", "", StopError),
    (401, "SOMETHING_NEW", "", StopError),
    (403, "allowed_only_intranet_user", "", LockedError),
    (400, "INVALID_ARG_VALUE", "Invalid filter: field 'x' is not allowed in filter", StreamError),
    (400, "NOT_FOUND", "SPA not found", StreamError),
    (400, "ENTITY_TYPE_NOT_SUPPORTED", "", StreamError),
    (400, "INVALID_FORMAT", "A wrong format", StreamError),
    (400, "", "Access denied.", LockedError),
    (400, "", "Access denied", LockedError),
    (400, "", "You do not have permission to view user field settings", LockedError),
    (400, "", "The current method required more scopes. (crm)", LockedError),
    (400, "", "Parameter 'order' must be array.", StreamError),
    (400, "", "Failed to get list. General error.", StreamError),
    (400, "", "Not found", StreamError),
    (400, "Invalid parameters.", "Incorrect parameters passed.", StreamError),
    (400, 0, "SHIPMENT_DOCUMENT entity is not supported", StreamError),
    (400, 100, "Could not find value for parameter", StreamError),
    (400, 200040300010, "Access denied", LockedError),
    (400, "200040300010", "", LockedError),
    (200, "", "", StreamError),
    (200, 0, "", StreamError),
    (200, None, None, StreamError),
    (200, False, "", StreamError),
    (200, [], [], StreamError),
    (400, {"code": "BITRIX_REST_V3_EXCEPTION_X", "message": "Bad"}, "", StreamError),
    (404, {"code": "ERROR_METHOD_NOT_FOUND", "message": "Method not found"}, None, LockedError),
    (400, {}, None, StreamError),
]


@pytest.mark.parametrize(("status", "error", "description", "kind"), REFUSALS)
def test_every_refusal_means_one_thing_to_the_run(
    status: int, error: Any, description: Any, kind: type[B24LakeError]
) -> None:
    body = json.dumps({"error": error, "error_description": description}).encode()
    assert type(refused(status, body)) is kind


@pytest.mark.parametrize(("_status", "error", "description", "kind"), REFUSALS)
def test_a_refused_command_never_ends_the_run(_status: int, error: Any, description: Any, kind: Any) -> None:
    body = {"result": [], "result_error": {"c0": {"error": error, "error_description": description}}}
    found = read_batch(Answer(body), {"c0": "crm.deal.list"})["c0"].error
    assert isinstance(found, StreamError | RetryError | RestError)
    if kind is StopError:
        assert isinstance(found, StreamError)


def test_a_refusal_says_method_code_and_sentence_but_no_secret() -> None:
    said = "Call to https://acme.bitrix24.com/rest/1/s3cr3t/crm.deal.list failed"
    text = str(refusal(400, "ODD_CODE", said, method="crm.deal.list"))
    assert "crm.deal.list (ODD_CODE, Call to" in text
    assert "s3cr3t" not in text


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"result": {"a": [1], "b": []}}, {"a": [1], "b": []}),
        ({"result": {"a": None, "b": False}}, {"a": None, "b": False}),
        ({"result": []}, {}),
        ({"result": [[1], [2]]}, {}),
        ({"result": {"a": [1]}, "result_error": []}, {"a": [1]}),
        ({}, {}),
        ([], {}),
        (None, {}),
    ],
)
def test_a_command_without_result_or_error_is_missing(sections: Any, expected: dict[str, Any]) -> None:
    answers = read_batch(Answer(sections), {"a": "m", "b": "m"})
    assert {key: answer.result for key, answer in answers.items() if not answer.missing} == expected
    assert list(answers) == ["a", "b"]


def test_totals_and_times_belong_to_their_commands() -> None:
    sections = {
        "result": {"a": [], "b": []},
        "result_total": {"a": 5, "b": "7"},
        "result_next": {"b": 50},
        "result_time": {"b": {"duration": 0.5, "operating": 2}},
    }
    answers = read_batch(Answer(sections), {"a": "m", "b": "m"})
    assert [(one.total, one.next, one.timing.operating) for one in answers.values()] == [(5, None, None), (7, 50, 2.0)]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ({"duration": 1, "operating": 0, "operating_reset_at": 0}, Timing(1.0, 0.0, None)),
        ({"operating": 1.5, "operating_reset_at": 1705765533}, Timing(0.0, 1.5, 1705765533.0)),
        ({"operating": "1.5", "operating_reset_at": "1705765533"}, Timing(0.0, 1.5, 1705765533.0)),
        ({"operating_reset_at": "2024-08-26T15:11:37+02:00"}, Timing(reset_at=1724677897.0)),
        ({"operating_reset_at": "soon", "operating": "nan", "duration": None}, Timing()),
        ({"date_start": "2024-08-26T15:11:37", "finish": True}, Timing()),
        ({"finish": 5}, Timing(finish=5.0)),
        ([], Timing()),
        (None, Timing()),
    ],
)
def test_times_are_read_in_every_form(time: Any, expected: Timing) -> None:
    assert timing(time) == expected


def test_the_start_keeps_the_zone_of_the_portal() -> None:
    start = timing({"date_start": "2024-08-26T15:11:37+02:00"}).date_start
    assert start == datetime.fromisoformat("2024-08-26T15:11:37+02:00")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_no_body_surprises_the_reader(result: Any, error: Any, time: Any) -> None:
    sections = {"result": result, "result_error": error, "result_total": time, "result_time": time}
    answers = read_batch(Answer(sections), {"a": "m", "": "m"})
    assert set(answers) == {"a", ""}
    assert isinstance(timing(time), Timing)
    assert isinstance(refusal(0, error, time, method="m"), B24LakeError)


@given(
    st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from([200, 302, 404, 500])
)
def test_any_bytes_become_an_answer_or_one_of_our_errors(body: bytes, status: int) -> None:
    try:
        assert isinstance(replies.read(status, body, method="m"), Answer)
    except B24LakeError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5),
        ("5", 5),
        (" 7 ", 7),
        (5.0, 5),
        ("-3", -3),
        (0, 0),
        (5.5, None),
        ("5.5", None),
        (True, None),
        (None, None),
        ("", None),
        ([], None),
        ({}, None),
        (float("inf"), None),
    ],
)
def test_a_whole_number_may_come_as_text(value: Any, number: int | None) -> None:
    assert whole(value) == number


@pytest.mark.parametrize(
    ("value", "as_mapping", "as_list"),
    [
        ([], {}, []),
        ({}, {}, []),
        ([1, 2], {"0": 1, "1": 2}, [1, 2]),
        ({"7": 1, "9": 2}, {"7": 1, "9": 2}, [1, 2]),
        (None, {}, []),
        (False, {}, []),
        ("text", {}, []),
    ],
)
def test_php_arrays_are_lists_or_objects_as_needed(value: Any, as_mapping: Any, as_list: Any) -> None:
    assert (mapping(value), listed(value)) == (as_mapping, as_list)


# --- large bodies -----------------------------------------------------------------------------------------------------

BATCHES = [
    b'{"result":{"result":{"a":[{"ID":"1"},{"ID":"2"}],"b":[]},"result_error":[],"result_total":{"a":2}}}',
    b'{"result":{"result":{"a":{"items":[{"id":1}]},"b":null},"result_time":{"a":{"duration":0.5}}},"time":{"finish":5}}',
    b'{"result":{"result":{"a":[{"ID":"1"}]},"result_error":{"b":{"error":"ACCESS_DENIED"}}}}',
    b'{"result":{"result":{"a":[1,"x",null,[2]],"b":{"1":[],"2":{}}}}}',
    b'{ "result" : { "result" : { "a" : [ { "ID" : "1" } , { } ] , "b" : { } } } }',
    BOM + b'{"result":{"result":{"a":[{"ID":"1"}],"b":[]}}}',
    # what is not of the usual shape
    b'{"result":{"result":{"a":5,"b":"text"}}}',
    b'{"result":{"result":[],"result_error":{"a":{"error":"x"}}}}',
    b'{"result":{"result":[[1],[2]]}}',
    b'{"result":{"result":{"a":true,"b":[{"ID":1}]}}}',
    b'{"result":[]}',
    b'{"result":null}',
    b'{"result":{}}',
    # what is no answer
    b'{"error":"QUERY_LIMIT_EXCEEDED","error_description":"Too many requests"}',
    b'{"error":"OVERLOAD_LIMIT","result":{"result":{"a":[]}}}',
    b'{"result":{"result":{"a":[{"ID":"1"},{"ID"',
    b'{"result":{"result":{"a":[{"ID":"\xff"}]}}}',
    b'{"result":{"result":{"a":[{"ID":"\x01"}]}}}',
    b'{"result":{"result":{"a":[{"ID":01}]}}}',
    b"[]",
    b"{}",
]


def told(body: bytes) -> Any:
    """What a batch's body says, or what is wrong with it."""
    try:
        answers = read_batch(replies.read(200, body, method="batch"), {"a": "m", "b": "m"})
    except B24LakeError as error:
        return type(error), str(error)
    return {
        key: (one.result, str(one.error), one.total, one.next, one.timing, one.missing) for key, one in answers.items()
    }


@pytest.mark.parametrize("body", BATCHES)
def test_a_large_body_says_the_same_as_a_small_one(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    small = told(body)
    monkeypatch.setattr(replies, "LARGE", 0)
    assert told(body) == small


def test_rows_of_a_large_body_stay_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "LARGE", 0)
    answer = read_batch(replies.read(200, BATCHES[4], method="batch"), {"a": "m"})["a"]
    assert [bytes(row) for row in answer.content] == [b'{ "ID" : "1" }', b"{ }"]
    assert answer.result == [{"ID": "1"}, {}]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rb"\ud83d\ude42", "🙂"),
        (rb"\ud83d", "\ufffd"),
        (rb"\uDE42!", "\ufffd!"),
        (rb"\ud83d\ud83d\ude42", "\ufffd🙂"),
        (rb"\ude42\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\u0041", "\ufffdA"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
    ],
)
def test_half_a_character_is_replaced(
    written: bytes, text: str, *, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "LARGE", 0 if large else 10**9)
    body = b'{"result":{"result":{"a":[{"TITLE":"%s"}]}}}' % written
    assert told(body)["a"][0] == [{"TITLE": text}]
    assert replies.read(200, b'{"result":"%s"}' % written, method="x").result == text


@given(JSON, JSON, JSON, st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_any_large_batch_says_the_same_as_a_small_one(
    result: Any, error: Any, total: Any, separators: tuple[str, str]
) -> None:
    sections = {"result": {"a": result}, "result_error": error, "result_total": {"a": total}}
    body = json.dumps({"result": sections}, separators=separators).encode()
    small = told(body)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(replies, "LARGE", 0)
        assert told(body) == small
