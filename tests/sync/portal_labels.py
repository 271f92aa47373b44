"""The labels of records as the portal knows them, by hand: raw rows, descriptors, directories, users."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

from b24lake.sandbox import Server


def ask(server: Server, method: str, **params: Any) -> Any:
    request = urllib.request.Request(
        server.url + method, json.dumps(params).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]


def truth(server: Server, entity: str) -> dict[int, dict[str, Any]]:
    """The same from the portal itself, by hand: raw rows, descriptors, directories."""
    described, rows, key = raw(server, entity)
    known = {(row["ENTITY_ID"], row["STATUS_ID"]): row["NAME"] for row in ask(server, "crm.status.list")}
    funnels = categories(server, entity)
    users = {row["ID"]: " ".join(filter(None, (row["NAME"], row["LAST_NAME"]))) for row in server.portal.truth("users")}

    def label(descriptor: dict[str, Any], value: Any) -> Any:
        if isinstance(value, list):
            return [label(descriptor, each) for each in value] or None
        if value in (None, "", False):
            return None
        if descriptor["type"] == "enumeration":
            return {item["ID"]: item["VALUE"] for item in descriptor["items"]}[str(value)]
        if descriptor["type"] in {"user", "employee"}:
            return users.get(str(value))
        if descriptor["type"] == "crm_category":
            return funnels[str(value)]
        return known[(dictionary(descriptor["statusType"], str(value)), str(value))]

    kinds = {"enumeration", "user", "employee", "crm_status", "crm_category"}
    labelled = {name: one for name, one in described.items() if one["type"] in kinds}
    return {int(row[key]): {name: label(one, row.get(name)) for name, one in labelled.items()} for row in rows}


def raw(server: Server, entity: str) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    if not entity.startswith("spa_"):
        singular = "company" if entity == "companies" else entity[:-1]
        return ask(server, f"crm.{singular}.fields"), list(server.portal.truth(entity)), "ID"
    asked = {"entityTypeId": int(entity[4:]), "useOriginalUfNames": "Y"}
    rows: list[dict[str, Any]] = []
    while page := ask(server, "crm.item.list", **asked, select=["*", "UF_*"], start=len(rows))["items"]:
        rows += page
        if len(page) < 50:
            break
    return ask(server, "crm.item.fields", **asked)["fields"], rows, "id"


def categories(server: Server, entity: str) -> dict[str, str]:
    """The funnels of an entity, by id; contacts and leads have none."""
    number = int(entity.removeprefix("spa_")) if entity.startswith("spa_") else 2 * (entity == "deals")
    told = ask(server, "crm.category.list", entityTypeId=number)["categories"] if number else []
    return {str(one["id"]): one["name"] for one in told}


def dictionary(status_type: str, stage: str) -> str:
    """Where a status is explained: stages of another funnel than the first say its number (`C7:NEW`, `DT128_9:NEW`)."""
    funnel = re.match(r"(?:C|DT\d+_)(\d+):", stage)
    return (
        re.sub(r"_\d+$", "", status_type) + (f"_{funnel[1]}" if funnel else "")
        if "STAGE" in status_type
        else status_type
    )
