"""Everything that the API can be fed, made from its own document: never a 500, and answers as the document says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
import query_lake
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from people import actor, bearer, token
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from web_site import Web

from b24lake.control import channels, runs, sources, triggers
from b24lake.control.moments import now
from b24lake.control.tokens import SCOPES
from b24lake.sandbox import Server

NAMES = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
CALLS = 41  # that there are at least
SPEC = {"times": ["06:00"], "zone": "UTC"}


@pytest.mark.parametrize("examples", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_whatever_comes_in_the_answer_is_one_of_the_document(
    start: Callable[..., Web], serve: Callable[..., Server], examples: int
) -> None:
    web, url = start(login=True), serve(deals=5, users=5).url
    ids = filled(web, url)
    schema = schemathesis.openapi.from_url(f"{web.address}/api/v1/openapi.json")
    checks, made, asked = CHECKS.get_by_names(list(NAMES)), count(), 0
    with requests.Session() as session:
        session.headers.update(bearer(token(web.site, *SCOPES)))
        for found in schema.get_all_operations():
            operation, asked = found.ok(), asked + 1
            for mode in GenerationMode:

                @given(case=operation.as_strategy(generation_mode=mode))
                @settings(
                    max_examples=examples,
                    deadline=None,
                    database=None,
                    derandomize=True,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                def ask(case: Case) -> None:
                    if next(made) % 3:
                        aim(case, ids, url)
                    answer = case.call(session=session, timeout=60)
                    assert answer.status_code != 500, case.as_curl_command()
                    case.validate_response(answer, checks=checks)

                ask()
    assert asked >= CALLS


def filled(web: Web, url: str) -> dict[str, str]:
    """What there is to be asked for, by the name of its place in a path."""
    query_lake.filled(web)
    web.source("crm", "users", url=url)
    with web.site.database.writing() as session:
        source = sources.found(session, "crm")
        trigger = triggers.add(session, actor(), source, SPEC).id
    channels.add(web.site.database, web.site.keyring, "team", channels.webhook_address("https://chat.example/x"))
    run = runs.request(web.site.database, "crm", now())
    return {"source": "crm", "trigger": trigger, "run": run, "layer": "raw", "table": "deals", "channel": "team"}


def aim(case: Case, ids: dict[str, str], url: str) -> None:
    """Have a made-up request ask for something that is there; what is deleted is the made-up thing."""
    if case.method != "DELETE":
        for name in case.path_parameters or {}:
            case.path_parameters[name] = ids[name]
    if isinstance(case.body, dict) and isinstance(case.body.get("webhook"), str):
        case.body["webhook"] = url
