"""YAML with line numbers: every scalar as it was written, nothing guessed about its type; no key twice.

`18:00` is a text here, and so is `no`: what a value means is told by the setting it belongs to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import yaml

from b24lake.errors import UsageError

Value: TypeAlias = "dict[str, Entry] | list[Entry] | str | None"
_NULLS = {"", "~", "null", "Null", "NULL"}
_LARGEST = 10_000_000  # signs of a file


@dataclass(frozen=True)
class Entry:
    """A value of the file, with its place."""

    value: Value
    file: str
    line: int

    def mapping(self, what: str, keys: Collection[str] = ()) -> dict[str, Entry]:
        """The value as a mapping; nothing = an empty one. Raises UsageError for a key that is not one of `keys`.

        keys   () = any
        """
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.error(f"{what} needs keys and values", "write KEY: VALUE lines below it")
        for key, entry in self.value.items():
            if keys and key not in keys:
                near = get_close_matches(key.lower(), keys, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}" if near else f"the keys are {', '.join(keys)}"
                raise entry.error(f"{what} has no key {key!r}", hint)
        return self.value

    def texts(self, what: str) -> list[str]:
        """The value as a list of texts; one text is a list of one."""
        if isinstance(self.value, list):
            return [entry.text(what) for entry in self.value]
        return [self.text(what)]

    def text(self, what: str) -> str:
        """The value as a text. Raises UsageError where it is more than one value, or none."""
        if not isinstance(self.value, str):
            raise self.error(f"{what} needs one value", f"write {what}: VALUE")
        return self.value

    def plain(self) -> str | list[str] | None:
        """A text, a list of texts, or nothing. Raises UsageError for a mapping."""
        if isinstance(self.value, list):
            return [entry.text("a list") for entry in self.value]
        return self.text("this") if self.value is not None else None

    def error(self, what: str, fix: str, why: str = "") -> UsageError:
        """An error that names the line."""
        return UsageError(f"{self.file}, line {self.line}: {what}", why=why, fix=fix)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Put the line before errors of the block."""
        try:
            yield
        except UsageError as error:
            if error.what.startswith(f"{self.file}, line "):
                raise
            raise self.error(error.what, error.fix, error.why) from None


def load(text: str, file: str) -> Entry:
    """The document in a file. Raises UsageError that names the line."""
    if len(text) > _LARGEST:
        raise UsageError(f"{file} is too large", fix="is it the right file?")
    try:
        aliases = [token for token in yaml.scan(text) if isinstance(token, yaml.AliasToken)]
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}, line {mark.line + 1}" if mark else file
        raise UsageError(f"{where}: this is not YAML", why=error.problem or "", fix="correct the line") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not YAML", why=str(error).splitlines()[0], fix="correct the file") from None
    if aliases:
        line = aliases[0].start_mark.line + 1
        raise UsageError(f"{file}, line {line}: aliases are not read", fix="write the values out")
    return _entry(node, file) if node is not None else Entry(None, file, 1)


def _entry(node: yaml.Node, file: str) -> Entry:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key = _entry(key_node, file).text("a key")
            if key in found:
                raise UsageError(
                    f"{file}, line {key_node.start_mark.line + 1}: {key!r} is there twice",
                    why=f"the first time in line {found[key].line}",
                    fix="leave one of them out",
                )
            value = _entry(value_node, file)
            found[key] = Entry(value.value, file, key_node.start_mark.line + 1)
        return Entry(found, file, line)
    if isinstance(node, yaml.SequenceNode):
        return Entry([_entry(each, file) for each in node.value], file, line)
    is_null = isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS
    return Entry(None if is_null else str(node.value), file, line)
