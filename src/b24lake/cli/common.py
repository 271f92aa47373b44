"""What the commands share: options, the webhook, and how things are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.errors import B24LakeError, UsageError
from b24lake.portal import webhook as webhooks
from b24lake.portal.webhook import Webhook
from b24lake.sync.durations import duration as duration

if TYPE_CHECKING:
    from rich.console import Console

    from b24lake.lake.place import Place
    from b24lake.sync.home import Home

CANCELED_CODE = 130
WIDE = 200  # columns where there is no terminal

Url = Annotated[
    str | None,
    typer.Argument(
        metavar="[URL]",
        help="The webhook URL, https://PORTAL/rest/USER/CODE/. For anything but a quick try use "
        "B24LAKE_WEBHOOK_URL or --webhook-file instead.",
        show_default=False,
    ),
]
WebhookFile = Annotated[
    Path | None, typer.Option(help="A file whose first line is the webhook URL.", show_default=False)
]
AllowHttp = Annotated[bool, typer.Option("--allow-http", help="Accept plain http, for a portal in your own network.")]
HomeDir = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Where b24lake keeps its own files. [default: ~/.b24lake]",
        envvar="B24LAKE_HOME",
        show_default=False,
    ),
]
LakeDir = Annotated[
    str | None,
    typer.Option(
        "--lake",
        help="Where the tables are: a folder, or s3://BUCKET/PREFIX. [default: HOME/lake]",
        envvar="B24LAKE_LAKE",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
PortalPlan = Annotated[
    str, typer.Option(help="The portal's tariff, which sets its request limits: standard or enterprise.")
]
DealContacts = Annotated[
    bool, typer.Option("--deal-contacts", help="Fill CONTACT_IDS of deals: all contacts of each, not only the first.")
]
DealComments = Annotated[
    bool, typer.Option("--deal-comments", help="Offer the stream deal_comments: one command for each deal.")
]
DealProducts = Annotated[
    bool, typer.Option("--deal-products", help="Offer the stream deal_products: one command for each deal.")
]
DealCategories = Annotated[
    str, typer.Option(help="Funnels whose deals are read, as 1,2. [default: all]", show_default=False)
]
TableNames = Annotated[
    list[str] | None,
    typer.Option(
        "--table", help="STREAM=NAME: another name for its table. [default: prefix + stream]", show_default=False
    ),
]


class Reader(StrEnum):
    """The two ways to read deals, leads, contacts and companies."""

    CLASSIC = "classic"
    UNIVERSAL = "universal"


ReaderOption = Annotated[
    Reader,
    typer.Option(
        "--reader", help="How deals, leads, contacts and companies are read: by crm.deal.list … or crm.item.list."
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(help="STREAM.COLUMN that is left out, as contacts.PHONE or '*.UF_*'.", show_default=False),
]
Hash = Annotated[
    list[str] | None,
    typer.Option("--hash", help="STREAM.COLUMN of which only a keyed hash is kept.", show_default=False),
]
CallsLookBack = Annotated[str, typer.Option(help="What calls have instead of the overlap: their rows change later.")]


def home(path: Path | None) -> Home:
    """The home directory of this call."""
    from b24lake.sync.home import Home

    return Home((path or Path("~/.b24lake")).expanduser())


def lake(where: str | Path | None, home_dir: Path | None) -> Place:
    """The lake of this call. Raises UsageError where it cannot be there, StopError where a store does not answer."""
    from b24lake.lake.place import place, reached

    return reached(place(where)) if where else home(home_dir).path / "lake"


@contextmanager
def table_lock(path: Place, home_dir: Path | None) -> Iterator[str]:
    """Keep runs and other commands off a table meanwhile; gives an id for what is written, as a run has one.

    Raises StopError that says who holds the table.
    """
    from b24lake.sync.home import lock_name

    command = sys.argv[1] if len(sys.argv) > 1 else "b24lake"
    with home(home_dir).ready().lock(f"table-{lock_name(path)}", f"the table {path.parent.name}.{path.name}"):
        yield f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{command}"


def webhook(url: str | None, file: Path | None, *, allow_http: bool) -> Webhook:
    """The webhook from the argument, else the environment, else a file.

    One given as an argument disappears from the process title at once: others on the machine could read it there.
    """
    if url:
        _hide()
    found = url or os.environ.get("B24LAKE_WEBHOOK_URL") or (first_line(file, "webhook") if file else None)
    if not found:
        raise UsageError(
            "No webhook URL was given",
            fix="set B24LAKE_WEBHOOK_URL, or pass --webhook-file FILE or the URL itself",
        )
    return webhooks.parse(found, allow_http=allow_http)


def _hide() -> None:
    import setproctitle

    words = [webhooks.mask(word) if "/rest/" in word else word for word in sys.argv[1:]]
    setproctitle.setproctitle(" ".join(["b24lake", *words]))


def first_line(file: Path, what: str) -> str:
    """What a file holds that keeps a secret out of the command line. Raises UsageError where it cannot be read."""
    try:
        lines = file.expanduser().read_text(encoding="utf-8-sig").strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"The {what} file {file} cannot be read", why=why or "", fix="check its path") from None
    return lines[0] if lines else ""


def pairs(words: list[str], option: str) -> dict[str, str]:
    """`--option NAME=VALUE`, given any number of times."""
    split = [word.partition("=") for word in words]
    for name, sign, value in split:
        if not (name and sign and value):
            raise UsageError(f"{option} needs NAME=VALUE", fix=f"as {option} deals=FULL_TABLE")
    return {name: value for name, _, value in split}


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Whole numbers with commas between them.

    >>> numbers("1, 2", "--deal-categories")
    (1, 2)
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise UsageError(f"{option} needs ids, not {text!r}", fix=f"write {option} 1,2")
    return tuple(dict.fromkeys(map(int, words)))


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
    sys.stdout.buffer.write(orjson.dumps(document, default=_plain, option=options) + b"\n")
    sys.stdout.buffer.flush()


def _plain(value: Any) -> Any:
    """Decimals as numbers where a float holds them exactly, as text where not; other things as text."""
    from decimal import Decimal

    if isinstance(value, Decimal):
        near = float(value)
        return near if Decimal(repr(near)) == value else str(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def done(said: str, document: Any, *, json: bool) -> None:
    """What a command has done: one line, or with `--json` a document."""
    if json:
        print_json(document)
    else:
        typer.echo(said)


def console(*, stderr: bool = False) -> Console:
    """A terminal to print on; it obeys NO_COLOR. In a pipe or a file nothing is cut to a terminal's width."""
    from rich.console import Console

    made = Console(stderr=stderr, soft_wrap=False, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDE
    return made


def complain(error: B24LakeError) -> None:
    """One line on stderr."""
    sys.stderr.write(f"Error: {webhooks.mask(str(error))}\n")


def fail(error: B24LakeError) -> int:
    """Say what went wrong, and as a document on stdout where `--json` was asked. Returns the exit code."""
    complain(error)
    if "--json" in sys.argv:
        parts = {name: webhooks.mask(text) for name, text in error.as_json().items()}
        print_json({"status": "failed", "error": parts})
    return 2 if isinstance(error, UsageError) else 1
