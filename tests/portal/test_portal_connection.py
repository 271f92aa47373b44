"""The way to the portal, against a real server that misbehaves."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from faulty_server import BAD_GATEWAY, BUSY, CUT_OFF, HANG_UP, Faulty, Reply, good, moved, refusal, serving

from b24lake.errors import B24LakeError, LockedError, OverlongError, RestError, StopError, StreamError
from b24lake.portal.budget import Budget
from b24lake.portal.connection import ATTEMPTS, BUSY_ATTEMPTS, LONGEST_PAUSE, Command, Connection
from b24lake.portal.limits import Plan
from b24lake.portal.webhook import Webhook, parse

SECRET = "s3cr3tcode9"
NO_LIMIT = Plan(1_000_000, 1_000_000.0)


class Line:
    """A connection to the first of some servers; it sleeps no real time."""

    def __init__(self, base: str) -> None:
        self.pauses: list[float] = []
        self.moves: list[Webhook] = []
        self.now = 0.0
        budget = Budget(NO_LIMIT, clock=lambda: self.now, sleep=self.pass_time)
        self.connection = Connection(
            parse(f"{base}/rest/1/{SECRET}/"),
            budget,
            sleep=self.pauses.append,
            chance=lambda: 1.0,
            on_move=self.moves.append,
        )

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def play() -> Iterator[Callable[..., tuple[Faulty, Line]]]:
    with ExitStack() as stack:

        def start(*script: Reply) -> tuple[Faulty, Line]:
            faulty = stack.enter_context(serving(*script))
            line = Line(faulty.base)
            stack.callback(line.connection.close)
            return faulty, line

        yield start


Play = Callable[..., tuple[Faulty, Line]]


def all_text(error: BaseException) -> str:
    """Everything that a log or a screen could show of an error."""
    shown = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {error.args} {vars(error)} {shown}"


def test_a_call_is_posted_as_json_to_the_methods_address(play: Play) -> None:
    faulty, line = play(good([1]))
    assert line.connection.call("crm.deal.list", {"start": -1}).result == [1]
    ((verb, path, headers, _body),) = faulty.seen
    assert (verb, path) == ("POST", f"/rest/1/{SECRET}/crm.deal.list.json")
    assert (headers["Content-Type"], headers["Accept"]) == ("application/json", "application/json")
    assert headers["User-Agent"].startswith("b24lake/")
    assert faulty.bodies == [{"start": -1}]


def test_a_batch_is_one_request_and_its_answers_keep_their_keys(play: Play) -> None:
    sections = {"result": {"b": [1]}, "result_error": {"a": {"error": "insufficient_scope"}}, "result_time": []}
    faulty, line = play(good(sections))
    batch = line.connection.batch({"a": Command("user.get"), "b": Command("crm.deal.list", {"start": -1})}, halt=True)
    assert faulty.bodies == [{"halt": 1, "cmd": {"a": "user.get", "b": "crm.deal.list?start=-1"}}]
    assert isinstance(batch.answers["a"].error, LockedError)
    assert batch.answers["b"].result == [1]
    assert (line.connection.counters.requests, line.connection.counters.commands) == (1, 2)


@pytest.mark.parametrize(
    "faults",
    [
        [BAD_GATEWAY],
        [CUT_OFF],
        [HANG_UP],
        [Reply(200, b"<html>login</html>")],
        [Reply(504)],
        [refusal(500, "INTERNAL_SERVER_ERROR")],
        [Reply(200, b'{"result": [1')],
        [Reply(200, b"not gzip", {"Content-Encoding": "gzip"})],
        [Reply(302, b"nowhere")],
        [BAD_GATEWAY, CUT_OFF, HANG_UP, BUSY, BAD_GATEWAY],
        [BUSY] * (BUSY_ATTEMPTS - 1),
        [BAD_GATEWAY] * (ATTEMPTS - 1),
    ],
)
def test_a_passing_fault_is_asked_again_with_the_same_body(play: Play, faults: list[Reply]) -> None:
    faulty, line = play(*faults, good("fine"))
    assert line.connection.call("profile", {"x": 1}).result == "fine"
    assert faulty.bodies == [{"x": 1}] * (len(faults) + 1)
    assert line.connection.counters.retries == len(faults)
    assert line.connection.counters.refused == faults.count(BUSY)


def test_pauses_grow_but_not_beyond_bounds(play: Play) -> None:
    _faulty, line = play(*[BUSY] * 10, good())
    line.connection.call("profile")
    assert line.pauses == sorted(line.pauses)
    assert line.pauses[0] >= 0.5
    assert line.pauses[-1] == LONGEST_PAUSE


def test_being_refused_slows_the_shared_bucket_down(play: Play) -> None:
    _faulty, line = play(BUSY, good())
    line.connection.call("profile")
    assert line.now > 0
    assert line.connection.counters.waited == line.now


@pytest.mark.parametrize(
    ("fault", "most"),
    [
        (BAD_GATEWAY, ATTEMPTS),
        (CUT_OFF, ATTEMPTS),
        (HANG_UP, ATTEMPTS),
        (BUSY, BUSY_ATTEMPTS),
        (refusal(500, "INTERNAL_SERVER_ERROR"), ATTEMPTS),
    ],
)
def test_a_fault_that_stays_ends_the_run_after_bounded_attempts(play: Play, fault: Reply, most: int) -> None:
    faulty, line = play(fault)
    with pytest.raises(StopError) as stopped:
        line.connection.call("profile")
    assert len(faulty.seen) == most
    assert SECRET not in all_text(stopped.value)


def test_a_batch_that_can_be_split_is_not_asked_whole_again_whatever_went_wrong_before(play: Play) -> None:
    faulty, line = play(HANG_UP, BAD_GATEWAY)
    with pytest.raises(OverlongError):
        line.connection.batch({"a": Command("profile"), "b": Command("profile")}, splits=True)
    assert len(faulty.seen) == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(401, "NO_AUTH_FOUND", "Wrong authorization data"), StopError),
        (refusal(401, "expired_token"), StopError),
        (Reply(401, b"<html>no</html>"), StopError),
        (Reply(404, b"<html>no such page</html>"), StopError),
        (refusal(403, "insufficient_scope"), LockedError),
        (refusal(200, "", "Access denied."), LockedError),
        (refusal(400, "INVALID_ARG_VALUE"), StreamError),
        (refusal(429, "OPERATION_TIME_LIMIT"), RestError),
        (refusal(400, "ODD", f"no /rest/1/{SECRET}/profile.json here"), StreamError),
    ],
)
def test_a_refusal_that_stays_is_not_asked_twice(play: Play, reply: Reply, kind: type[B24LakeError]) -> None:
    faulty, line = play(reply)
    with pytest.raises(B24LakeError) as refused:
        line.connection.call("profile")
    assert type(refused.value) is kind
    assert len(faulty.seen) == 1
    assert SECRET not in all_text(refused.value)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_portal_that_is_not_there_is_named_without_the_secret() -> None:
    line = Line(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(StopError, match="cannot be reached") as stopped:
        line.connection.call("profile")
    assert len(line.pauses) == ATTEMPTS - 1
    assert SECRET not in all_text(stopped.value)


def test_a_host_that_does_not_exist_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    line = Line("https://no-such-host.invalid")
    with pytest.raises(StopError) as stopped:
        line.connection.call("profile")
    assert line.pauses == []
    assert SECRET not in all_text(stopped.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_moved_portal_is_followed_with_body_and_method(play: Play, status: int) -> None:
    new, _ = play(good("here"))
    old, line = play(moved(f"{new.base}/rest/1/{SECRET}/profile.json", status))
    assert line.connection.call("profile", {"x": 1}).result == "here"
    assert line.connection.call("scope", {"y": 2}).result == "here"
    assert [(verb, path) for verb, path, _headers, _body in new.seen] == [
        ("POST", f"/rest/1/{SECRET}/profile.json"),
        ("POST", f"/rest/1/{SECRET}/scope.json"),
    ]
    assert new.bodies == [{"x": 1}, {"y": 2}]
    assert len(old.seen) == 1
    assert [webhook.origin for webhook in line.moves] == [new.base]


@pytest.mark.parametrize(
    "target",
    [
        "http://stranger.example/rest/1/x/profile.json",
        "ftp://stranger.example/rest/1/x/",
        "http://me:pw@127.0.0.1/rest/",
    ],
)
def test_the_secret_is_not_sent_to_an_unsafe_address(play: Play, target: str) -> None:
    faulty, line = play(moved(target.replace("/x/", f"/{SECRET}/")))
    with pytest.raises(StopError, match="unsafe address") as stopped:
        line.connection.call("profile")
    assert (len(faulty.seen), line.moves) == (1, [])
    assert SECRET not in all_text(stopped.value)


@pytest.mark.parametrize("location", ["/login/?backurl=rest", "/rest/1/x/profile.json", ""])
def test_a_redirect_to_itself_or_to_a_page_ends_the_run(play: Play, location: str) -> None:
    faulty, line = play(moved(location))
    with pytest.raises(StopError):
        line.connection.call("profile")
    assert (len(faulty.seen), line.moves) == (1 if location else ATTEMPTS, [])


def test_portals_that_redirect_to_each_other_end_the_run(play: Play) -> None:
    with serving(lambda own: moved(own.base)) as one, serving(moved(one.base)) as two:
        one.script[:] = [moved(two.base)]
        line = Line(one.base)
        with pytest.raises(StopError, match="circle"):
            line.connection.call("profile")
        assert len(one.seen) + len(two.seen) <= 4
        line.connection.close()


def test_a_portal_on_this_machine_is_asked_without_a_proxy(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    _faulty, line = play(good("direct"))
    assert line.connection.call("profile").result == "direct"


def test_the_log_of_the_http_library_holds_no_secret(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    _faulty, line = play(good())
    with caplog.at_level(logging.DEBUG):
        line.connection.call("profile")
    assert "POST /rest/1/***/profile.json" in caplog.text
    assert SECRET not in caplog.text


def test_a_large_answer_waits_for_its_turn_before_it_is_parsed(play: Play) -> None:
    turns: list[str] = []
    _faulty, line = play(good({"result": {"a": "x" * 1_100_000}}), good({"result": {"a": "x"}}))
    for _batch in range(2):
        line.connection.batch({"a": Command("profile")}, turn=lambda: turns.append("turn"))
    assert turns == ["turn"]
