"""What the portal counts, and a portal that moves."""

import http.client
import json
from urllib.parse import urlsplit

import pytest
from turned_clock import Time

from b24lake.sandbox import Portal, Server, Settings


def test_commands_pages_and_rows_are_counted_by_method(mended):
    mended.result("crm.deal.list", start=-1)
    mended.result("crm.deal.list", filter={">ID": 10**9}, start=-1)
    mended.result("crm.deal.list", start=300)
    mended.batch({"a": "crm.item.list?entityTypeId=2&start=-1", "b": "crm.deal.get?id=0", "c": "crm.status.list"})
    mended.call("crm.timeline.comment.list", filter={"ENTITY_TYPE": "deal", "ENTITY_ID": 2}, start=0)
    told = mended.counters()
    comments = told["rows"].pop("crm.timeline.comment.list")
    statuses = told["rows"].pop("crm.status.list")
    assert told["requests"] == 5
    assert told["commands"]["crm.deal.get"] == 1
    assert told["pages"] == {
        "crm.deal.list": 3, "crm.item.list": 1, "crm.status.list": 1, "crm.timeline.comment.list": 1,
    }  # fmt: skip
    assert told["rows"] == {"crm.deal.list": 80, "crm.item.list": 50}
    assert comments < 50 < statuses
    assert told["empty"].get("crm.deal.list") == 1
    assert told["counted"] == {"crm.deal.list": 1, "crm.timeline.comment.list": 1}


def test_most_requests_in_any_window_and_the_fullest_bucket(portal_with):
    time = Time()
    with portal_with(time=time, threshold=9) as hook:
        for pause in [0.125] * 5 + [5.0] + [0.125] * 12 + [100.0]:
            hook.call("profile")
            time.at += pause
        told = hook.counters()
        assert told["most"] == {"1": 8, "10": 19, "60": 19}
        assert (told["fullest"], told["refused"]) == (9.0, 1)
        hook.lever("reset")
        assert hook.counters()["most"] == {"1": 0, "10": 0, "60": 0}


# --- a portal that moves ----------------------------------------------------------------------------------------------


def ask(url, path="profile", verb="GET", body=None):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    connection.request(verb, f"{parts.path}{path}", body)
    answer = connection.getresponse()
    found = answer.status, answer.getheader("Location"), answer.read()
    connection.close()
    return found


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_old_address_redirects_with_path_and_query(mended, status):
    old = mended.server.url
    assert mended.lever("move", status=status) == (200, {"url": mended.server.url})
    new = mended.server.url
    assert new != old
    assert ask(old, "crm.deal.list?start=-1", "POST", b"select[]=ID")[:2] == (status, f"{new}crm.deal.list?start=-1")
    assert mended.raw()[0] == status  # a connection that was open before
    assert mended.counters()["moved"] == 2
    assert mended.counters()["requests"] == 0
    found, _, body = ask(new)
    assert (found, json.loads(body)["result"]["ID"]) == (200, "1")


def test_a_portal_that_moves_again_sends_everyone_to_where_it_lives_now():
    with Server(Portal(Settings(deals=5, threshold=0))) as server:
        first = server.url
        second, third = server.move(), server.move()
        assert [ask(url)[:2] for url in (first, second)] == [(302, f"{third}profile")] * 2
        assert ask(third)[0] == 200
    with pytest.raises(OSError, match="refused"):
        ask(third)


@pytest.mark.parametrize("status", [200, 404, 502, 304])
def test_a_move_is_a_redirect(mended, status):
    assert mended.lever("move", status=status)[0] == 400
