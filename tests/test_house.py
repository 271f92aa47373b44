"""The rules of the house, read from the source itself: who may import whom, how long a file may be, what stays out."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
SRC = HOUSE / "src" / "b24lake"
LONGEST_FILE = 500  # lines

# part -> the parts it may import; every part may import itself. A new part gets a row here, or the test fails.
BELOW_READING = {"errors", "portal", "streams"}
BELOW_CONTROL = BELOW_READING | {"reading", "lake", "sync"}
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "portal": {"errors"},
    "streams": {"errors", "portal"},
    "reading": BELOW_READING,
    "lake": {"errors"},
    "sync": BELOW_READING | {"reading", "lake"},
    "control": BELOW_CONTROL,
    "agents": BELOW_CONTROL | {"control"},
    "web": BELOW_CONTROL | {"control", "agents"},
    "api": BELOW_READING | {"reading"},  # no lake: a program may have rows without tables
    "adapters": BELOW_READING | {"reading", "api"},
    "sandbox": set(),
    "cli": BELOW_CONTROL | {"control", "agents", "web", "api", "adapters", "sandbox"},
    "__main__": {"cli"},
    "b24lake": {"api"},  # the package's own __init__.py; everyone but the sandbox may import it, for its version
}

SOCKETS = {
    "aiohttp",
    "http.client",
    "http.server",
    "httpx",
    "requests",
    "smtplib",
    "socket",
    "urllib.request",
    "urllib3",
}
MAY_OPEN_SOCKETS = {"b24lake.portal.connection", "b24lake.control.delivery", "sandbox", "web"}


# --- reading imports --------------------------------------------------------------------------------------------------


def module_name(file: Path) -> str:
    """`src/b24lake/portal/webhook.py` -> "b24lake.portal.webhook"; an `__init__.py` stands for its package."""
    parts = file.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(SRC.rglob("*.py"))}


def from_imports(node: ast.ImportFrom, package: str) -> set[str]:
    """Full names behind `from ... import ...`: `from ..portal import webhook` -> "b24lake.portal.webhook"."""
    above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
    return {".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names}


@cache
def imports(module: str) -> frozenset[str]:
    """Every dotted name that a module imports, anywhere in it (functions and TYPE_CHECKING blocks included)."""
    file, found = MODULES[module], set[str]()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= from_imports(node, package)
    return frozenset(found)


def module_behind(name: str) -> str:
    """The module of this project that holds a dotted name; "" for a name from elsewhere."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def own_imports(module: str) -> set[str]:
    """The other modules of this project that a module imports."""
    return {module_behind(name) for name in imports(module)} - {"", module}


def part_of(module: str) -> str:
    """Which part a module belongs to: "portal" for b24lake.portal.webhook, "b24lake" for the package itself."""
    return [*module.split("."), "b24lake"][1]


# --- arrows -----------------------------------------------------------------------------------------------------------


def test_every_part_of_the_house_has_a_row_of_arrows() -> None:
    assert {part_of(module) for module in MODULES} <= set(ARROWS)


def forbidden(module: str) -> set[str]:
    """The imports of a module that go against the arrows."""
    part = part_of(module)
    allowed = ARROWS.get(part, set()) | {part} | (set() if part == "sandbox" else {"b24lake"})
    return {other for other in own_imports(module) if part_of(other) not in allowed}


def test_imports_follow_the_arrows() -> None:
    assert {module: forbidden(module) for module in MODULES if forbidden(module)} == {}


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {module: own_imports(module) - {"b24lake"} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def sockets(module: str) -> set[str]:
    return {name for name in imports(module) if any(f"{name}.".startswith(f"{door}.") for door in SOCKETS)}


def test_sockets_are_opened_in_one_place() -> None:
    inside = [module for module in MODULES if not {module, part_of(module)} & MAY_OPEN_SOCKETS]
    assert {module: sockets(module) for module in inside if sockets(module)} == {}


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("from b24lake.portal import webhook", "b24lake.portal.webhook"),
        ("from ..portal.webhook import Webhook", "b24lake.portal.webhook.Webhook"),
        ("from . import fields", "b24lake.streams.fields"),
        ("from .fields import columns", "b24lake.streams.fields.columns"),
        ("from http import client", "http.client"),
    ],
)
def test_every_form_of_import_is_understood(statement: str, name: str) -> None:
    node = ast.parse(statement).body[0]
    assert isinstance(node, ast.ImportFrom)
    assert from_imports(node, "b24lake.streams") == {name}


def test_no_file_is_too_long_to_read() -> None:
    lines = {module: len(file.read_text("utf-8").splitlines()) for module, file in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > LONGEST_FILE} == {}


# --- what stays out ---------------------------------------------------------------------------------------------------

# Written in pieces, so that this file passes its own test.
HOSTS = [
    ".".join(pieces)
    for pieces in [
        ("pypi", "org"),
        ("python" + "hosted", "org"),
        ("registry", "npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("npmmirror", "com"),
        ("anaconda", "org"),
        ("repo1", "maven", "org"),
        ("repo", "maven", "apache", "org"),
    ]
]
FOLDERS = ["home", "opt", "root", "tmp", "Users", "work"]
MACHINE_PATH = re.compile(rf"(?<![\w.:/}}$~*-])/(?:{'|'.join(FOLDERS)})/\w+|file:" + r"//" + r"|\b[A-Z]:\\\w+")


def kept_files() -> list[Path]:
    """Every file that git tracks, or would track if it were added now; none where the tree has no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=HOUSE, capture_output=True, check=False, text=True).stdout
    files = [HOUSE / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file()]


def kept_texts() -> dict[str, str]:
    texts = {str(file.relative_to(HOUSE)): file.read_bytes().decode("utf-8", "replace") for file in kept_files()}
    if not texts:
        pytest.skip("not a git working tree")
    return texts


def test_no_file_names_a_registry_host() -> None:
    assert [(name, host) for name, text in kept_texts().items() for host in HOSTS if host in text] == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = {name: MACHINE_PATH.findall(text) for name, text in kept_texts().items()}
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize(
    ("text", "is_a_place"),
    [
        ("--lake " + "/home" + "/ann/lake", True),
        ('"' + "/tmp" + '/x.json"', True),
        ("C" + ":\\Data", True),
        ("https://example.bitrix24.com/" + "work/tasks/", False),
        ("~/" + "work/lake", False),
        ("docs/home/index", False),
    ],
)
def test_a_place_on_a_machine_is_recognised(text: str, *, is_a_place: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) == is_a_place


# --- what an import costs ---------------------------------------------------------------------------------------------

HEAVY = ["numpy", "pyarrow", "deltalake", "fastapi", "sqlalchemy", "duckdb", "polars", "pandas", "mcp"]
SHOW_HELP = "from b24lake.cli.main import main; sys.argv = ['b24lake', '--help']; main()"


def heavy_modules_after(statement: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded once it has run the statement."""
    tail = f"print('loaded:', *[name for name in {HEAVY} if name in sys.modules])"
    code = f"import sys\ntry:\n    {statement}\nexcept SystemExit as end:\n    assert not end.code, end.code\n{tail}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True, cwd=HOUSE)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].removeprefix("loaded:").split()


@pytest.mark.parametrize("statement", ["import b24lake", "import b24lake.errors", SHOW_HELP])
def test_nothing_heavy_is_loaded_before_it_is_needed(statement: str) -> None:
    assert heavy_modules_after(statement) == []


def test_help_lists_the_commands() -> None:
    command = [sys.executable, "-c", f"import sys; {SHOW_HELP}"]
    shown = subprocess.run(command, capture_output=True, check=False, text=True, cwd=HOUSE)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [
        name
        for name in (
            "bookmark",
            "check",
            "demo",
            "diff",
            "history",
            "query",
            "restore",
            "sandbox",
            "streams",
            "sync",
            "vacuum",
        )
        if name not in shown.stdout
    ] == []


# --- locks ------------------------------------------------------------------------------------------------------------

PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)([^\n]*)\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)*)", re.MULTILINE)
LOCKS = ["requirements.lock", "requirements-dev.lock"]


def locked(lock: str) -> dict[tuple[str, str], int]:
    """(name, version) -> number of hashes."""
    text = (HOUSE / lock).read_text("utf-8")
    return {(pin[1], pin[2]): pin[4].count("--hash=") for pin in PINNED.finditer(text)}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_hash_and_no_address(lock: str) -> None:
    text = (HOUSE / lock).read_text("utf-8")
    assert [pin for pin, hashes in locked(lock).items() if hashes == 0] == []
    assert len(locked(lock)) == len(re.findall(r"^[a-z]", text, re.MULTILINE)) > 0
    assert re.findall(r"\w+://|^--|@", text, re.MULTILINE) == []


def test_the_locks_know_every_dependency() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))
    runtime = {name for name, _ in locked("requirements.lock")}
    everything = {name for name, _ in locked("requirements-dev.lock")}
    assert names(project["project"]["dependencies"]) - runtime == set()
    assert names(project["dependency-groups"]["dev"]) - everything == set()


def test_both_locks_choose_the_same_versions() -> None:
    assert set(locked("requirements.lock")) - set(locked("requirements-dev.lock")) == set()
