"""A disk that is full, small or read-only: the run says so, the tables stay as they were, and the next run goes on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import deltalake
import pytest

from b24lake.sandbox import Server
from running import Lake, run

SLOW = pytest.mark.slow


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[None]:
    """Something mounted on a folder; the test is skipped where this user may not."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(["mount", *words, str(folder)], capture_output=True, check=False, text=True)
    if made.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(lake: Lake) -> Iterator[Lake]:
    """A lake on a disk of 8 MB."""
    with mounted(Path(str(lake.path)), "-t", "tmpfs", "-o", "size=8m", "tmpfs"):
        yield lake


def titles(lake: Lake, stream: str = "deals") -> dict[int, str]:
    rows = deltalake.DeltaTable(lake.table(stream)).to_pyarrow_table(columns=["ID", "TITLE"]).to_pylist()
    assert len({row["ID"] for row in rows}) == len(rows)
    return {row["ID"]: row["TITLE"] for row in rows}


def truth(server: Server, stream: str = "deals") -> dict[int, str]:
    return {int(row["ID"]): row["TITLE"] for row in server.portal.truth(stream)}


def filled(lake: Lake, left: int) -> Path:
    """A file that leaves so many bytes of the disk."""
    filler, disk = Path(str(lake.path)) / "filler", os.statvfs(str(lake.path))
    filler.write_bytes(b"\0" * max(0, disk.f_bavail * disk.f_frsize - left))
    return filler


@pytest.mark.parametrize("left", [40_000, pytest.param(0, marks=SLOW), pytest.param(200_000, marks=SLOW)])
@pytest.mark.parametrize("words", [(), pytest.param(("--full",), marks=SLOW)])
def test_a_disk_that_fills_up(
    serve: Callable[..., Server], small_disk: Lake, left: int, words: tuple[str, ...]
) -> None:
    server, lake = serve(deals=2_000, deal_fields=60), small_disk
    asked = ("sync", server.url, "-s", "deals", "-s", "users", "--json", *words)
    assert run(lake, *asked).code == 0
    before = titles(lake)
    for key in before:
        server.portal.change("deals", key, {"TITLE": f"changed {key}"})
    filler = filled(lake, left)
    ran = run(lake, *asked)
    if ran.code:
        assert "No space left on device" in ran.said
        assert "free some space" in ran.said
        assert json.loads(ran.out)["status"] in {"failed", "partial"}
        assert titles(lake) in (before, truth(server))
    else:
        assert titles(lake) == truth(server)
    filler.unlink()
    assert run(lake, *asked).code == 0
    assert titles(lake) == truth(server)
    folder = Path(lake.table("deals"))
    assert not (folder / "_staging").exists()


def test_a_first_read_on_a_full_disk(serve: Callable[..., Server], small_disk: Lake) -> None:
    server, lake = serve(deals=20_000, deal_fields=120), small_disk
    ran = run(lake, "sync", server.url, "-s", "deals", "--json")
    assert ran.code == 1
    assert "No space left on device" in ran.said
    assert not deltalake.DeltaTable.is_deltatable(lake.table("deals"))


def test_a_read_only_lake(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    assert run(lake, "sync", server.url, "-s", "deals").code == 0
    before, folder = titles(lake), str(lake.path)
    server.portal.change("deals", min(before), {"TITLE": "changed"})
    with mounted(Path(folder), "--bind", folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True, capture_output=True)
        ran = run(lake, "sync", server.url, "-s", "deals", "--json")
        assert ran.code == 1
        assert "Read-only file system" in ran.err
        assert "correct its permissions" in ran.err
        assert run(lake, "query", "SELECT count(*) FROM raw.bitrix24_deals").code == 0
        assert run(lake, "tables").code == 0
    assert titles(lake) == before
    assert run(lake, "sync", server.url, "-s", "deals").code == 0
    assert titles(lake) == truth(server)


def test_a_table_that_becomes_read_only(serve: Callable[..., Server], lake: Lake) -> None:
    """Somebody took the right to write into one table's folder: the lake itself can be written."""
    server = serve()
    assert run(lake, "sync", server.url, "-s", "deals").code == 0
    before, folder = titles(lake), lake.table("deals")
    server.portal.change("deals", min(before), {"TITLE": "changed"})
    with mounted(Path(folder), "--bind", folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True, capture_output=True)
        for words in ((), ("--full",)):
            ran = run(lake, "sync", server.url, "-s", "deals", "--json", *words)
            assert ran.code == 1
            assert "Read-only file system" in ran.said
            assert "Traceback" not in ran.err
    assert titles(lake) == before


@pytest.fixture(autouse=True)
def no_mounts_left(lake: Lake) -> Iterator[None]:
    yield
    for mount in Path("/proc/mounts").read_text().splitlines() if Path("/proc/mounts").exists() else ():
        if str(lake.path) in mount:
            with suppress(OSError):
                subprocess.run(["umount", "--lazy", mount.split()[1]], check=False)
