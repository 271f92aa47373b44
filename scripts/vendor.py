"""Bring third-party files of the web app and of its tests to where they belong: `python scripts/vendor.py` (needs npm).

What is taken, and from which version, stands below; `vendored.json` beside the files says name, version, licence and
checksum of each. The tests compare them; nothing is fetched when the app runs, is installed or is tested.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "src/b24lake/web/static/vendor"
TESTS = ROOT / "tests/web/vendor"


@dataclass(frozen=True)
class Package:
    """A package of the npm registry: files in it -> their names here; icons go into one sprite."""

    name: str
    version: str
    licence: str
    files: dict[str, str]
    icons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """Packages that are made into one file by esbuild: `entry` beside this script says what is taken of them."""

    name: str
    licence: str
    file: str
    entry: str
    packages: dict[str, str]


ICONS = """
    activity alert-circle alert-triangle arrow-back-up arrow-right arrows-diff bell bolt book brand-speedtest
    calendar-time chart-line check checklist chevron-down chevron-right circle-check circle-dashed circle-x clock
    clock-pause clock-play cloud-download code columns copy database device-floppy dots-vertical download edit
    external-link eye eye-off file-text file-type-csv filter focus-centered folder folder-plus git-compare help
    hierarchy-2 history home info-circle key language layers-subtract link list-details lock logout mail moon package
    pencil player-pause player-play player-skip-back player-stop plug plus puzzle refresh robot rotate search server
    settings shield-lock sitemap star sun table table-export terminal-2 timeline trash user users versions webhook
    world x zoom-in zoom-out
""".split()
PACKAGES = (
    Package(
        "@tabler/core",
        "1.6.1",
        "MIT",
        {"dist/css/tabler.min.css": "tabler.min.css", "dist/js/tabler.min.js": "tabler.min.js"},
    ),
    Package("htmx.org", "4.0.1", "0BSD", {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "licences/htmx.txt"}),
    Package("@alpinejs/csp", "3.17.4", "MIT", {"dist/cdn.min.js": "alpine.min.js"}),
    Package(
        "uplot",
        "1.6.32",
        "MIT",
        {
            "dist/uPlot.iife.min.js": "uplot.min.js",
            "dist/uPlot.min.css": "uplot.min.css",
            "LICENSE": "licences/uplot.txt",
        },
    ),
    Package("@dagrejs/dagre", "3.1.3", "MIT", {"dist/dagre.min.js": "dagre.min.js", "LICENSE": "licences/dagre.txt"}),
    Package("@tabler/icons", "3.51.0", "MIT", {"LICENSE": "licences/tabler-icons.txt"}, icons=tuple(ICONS)),
)
BUNDLES = (
    Bundle(
        "codemirror",
        "MIT",
        "codemirror.min.js",
        "editor.js",
        {
            "@codemirror/autocomplete": "6.20.4",
            "@codemirror/commands": "6.11.1",
            "@codemirror/lang-sql": "6.10.0",
            "@codemirror/language": "6.13.1",
            "@codemirror/lint": "6.9.8",
            "@codemirror/state": "6.7.6",
            "@codemirror/view": "6.43.15",
            "@lezer/common": "1.5.5",
            "@lezer/highlight": "1.2.5",
            "@lezer/lr": "1.4.12",
            "@marijn/find-cluster-break": "1.0.4",
            "crelt": "1.0.7",
            "style-mod": "4.1.4",
            "w3c-keyname": "2.2.8",
        },
    ),
)
ESBUILD = "esbuild@0.28.2"
OF_TESTS = (
    Package("axe-core", "4.14.1", "MPL-2.0", {"axe.min.js": "axe.min.js", "LICENSE": "licences/axe.txt"}),
)  # fmt: skip


def main() -> None:
    """Fetch every package, copy what is used, and write down what it was."""
    for folder, packages, bundles in ((VENDOR, PACKAGES, BUNDLES), (TESTS, OF_TESTS, ())):
        (folder / "licences").mkdir(parents=True, exist_ok=True)
        record = [_take(package, folder) for package in packages]
        record += [_bundle(bundle, folder) for bundle in bundles]
        (folder / "vendored.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _take(package: Package, to: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{package.name}@{package.version}"
        packed = subprocess.run(["npm", "pack", wanted], cwd=folder, check=True, capture_output=True, text=True)
        with tarfile.open(Path(folder, packed.stdout.strip().splitlines()[-1])) as archive:
            archive.extractall(folder, filter="data")
        root = Path(folder, "package")
        taken = {ours: (root / theirs).read_bytes() for theirs, ours in package.files.items()}
        if package.icons:
            taken["icons.svg"] = _sprite(root, package.icons)
    for name, content in taken.items():
        (to / name).write_bytes(content)
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in taken.items()}
    return {"name": package.name, "version": package.version, "licence": package.licence, "sha256": checksums}


def _bundle(bundle: Bundle, to: Path) -> dict[str, object]:
    wanted = [f"{name}@{version}" for name, version in bundle.packages.items()]
    how = ["--bundle", "--minify", "--format=iife", "--global-name=CodeMirror", "--target=es2022"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "package.json").write_text("{}", encoding="utf-8")
        shutil.copy(Path(__file__).parent / bundle.entry, folder)
        install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *wanted, ESBUILD]
        subprocess.run(install, cwd=folder, check=True, capture_output=True)
        esbuild = Path(folder, "node_modules/.bin/esbuild")
        packed = subprocess.run([esbuild, bundle.entry, *how], cwd=folder, check=True, capture_output=True)
        licences = [Path(folder, "node_modules", name, "LICENSE") for name in bundle.packages]
        texts = sorted({each.read_bytes() for each in licences if each.is_file()})
    taken = {bundle.file: packed.stdout, f"licences/{bundle.name}.txt": b"\n".join(texts)}
    for name, content in taken.items():
        (to / name).write_bytes(content)
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in taken.items()}
    return {"name": bundle.name, "of": bundle.packages, "licence": bundle.licence, "sha256": checksums}


def _sprite(root: Path, icons: tuple[str, ...]) -> bytes:
    """One file with every icon as a symbol."""
    symbols = "".join(_symbol(root / f"icons/outline/{name}.svg") for name in icons)
    return f'<svg xmlns="http://www.w3.org/2000/svg">{symbols}\n</svg>\n'.encode()


def _symbol(file: Path) -> str:
    svg = file.read_text(encoding="utf-8")
    inner = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    paths = "".join(line.strip() for line in inner.splitlines())
    look = 'fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
    return f'\n<symbol id="{file.stem}" viewBox="0 0 24 24" {look}>{paths}</symbol>'


if __name__ == "__main__":
    main()
