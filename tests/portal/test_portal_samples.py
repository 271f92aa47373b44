"""Every body that the vendor prints, and every captured one, is read without surprise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from b24lake.errors import B24LakeError, LockedError, RetryError, StopError, StreamError
from b24lake.portal import replies
from b24lake.portal.replies import Answer

SAMPLES = Path(__file__).parents[1] / "samples"
OFFICIAL = sorted(SAMPLES.glob("official/*.json"))
REFUSALS = sorted(SAMPLES.glob("official/errors/*.json"))
CAPTURED = sorted(SAMPLES.glob("captured/*.json"))

# events, tokens and fragments: printed in the docs, but not the envelope of a call
NO_ENVELOPE = {
    "crm.dealcategory.default.get",
    "crm.item.fields.userfields-fragment",
    "oauth.refresh",
    "oauth.token",
    "time-object",
}


def bodies(file: Path) -> list[dict[str, Any]]:
    """A few captures are several answers in a row."""
    content = json.loads(file.read_bytes())
    return content if isinstance(content, list) else [content]


def answer(body: Any, status: int = 200) -> Answer:
    return replies.read(status, json.dumps(body).encode(), method="the.method")


def test_the_samples_are_there() -> None:
    assert (len(OFFICIAL) > 80, len(REFUSALS) > 55, len(CAPTURED) > 20) == (True, True, True)


@pytest.mark.parametrize("file", OFFICIAL, ids=lambda file: file.stem)
def test_an_official_answer_is_read_as_it_is_printed(file: Path) -> None:
    (body,) = bodies(file)
    if file.stem in NO_ENVELOPE or file.stem.startswith("event.on"):
        with pytest.raises(RetryError):
            answer(body)
        return
    read = answer(body)
    assert (read.result, read.total, read.next) == (body["result"], body.get("total"), body.get("next"))
    assert (read.error, read.missing) == (None, False)


LOCKED = {
    "app.info", "catalog.price.list", "catalog.product.getFieldsByFilter", "catalog.product.list",
    "crm.activity.communication.fields", "crm.activity.fields", "crm.activity.get", "crm.company.fields",
    "crm.company.list", "crm.contact.list", "crm.item.productrow.list", "crm.lead.list", "crm.timeline.comment.list",
    "crm.type.fields", "crm.type.list", "event.offline.get", "event.offline.list", "user.userfield.list",
    "userfieldconfig.getTypes", "userfieldconfig.list", "voximplant.statistic.get",
}  # fmt: skip
STOP = {"crm.activity.list", "oauth-errors", "oauth.refresh", "oauth.token"}
BATCHES = {"batch", "batch.2"}


def expected_class(stem: str) -> type[B24LakeError]:
    return LockedError if stem in LOCKED else StopError if stem in STOP else StreamError


@pytest.mark.parametrize("file", [file for file in REFUSALS if file.stem not in BATCHES], ids=lambda file: file.stem)
@pytest.mark.parametrize("status", [200, 400, 403])
def test_an_official_refusal_means_the_same_under_any_status(file: Path, status: int) -> None:
    (body,) = bodies(file)
    with pytest.raises(B24LakeError) as refused:
        answer(body, status)
    assert type(refused.value) is expected_class(file.stem)
    assert "the.method" in str(refused.value)


@pytest.mark.parametrize(
    ("stem", "commands", "errors", "missing"),
    [
        ("batch", {"get_user": "user.current", "get_department": "department.get"}, 2, 0),
        ("batch.2", {"get_user": "user.current", "get_department": "department.get"}, 1, 1),
    ],
)
def test_an_official_batch_of_errors_is_taken_apart(
    stem: str, commands: dict[str, str], errors: int, missing: int
) -> None:
    (body,) = bodies(SAMPLES / "official/errors" / f"{stem}.json")
    answers = replies.read_batch(answer(body), commands)
    assert sum(isinstance(one.error, StreamError) for one in answers.values()) == errors
    assert sum(one.missing for one in answers.values()) == missing


def captured_batches() -> Iterator[Any]:
    for file in CAPTURED:
        for number, body in enumerate(bodies(file)):
            if isinstance(body["result"], dict) and "result_error" in body["result"]:
                yield pytest.param(body, id=f"{file.stem}-{number}")


def section(body: Any, name: str) -> dict[str, Any]:
    """A section by key, worked out here on its own."""
    found = body["result"].get(name) or {}
    return found if isinstance(found, dict) else {str(number): item for number, item in enumerate(found)}


@pytest.mark.parametrize("file", CAPTURED, ids=lambda file: file.stem)
def test_a_captured_answer_is_read_as_it_came(file: Path) -> None:
    for body in bodies(file):
        read = answer(body)
        assert read.result == body["result"]
        assert read.total == body.get("total")
        assert read.timing.duration > 0
        assert read.timing.date_start is not None


@pytest.mark.parametrize("body", [*captured_batches()])
def test_every_command_of_a_captured_batch_finds_its_answer(body: Any) -> None:
    results = section(body, "result")
    answers = replies.read_batch(answer(body), dict.fromkeys(results, "crm.lead.get"))
    assert {key: one.result for key, one in answers.items()} == results
    assert {key: one.total for key, one in answers.items() if one.total is not None} == section(body, "result_total")
    assert not any(one.missing or one.error for one in answers.values())


def test_errors_that_come_as_a_list_are_not_paired_with_the_wrong_command() -> None:
    (body,) = bodies(SAMPLES / "captured/crm_get_batch_mix_success_and_errors.json")
    answers = replies.read_batch(answer(body), dict.fromkeys(["35943", "7", "8"], "crm.lead.get"))
    assert answers["35943"].result == {"ID": "35943"}
    assert (answers["7"].missing, answers["8"].missing) == (True, True)


def test_errors_that_come_as_a_list_are_read_where_the_keys_count_from_zero() -> None:
    (body,) = bodies(SAMPLES / "captured/crm_get_batch_of_two_error.json")
    answers = replies.read_batch(answer(body), dict.fromkeys(["0", "1"], "crm.lead.get"))
    assert [type(one.error) for one in answers.values()] == [StreamError, StreamError]


def test_a_reset_time_printed_as_text_is_understood() -> None:
    (body,) = bodies(SAMPLES / "official/crm.activity.list.json")
    assert isinstance(body["time"]["operating_reset_at"], str)
    assert answer(body).timing.reset_at == 1724677897.0
