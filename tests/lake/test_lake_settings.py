"""How a store is reached, and what its answers mean (pure)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from b24lake.errors import StopError, StreamError
from b24lake.lake.faults import known, told
from b24lake.lake.settings import PATIENT, settings

CONFIG = """
[default]
region = eu-west-1
[profile work]
region = ap-south-1
endpoint_url = https://store.example
"""


def found(home: Path, **environment: str) -> dict[str, str]:
    return {name: text for name, text in settings({"HOME": str(home), **environment}).items() if name not in PATIENT}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(CONFIG)
    return tmp_path


LOADED = {"AWS_FORCE_CREDENTIAL_LOAD": "true"}
WORK = {"AWS_REGION": "ap-south-1", "AWS_ENDPOINT_URL": "https://store.example"}
CASES = [
    ({}, {"AWS_REGION": "eu-west-1", **LOADED}),
    ({"AWS_PROFILE": "work"}, {**WORK, **LOADED}),
    (
        {"AWS_PROFILE": "work", "AWS_DEFAULT_REGION": "us-east-2"},
        {"AWS_ENDPOINT_URL": "https://store.example", **LOADED},
    ),
    ({"AWS_PROFILE": "work", "AWS_ENDPOINT_URL": "http://here"}, {"AWS_REGION": "ap-south-1", **LOADED}),
    ({"AWS_PROFILE": "absent"}, LOADED),
    ({"AWS_ACCESS_KEY_ID": "k", "AWS_REGION": "us-east-1"}, {}),
    (
        {"AWS_ACCESS_KEY_ID": "k", "AWS_REGION": "x", "AWS_ENDPOINT_URL_S3": "http://a"},
        {"AWS_ENDPOINT_URL": "http://a"},
    ),
]


@pytest.mark.parametrize(("environment", "expected"), CASES)
def test_a_profile_adds_what_the_environment_does_not_say(
    home: Path, environment: dict[str, str], expected: dict[str, str]
) -> None:
    assert found(home, **environment) == expected


def test_without_files_nothing_is_added(tmp_path: Path) -> None:
    assert found(tmp_path) == {}


def test_files_may_lie_elsewhere_or_be_damaged(tmp_path: Path, home: Path) -> None:
    other = tmp_path / "other"
    other.write_text("[default]\nregion=elsewhere\n")
    assert found(home, AWS_CONFIG_FILE=str(other))["AWS_REGION"] == "elsewhere"
    other.write_bytes(b"\xff\xfe no settings")
    assert found(home, AWS_CONFIG_FILE=str(other)) == LOADED


TEXTS = [
    ("Error performing PUT http://169.254.169.254/latest/api/token in 1ms", "no credentials were found", True),
    ("<Error><Code>NoSuchBucket</Code></Error>", "there is no such bucket", True),
    ("builder error\n URL scheme is not allowed", "plain http://", True),
    ("Error performing GET http://u:p@host:1/x in 2s, after 6 retries - tcp connect error", "http://host:1", True),
    ("Error performing PUT https://h/b in 2s, after 6 retries - 500 Internal Server Error", "out of order", True),
    ("Error performing HEAD https://h/b - 403 Forbidden", "do not allow it", True),
    ("<Code>NoSuchKey</Code><Message>The key does not exist</Message>", r"The key does not exist \(NoSuchKey\)", False),
    ("Error performing list request\n GET http://h/b?list-type=2\n 404 Not Found", "no S3-compatible store", True),
    ("\x1b[31mGeneric\x1b[0m trouble at http://u:p@host\n x\n ↳ why", "^Generic trouble at http://host: why$", False),
]


@pytest.mark.parametrize(("text", "why", "wide"), TEXTS)
def test_what_an_answer_means(text: str, why: str, wide: bool) -> None:
    fault = told(text)
    assert fault.wide == wide == known(text)
    with pytest.raises(StopError if wide else StreamError, match=r"Cannot read or write s3://b/x\. Why: .*Fix: "):
        raise fault.error("s3://b/x")
    assert re.search(why, fault.why)
    assert "u:p@" not in fault.why
