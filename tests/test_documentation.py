"""The examples of the documentation do what the pages say."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from documentation import Reader, agrees, rewritten, steps

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["lake.md", "python.md", "sql.md"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.slow
def test_the_examples_of_a_page_print_what_it_says(page: str, tmp_path: Path) -> None:
    text = (DOCS / page).read_text("utf-8")
    with ExitStack() as stack:
        found = list(Reader(tmp_path, stack).follow(text))
    assert found
    wrong = [
        f"line {example.line + 1}: $ {example.command}\nit does not print what the page says, but\n{real}"
        for example, real in found
        if not agrees(example.printed, real)
    ]
    assert not wrong, "\n\n".join([*wrong, f"python tests/documentation.py docs/{page}"])


PAGE = """\
<!-- sandbox: deals=60 -->
Words.

```console
$ echo one; echo two
one
...
$ echo three
four
```

<!-- file: three.txt -->
```text
5
```

```console
$ cat three.txt
6
```

<!-- not run: a reason -->
```console
$ false
```
"""


def test_a_page_is_rewritten_with_what_its_commands_print(tmp_path: Path) -> None:
    assert [len(step.examples) for step in steps(PAGE)] == [0, 2, 0, 0, 1, 0, 1]
    assert rewritten(PAGE, tmp_path) == PAGE.replace("four", "three").replace("\n6\n", "\n5\n")


@pytest.mark.parametrize(
    ("page", "printed", "agreed"),
    [
        (["at 2026-11-22 22:13:05 UTC"], "at 2027-01-01 00:00:00 UTC\n", True),
        (["by 20261122T221305-a1b2c3   3 rows"], "by 20270101T000000-ffffff 3 rows\n\n", True),
        (["3 rows"], "4 rows\n", False),
        (["12.4 kB in 0.3 s"], "9 B in 12 s\n", True),
        (["a", "...", "d"], "a\nb\nc\nd\n", True),
        (["a", "...", "d"], "a\nb\nc\n", False),
        (["a", "..."], "a\n", True),
        ([], "", True),
        ([], "something\n", False),
    ],
)
def test_only_what_is_the_same_every_time_is_compared(page: list[str], printed: str, agreed: bool) -> None:
    assert agrees(page, printed) is agreed
