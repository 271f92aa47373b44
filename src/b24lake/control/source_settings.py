"""The settings of a source, as data: what each is called, what it may be, and where it goes in a run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from b24lake.control.models import Source
from b24lake.control.secrets import Keyring
from b24lake.errors import UsageError
from b24lake.lake.place import Place, place
from b24lake.lake.table import checked_name
from b24lake.portal.limits import PLANS
from b24lake.portal.webhook import Webhook, parse
from b24lake.streams.definitions import STREAMS
from b24lake.streams.readers import READERS
from b24lake.sync.durations import duration, in_short
from b24lake.sync.options import POLICIES, Options

DESCRIPTION = 140  # signs
NAME = 100
_DAY = 86400
_LONGEST_ID = 15  # digits


@dataclass(frozen=True)
class Field:
    """One setting.

    read      the value from what was typed or sent; raises ValueError that says what it has to be
    default   None = it has to be given, or there is none
    option    it is one of the run's options (`Source.options`), and this is its name there
    in_words  how it is written for people
    """

    read: Callable[[Any], Any]
    default: Any
    about: str
    option: str = ""
    in_words: Callable[[Any], str] = str


# --- kinds of values --------------------------------------------------------------------------------------------------


def _text(longest: int, *, empty: bool = True) -> Callable[[Any], str]:
    def read(given: Any) -> str:
        text = str(given).strip()
        if len(text) > longest:
            raise ValueError(f"it has {len(text)} signs, and at most {longest} are allowed")
        if not text.isprintable() or not (text or empty):
            raise ValueError("it is one line of text" + ("" if empty else ", and not empty"))
        return text

    return read


def _flag(given: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if str(given).strip().lower() not in words:
        raise ValueError("it is true or false")
    return words[str(given).strip().lower()]


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(given: Any) -> int:
        text = str(given).strip()
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"it is a whole number from {low} to {high}")
        return int(text)

    return read


def _seconds(given: Any) -> int:
    return int(duration(str(given).strip()).total_seconds())


def _seconds_or_none(given: Any) -> int | None:
    if given is None or str(given).strip().lower() in {"", "none", "null"}:
        return None
    found = _seconds(given)
    if found < 60:
        raise ValueError("it is at least a minute, or none")
    return found


def _threshold(given: Any) -> float:
    try:
        found = float(str(given))
    except ValueError:
        found = -1.0
    if not 0 <= found <= _DAY:
        raise ValueError("it is a number of seconds, or 0 to switch it off")
    return found


def _ids(given: Any) -> list[int]:
    words = given if isinstance(given, list | tuple) else str(given).replace(",", " ").split()
    if not all(str(word).isascii() and str(word).isdigit() and len(str(word)) <= _LONGEST_ID for word in words):
        raise ValueError("it is a list of ids, as 0,1")
    return list(dict.fromkeys(int(word) for word in words))


def _one_of(choices: Any) -> Callable[[Any], str]:
    def read(given: Any) -> str:
        if str(given) not in choices:
            raise ValueError(f"it is {' or '.join(choices)}")
        return str(given)

    return read


def _prefix(given: Any) -> str:
    checked_name(f"{given}x")
    return str(given)


def _lake(given: Any) -> str:
    text = _text(1000)(given)
    if text and not Path(text).expanduser().is_absolute():
        raise ValueError("it is a whole path, as /data/lake: workers run in other folders")
    return text


def _layer(given: Any) -> str:
    return checked_name(str(given), "layer")


def _shown(value: Any) -> str:
    """As people type it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _as_duration(value: Any) -> str:
    return "none" if value is None else in_short(value)


# --- the settings -----------------------------------------------------------------------------------------------------


def _option(read: Callable[[Any], Any], default: Any, about: str, in_words: Callable[[Any], str] = _shown) -> Field:
    return Field(read, default, about, "option", in_words)


FIELDS: Mapping[str, Field] = {
    "name": Field(_text(NAME, empty=False), None, "What the source is called"),
    "description": Field(_text(DESCRIPTION), "", f"What it is for, in at most {DESCRIPTION} signs"),
    "lake": Field(_lake, "", "Folder of its lake; empty = the installation's own"),
    "layer": Field(_layer, "raw", "Layer of its tables"),
    "folder": Field(_text(100), "bitrix24", "Folder that groups its tables in the catalog"),
    "prefix": Field(_prefix, "bitrix24_", "What the names of its tables begin with"),
    "deal_contacts": _option(_flag, False, "Fill CONTACT_IDS of deals"),
    "deal_comments": _option(_flag, False, "Offer the stream deal_comments: one command for each deal"),
    "deal_products": _option(_flag, False, "Offer the stream deal_products: one command for each deal"),
    "deal_categories": _option(_ids, [], "Funnels whose deals are read, by id; empty = all"),
    "threshold": _option(_threshold, 200.0, "Operating seconds above which a method rests; 0 = off", "{:g}".format),
    "overlap_seconds": _option(_seconds, 300, "How far before its last start a read begins", _as_duration),
    "calls_look_back_seconds": _option(_seconds, 2 * _DAY, "What calls have instead of the overlap", _as_duration),
    "reader": _option(
        _one_of(READERS), "classic", "How deals, leads, contacts, companies are read: classic or universal"
    ),
    "deleted": _option(_one_of(POLICIES), "remove", "What a full read of an incremental stream does with rows gone"),
    "accept_deletions": _option(_flag, False, "Go on although a full read loses very many rows"),
    "concurrency": _option(_whole(1, 32), 4, "Requests on their way at once"),
    "portal_plan": _option(_one_of(PLANS), "standard", "The portal's tariff, which sets its request limits"),
    "log_days": Field(_whole(0, 3650), 30, "Days for which old states of the tables are kept"),
    "file_days": Field(_whole(0, 3650), 7, "Days for which deleted files are kept beyond that"),
    "retries": Field(_whole(0, 20), 2, "How often a failed run is tried again"),
    "retry_delay_seconds": Field(_seconds, 300, "How long before that", in_words=_as_duration),
    "max_failures": Field(_whole(1, 100), 3, "Failed runs in a row after which the source is stopped"),
    "late_after_seconds": Field(
        _seconds_or_none, None, "How long after a schedule's time without success it is late", in_words=_as_duration
    ),
}


def read(name: str, given: Any) -> Any:
    """The value of a setting. Raises UsageError, with the nearest names for one that does not exist."""
    if name not in FIELDS:
        near = get_close_matches(name, FIELDS, n=3, cutoff=0.5)
        raise UsageError(
            f"There is no setting {name!r}",
            fix=f"did you mean {' or '.join(near)}" if near else f"the settings are {', '.join(FIELDS)}",
        )
    try:
        return FIELDS[name].read(given)
    except ValueError as error:
        raise UsageError(f"{name} cannot be {_cut(given)}", why=str(error), fix="correct it") from None
    except UsageError as error:
        raise UsageError(f"{name} cannot be {_cut(given)}", why=error.what, fix=error.fix) from None


def value_of(source: Source, name: str) -> Any:
    """The value that a source has for a setting."""
    field = FIELDS[name]
    return source.options.get(name, field.default) if field.option else getattr(source, name)


def put(source: Source, name: str, value: Any) -> None:
    """Set a value that `read` gave; options that are at their default are not kept."""
    field = FIELDS[name]
    if not field.option:
        setattr(source, name, value)
        return
    others = {key: kept for key, kept in source.options.items() if key != name}
    source.options = others if value == field.default else {**others, name: value}


def switched_on(settings: Mapping[str, Any]) -> frozenset[str]:
    """The settings that are on, of those that offer a stream."""
    return frozenset(name for name in _SWITCHES if read(name, settings.get(name, False)))


_SWITCHES = tuple(stream.option for stream in STREAMS.values() if stream.option)


def _cut(given: Any) -> str:
    text = str(given)
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


# --- for a run --------------------------------------------------------------------------------------------------------


def options_of(source: Source, lake: Place) -> Options:
    """What a run of the source is asked to do; `lake` is the installation's own."""
    chosen = [one for one in source.streams if one.selected]
    made = {name: value_of(source, name) for name, field in FIELDS.items() if field.option}
    for name in ("overlap", "calls_look_back"):
        made[name] = timedelta(seconds=made.pop(f"{name}_seconds"))
    return Options(
        lake=lake_of(source, lake),
        streams=tuple(one.stream for one in chosen),
        layer=source.layer,
        folder=source.folder,
        keep_placed=True,
        prefix=source.prefix,
        sync_types={one.stream: one.sync_type for one in chosen},
        replication_keys={one.stream: one.replication_key for one in chosen if one.replication_key},
        tables={one.stream: one.table_name for one in chosen},
        deal_categories=tuple(made.pop("deal_categories")),
        exclude=tuple(f"{one.stream}.{column}" for one in chosen for column in one.excluded),
        hash=tuple(f"{one.stream}.{column}" for one in chosen for column in one.hashed),
        **made,
    )


def lake_of(source: Source, lake: Place) -> Place:
    """The folder of a source's lake."""
    return place(source.lake) if source.lake else lake


def webhook_of(source: Source, keyring: Keyring) -> Webhook:
    """The source's webhook, with its secret. Raises UsageError where it has none, or another key sealed it."""
    if source.webhook is None:
        raise UsageError(f"The source {source.id} has no webhook", fix="edit the source and give it one")
    return parse(keyring.unseal(source.webhook), allow_http=True)
