"""Tables for the terminal and sections for RESULTS.md."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "RESULTS.md"
TITLE = "# Benchmarks\n\nWritten by `make bench`. The line above a table names the command that makes it again.\n"
LIBRARIES = ["b24lake", "pyarrow", "deltalake", "orjson", "b24pysdk", "fast-bitrix24"]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A threshold, what was measured, and whether that is good enough."""

    asks: str
    measured: str
    passed: bool

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
        console = Console()
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
