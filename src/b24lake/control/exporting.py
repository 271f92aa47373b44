"""The configuration as YAML, as short as it can be: what is as usual is left out."""

from __future__ import annotations

from typing import Any

import yaml
from sqlalchemy.orm import Session

from b24lake.control import choices
from b24lake.control.claims import Installation
from b24lake.control.configuration import CHANNEL_KEYS, SCHEDULE_KEYS, VERSION, Document, current, stream_document
from b24lake.control.source_settings import FIELDS
from b24lake.control.sources import ACTIVE
from b24lake.lake import layers

_FIRST = {each.name: each.description for each in layers.FIRST}
_SETTINGS = tuple(key for key in FIELDS if key != "name")


def export(session: Session, here: Installation) -> str:
    """The configuration as YAML: what is not as usual. Secrets are names of environment variables."""
    found = current(session, here)
    document = {
        "version": int(VERSION),
        "layers": {} if found["layers"] == _FIRST else found["layers"],
        "sources": {name: _short_source(name, source) for name, source in found["sources"].items()},
        "channels": {name: _short_channel(channel) for name, channel in found["channels"].items()},
    }
    filled = {key: value for key, value in document.items() if value}
    return yaml.dump(filled, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Short lists in one line, and nothing for nothing."""


_Dumper.add_representer(
    list, lambda dumper, told: dumper.represent_sequence("tag:yaml.org,2002:seq", told, flow_style=True)
)
_Dumper.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", ""))


def _short_source(name: str, source: Document) -> Document:
    usual = {"name": name, "allow_http": False, "state": ACTIVE, **{key: FIELDS[key].default for key in _SETTINGS}}
    streams = {key: _short_stream(source["prefix"], key, one) for key, one in source["streams"].items()}
    written = {key: _written(key, source[key]) for key in usual if source[key] != usual[key]}
    found: Document = {"name": written.pop("name", name), "webhook": source["webhook"], **written}
    if streams:
        found["streams"] = streams if any(streams.values()) else list(streams)
    if source["triggers"]:
        found["triggers"] = {key: _short_trigger(one) for key, one in source["triggers"].items()}
    return found


def _written(key: str, value: Any) -> Any:
    text = key in FIELDS and not isinstance(value, bool | int | float | list)
    return FIELDS[key].in_words(value) if text or key.endswith("_seconds") else value


def _short_stream(prefix: str, name: str, one: Document) -> Document | None:
    known = stream_document(choices.preset(prefix, choices.definition(name)))
    return {key: value for key, value in one.items() if value != known[key]} or None


def _short_trigger(one: Document) -> Document:
    told = one["spec"]
    spec = {key: told[key] for key in SCHEDULE_KEYS if told.get(key)}
    if "sources" in told:
        spec = {"after": told["sources"], **({"mode": told["mode"]} if told["mode"] != "any" else {})}
    return {
        **({"name": one["name"]} if one["name"] else {}),
        **spec,
        **({"full": True} if one["full"] else {}),
        **({} if one["enabled"] else {"enabled": False}),
    }


def _short_channel(channel: Document) -> Document:
    usual = {"events": [], "enabled": True, "user": ""}
    told = [key for key in CHANNEL_KEYS[channel["kind"]] if key in channel]
    return {key: channel[key] for key in told if key not in usual or channel[key] != usual[key]}
