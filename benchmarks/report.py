"""Tables for the terminal and sections for RESULTS.md."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

import psutil
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "RESULTS.md"
TITLE = "# Benchmarks\n\nWritten by `make bench`. The line above a table names the command that makes it again.\n"
WIDTH = 170  # characters of a table that goes into a file
LIBRARIES = ["b24lake", "pyarrow", "deltalake", "orjson", "b24pysdk", "fast-bitrix24"]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A threshold, what was measured, and whether that is good enough."""

    asks: str
    measured: str
    passed: bool

    @classmethod
    def at_most(cls, limit: float, what: str, measured: float) -> Self:
        """A figure that must not be larger: `Bar.at_most(0.35, "the peer's wall time", 0.3)`, or a mere count."""
        times = "" if isinstance(limit, int) else "x"
        shown = f"{measured:.2f}{times}" if times else f"{measured:,}"
        return cls(asks=f"at most {limit}{times} {what}", measured=shown, passed=measured <= limit)

    @classmethod
    def all_rows(cls, rows: int, of: int) -> Self:
        """Every row is read."""
        return cls(asks="every row is read", measured=f"{rows:,} of {of:,}", passed=rows == of)

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'MISS'}: {self.asks}; measured {self.measured}"


@dataclass(frozen=True, kw_only=True)
class Section:
    """One benchmark's part of RESULTS.md. The first column of the table is text, the others are numbers."""

    title: str
    about: str
    command: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    bars: list[Bar]

    def show(self) -> None:
        """Print the table and the bars."""
        console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
        table = Table(title=self.title, caption=self.about)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for bar in self.bars:
            console.print(str(bar), style="green" if bar.passed else "red", highlight=False)

    def markdown(self) -> str:
        """The section as it stands in RESULTS.md, heading included."""
        lines = [self.columns, ("---", *["---:"] * (len(self.columns) - 1)), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        bars = "\n".join(f"- {bar}" for bar in self.bars)
        head = f"## {self.title}\n\n{self.about}\n\nAgain: `{self.command}`. Machine: {machine()}."
        return f"{head}\n\n{table}\n\n{bars}\n"

    def save(self) -> None:
        """Put the section into RESULTS.md in place of the one with the same title."""
        old = RESULTS.read_text("utf-8") if RESULTS.exists() else TITLE
        head, *sections = old.rstrip().split("\n\n## ")
        kept = {section.split("\n", 1)[0]: section for section in sections}
        kept[self.title] = self.markdown().rstrip().removeprefix("## ")
        RESULTS.write_text("\n\n## ".join([head, *(kept[title] for title in sorted(kept))]) + "\n", "utf-8")


def machine() -> str:
    """What a reader needs to compare: cores, CPU, memory, versions. No names, no dates."""
    memory = psutil.virtual_memory().total / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cores = f"{psutil.cpu_count()} cores of {cpu_model()}, {memory:.0f} GB of memory"
    return f"{cores}, {platform.system()}, Python {platform.python_version()}, {versions}"


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
