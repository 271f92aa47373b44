"""`b24lake skill` and `b24lake mcp`: what agents are told, and what they may ask."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, LakeDir
from b24lake.cli.control import DatabaseAddress
from b24lake.errors import UsageError

if TYPE_CHECKING:
    from b24lake.lake.reach import Reach

Tables = Annotated[
    list[str] | None,
    typer.Option(
        help="Only these tables, as raw.bitrix24_deals or 'raw.*'; may be given several times.", show_default=False
    ),
]


class Form(StrEnum):
    """What the skills file is for."""

    MARKDOWN = "markdown"
    SKILL = "skill"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="The skills file for agents: the connector and your own tables, as Markdown.")(skill)
    app.command(help="Read-only tools for agents over the Model Context Protocol, on stdin and stdout.")(mcp)


def skill(
    form: Annotated[
        Form, typer.Option("--form", help="markdown, or skill: with the front matter of a SKILL.md.")
    ] = Form.MARKDOWN,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.", show_default=False)] = None,
    connector_only: Annotated[bool, typer.Option("--connector-only", help="Without your own tables.")] = False,
    tables: Tables = None,
    lake: LakeDir = None,
    home: HomeDir = None,
) -> None:
    """Print the skills file, or write it."""
    from b24lake.agents.inventory import told
    from b24lake.agents.skill import skill as written
    from b24lake.lake.index import Index

    reach = _reach(lake, home, tables)
    found = None if connector_only else told(Index(reach.lake), reach)
    text = written(found, form=form.value)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written", why=error.strerror or "", fix="name another file") from None
    typer.echo(f"{out}: {len(text.encode()):,} bytes", err=True)


def mcp(
    tables: Tables = None,
    database: DatabaseAddress = None,
    lake: LakeDir = None,
    home: HomeDir = None,
) -> None:
    """Serve tools until the client closes the connection."""
    from contextlib import ExitStack

    from b24lake.agents.reader import Reader
    from b24lake.agents.service import Service
    from b24lake.agents.stdio import run
    from b24lake.cli.control import installation, opened
    from b24lake.lake.index import Index

    with ExitStack() as stack:

        def service() -> Service:
            control = stack.enter_context(opened(database, home))
            here = installation(control, lake)
            return Service(control.database, control.keyring, here, control.clock)

        reach = _reach(lake, home, tables)
        run(Reader(Index(reach.lake), reach, service))


def _reach(lake: str | None, home: Path | None, tables: list[str] | None) -> Reach:
    from b24lake.control.tokens import checked_globs
    from b24lake.lake.reach import Reach

    limits = (tuple(checked_globs(tables)),) if tables else ()
    return Reach(common.lake(lake, home), limits)
