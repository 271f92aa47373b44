"""The examples of a documentation page, run as a reader would run them, in order, against a sandbox portal.

An example is a block of the kind `console`: lines that begin with `$ ` are commands, what follows is what they print.

    <!-- sandbox: deals=300 users=20 -->             before the first block: the portal's settings
    <!-- portal: change deals 12 TITLE="Window" -->  before a block: somebody works in Bitrix24 meanwhile; also
                                                     `create deals TITLE="Door"` and `delete deals 12`
    <!-- portal: field deals UF_CRM_9999 double -->  ... or adds a field
    <!-- age: 40 days raw/bitrix24_deals -->         before a block: so long ago is what happened to a table
    <!-- not run: it needs a store -->               before a block: it is not run
    <!-- file: deals.py -->                          before a block of any kind: a file of the reader, with its text

Directives are comments, so readers do not see them. In what is printed, a line that is only `...` stands for any lines.
Times, run ids, ports, sizes, durations, numbers of requests and pages are not compared, nor how much white space
there is.

    python tests/documentation.py docs/lake.md       writes what the commands really print into the page
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from aging import aged
from b24lake.sandbox import Portal, Server, Settings

WIDTH = "110"  # columns of the terminal in the examples
_DIRECTIVE = re.compile(r"<!-- ([a-z ]+): (.*?) -->")
_MASKS = (
    (re.compile(r"\d{8}T\d{6}-[0-9a-z]+"), "RUN"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DAY"),
    (re.compile(r"127\.0\.0\.1:\d+"), "PORTAL"),
    (re.compile(r"\b\d+(\.\d+)? (B|kB|MB|GB)\b"), "SIZE"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|seconds)\b"), "DURATION"),
    (re.compile(r"\b\d+ requests"), "REQUESTS"),
    (re.compile(r"\s\d+\s+\d+\.\d\s*$"), " PAGES SECONDS"),  # the last columns of what a run shows
    (re.compile(r"\bportal [0-9a-f]{16}\b"), "portal ID"),
    (re.compile(r"\bprocess \d+"), "process ID"),
    (re.compile(r"-{4,}|─{4,}"), "LINE"),
)


@dataclass
class Example:
    """One command with what the page says that it prints; `line` is that of the command, from 0."""

    command: str
    line: int
    printed: list[str] = field(default_factory=list)


@dataclass
class Step:
    """A directive, or a block: of examples, or the text of a file."""

    directive: tuple[str, str] | None = None
    examples: list[Example] = field(default_factory=list)
    text: str | None = None


def steps(text: str) -> Iterator[Step]:
    """Directives and blocks of a page, in order."""
    block: Step | None = None
    for number, line in enumerate(text.splitlines()):
        if block is None:
            told = _DIRECTIVE.fullmatch(line.strip())
            if told:
                yield Step(directive=(told[1], told[2]))
            elif line.strip() == "```console":
                block = Step()
            elif line.startswith("```"):
                block = Step(text="")
        elif line.strip() == "```":
            yield block
            block = None
        elif block.text is not None:
            block.text += f"{line}\n"
        elif line.startswith("$ "):
            block.examples.append(Example(line[2:], number))
        elif block.examples:
            block.examples[-1].printed.append(line)


@dataclass
class Reader:
    """Somebody who works through a page, in a folder of their own."""

    folder: Path
    stack: ExitStack
    settings: dict[str, Any] = field(default_factory=dict)
    server: Server | None = None
    skipped: bool = False
    name: str = ""

    def follow(self, text: str) -> Iterator[tuple[Example, str]]:
        """Each command of the page with what it really prints."""
        for step in steps(text):
            if step.directive is not None:
                getattr(self, "_" + step.directive[0].replace(" ", "_"))(step.directive[1])
                continue
            if step.text is not None:
                self._write(step.text)
                continue
            skipped, self.skipped = self.skipped, False
            for example in () if skipped else step.examples:
                yield example, self._run(example.command)

    def _sandbox(self, words: str) -> None:
        assert self.server is None, "the portal's settings stand before everything that needs it"
        self.settings = {name: orjson.loads(value) for name, _, value in _pairs(words)}

    def _portal(self, words: str) -> None:
        verb, table, *rest = shlex.split(words)
        portal = self._started().portal
        fields = {name: value for word in rest for name, sign, value in [word.partition("=")] if sign}
        match verb:
            case "change":
                portal.change(table, int(rest[0]), fields)
            case "create":
                portal.create(table, fields)
            case "delete":
                portal.delete(table, int(rest[0]))
            case "field":
                portal.set_field(table, rest[0], rest[1])
            case _:
                raise ValueError(f"not something that happens in a portal: {words}")

    def _age(self, words: str) -> None:
        days, _, table = words.split()
        aged(self.folder / "lake" / table, int(days))

    def _not_run(self, _reason: str) -> None:
        self.skipped = True

    def _file(self, name: str) -> None:
        self.name = name

    def _write(self, text: str) -> None:
        name, self.name = self.name, ""
        if name:
            (self.folder / name).write_text(text, "utf-8")

    def _started(self) -> Server:
        if self.server is None:
            portal = Portal(Settings(**{"deals": 300, "threshold": 0, **self.settings}))
            self.server = self.stack.enter_context(Server(portal))
        return self.server

    def _run(self, command: str) -> str:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ours = {
            "B24LAKE_WEBHOOK_URL": self._started().url,
            "B24LAKE_HOME": str(self.folder / "home"),
            "B24LAKE_LAKE": "lake",
            "COLUMNS": WIDTH,
            "NO_COLOR": "1",
            "PATH": programs,
        }
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env={**os.environ, **ours},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return done.stdout


def _pairs(words: str) -> Iterator[tuple[str, str, str]]:
    return (word.partition("=") for word in shlex.split(words))


def masked(text: str) -> str:
    """What is compared of a line: without what is another one every time."""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return " ".join(text.split())


def agrees(printed: list[str], real: str) -> bool:
    """Tell whether a page's text is what a command printed; a line `...` stands for any lines."""
    wanted = [masked(line) for line in printed]
    got = [masked(line) for line in real.splitlines()]
    while wanted and not wanted[-1]:
        wanted.pop()
    while got and not got[-1]:
        got.pop()
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in wanted)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in got)) is not None


def rewritten(text: str, folder: Path) -> str:
    """The page with what its commands really print; an example with a line `...` stays as it is while it agrees."""
    lines: list[str] = text.splitlines()
    with ExitStack() as stack:
        found = list(Reader(folder, stack).follow(text))
    for example, real in reversed(found):
        if not agrees(example.printed, real):
            begin = example.line + 1
            lines[begin : begin + len(example.printed)] = [line.rstrip() for line in real.rstrip().splitlines()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        with tempfile.TemporaryDirectory() as place:
            page.write_text(rewritten(page.read_text("utf-8"), Path(place)), "utf-8")
