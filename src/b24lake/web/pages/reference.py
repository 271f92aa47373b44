"""The reference of the JSON API, made of its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Response
from starlette.routing import Mount

from b24lake.web.api import PREFIX
from b24lake.web.asking import Asked, may
from b24lake.web.later import LaterApi

router = APIRouter(include_in_schema=False)
_METHODS = ("get", "post", "patch", "delete")
Document = Mapping[str, Any]


@router.get("/api", dependencies=[may("viewer")])
def reference(asked: Asked) -> Response:
    """All calls, group by group."""
    document = document_of(asked.request.app)
    groups: dict[str, list[dict[str, Any]]] = {}
    for call in calls(document):
        groups.setdefault(call["group"], []).append(call)
    return asked.page("account/reference.html", groups=groups, about=document["info"], prefix=PREFIX, section="help")


def document_of(app: FastAPI) -> Document:
    """The OpenAPI document of the API that is a part of this app."""
    mounted = next(route.app for route in app.routes if isinstance(route, Mount) and route.path == PREFIX)
    assert isinstance(mounted, LaterApi)
    return mounted.app.openapi()


def calls(document: Document) -> Iterator[dict[str, Any]]:
    """Each call of an OpenAPI document, as a page shows it."""
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield _call(document, path, method, methods[method])


def _call(document: Document, path: str, method: str, told: Document) -> dict[str, Any]:
    body = _resolved(document, told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema"))
    good = next(code for code in told["responses"] if code.startswith("2"))
    kinds = told["responses"][good].get("content", {})
    return {
        "id": told["operationId"],
        "group": told["tags"][0],
        "method": method.upper(),
        "path": path,
        "about": told.get("description", ""),
        "scope": next((scope for each in told.get("security", ()) for names in each.values() for scope in names), ""),
        "parameters": [_parameter(one) for one in told.get("parameters", ())],
        "fields": _fields(body),
        "example": orjson.dumps(body["example"], option=orjson.OPT_INDENT_2).decode() if "example" in body else "",
        "status": good,
        "answer": [field for one in kinds.values() for field in _fields(_resolved(document, one.get("schema")))],
        "kinds": list(kinds),
    }


def _parameter(told: Document) -> dict[str, Any]:
    required, about = told.get("required", False), told.get("description", "")
    return {"name": told["name"], "kind": _kind(told["schema"]), "required": required, "about": about}


def _resolved(document: Document, schema: Document | None) -> Document:
    """What a reference leads to; the first of several that is not null."""
    schema = schema or {}
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            return _resolved(document, one)
    if "$ref" in schema:
        found: Document = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _fields(schema: Document) -> list[dict[str, Any]]:
    required = schema.get("required", ())
    return [
        {"name": name, "kind": _kind(one), "required": name in required, "about": one.get("description", "")}
        for name, one in schema.get("properties", {}).items()
    ]


def _kind(schema: Document) -> str:
    """The type of a value, in a word or two.

    >>> _kind({"type": "array", "items": {"type": "string"}}), _kind({"anyOf": [{"type": "string"}, {"type": "null"}]})
    ('list of string', 'string or null')
    """
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("const") or schema.get("type", "any"))
