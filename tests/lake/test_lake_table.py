"""Names, places and owners of tables."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import Deals, rows

from b24lake.errors import StopError, StreamError, UsageError
from b24lake.lake.staging import Staging
from b24lake.lake.table import Owner, check_writable, inspect, table_path


def test_a_table_lies_in_its_layer(tmp_path: Path) -> None:
    assert table_path(tmp_path, "raw", "bitrix24_spa_128") == tmp_path / "raw" / "bitrix24_spa_128"


@pytest.mark.parametrize("name", ["deals", "d", "9", "a-b_C", "x" * 128, "selected"])
def test_names_that_can_be_a_tables(tmp_path: Path, name: str) -> None:
    assert table_path(tmp_path, "raw", name).name == name


BAD_NAMES = ["", "_deals", "x" * 129, "a b", "a.b", "a/b", "..", "сделки", "a'b", "select", "Table", "USER", "a\n"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_cannot(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a table"):
        table_path(tmp_path, "raw", name)
    with pytest.raises(UsageError, match="cannot be the name of a layer"):
        table_path(tmp_path, name, "deals")


def test_a_missing_lake_is_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "data" / "lake")
    assert list((tmp_path / "data" / "lake").iterdir()) == []


@pytest.mark.parametrize("inside", ["", "lake"])
def test_a_lake_is_a_folder(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        check_writable(tmp_path / "file" / inside)


@pytest.mark.parametrize("name", ["a%20b", "a#b", "a?b", "a[1]", "a|b"])
def test_a_lake_is_not_where_delta_tables_do_not_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="do not work in a path with"):
        check_writable(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


ADDRESSES = ["s3://bucket/lake", "file:/lake", "abfss://c@a.dfs.core.windows.net/x", "gs:/bucket"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_lake_is_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="looks like an address"):
        check_writable(Path(address))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sign", ["\n", "\r", "\t", "\x00", "\x1b", "\x7f", "\x85"])
def test_a_lakes_path_has_no_control_characters(tmp_path: Path, sign: str) -> None:
    with pytest.raises(UsageError, match="control character"):
        check_writable(tmp_path / f"la{sign}ke")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_lake_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StopError, match="Permission denied"):
        check_writable(tmp_path / "lake")


def test_a_lake_on_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("b24lake.lake.table.tempfile.TemporaryFile", full)
    with pytest.raises(StopError, match="No space left on device"):
        check_writable(tmp_path)


def test_a_lake_may_have_spaces_and_letters_of_any_alphabet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deals = Deals(Path("Моё озеро (1)"))
    check_writable(deals.lake)
    deals.full(rows([1, 2, 3]))
    assert deals.full(rows([2, 3, 4]), policy="mark").deleted == 1
    assert deals.merge(rows([5])).inserted == 1
    state = inspect(deals.path, deals.owner)
    assert state is not None
    assert state.rows == 5


# --- whose table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stranger", [Owner("portal-2", "deals"), Owner("portal-1", "leads")])
def test_a_table_of_another_portal_or_stream_is_refused(deals: Deals, stranger: Owner) -> None:
    deals.owner = Owner("portal-1", "deals")
    deals.full(rows([1]))
    version = deals.delta().version()
    deals.owner = stranger
    expected = rf"belongs to stream 'deals' of portal 'portal-1'.*{stranger.stream}.*{stranger.portal}.*another prefix"
    for write in (deals.full, deals.merge):
        with pytest.raises(UsageError, match=expected):
            write(rows([2]))
    with pytest.raises(UsageError, match=expected):
        inspect(deals.path, stranger)
    assert deals.delta().version() == version


PORTALS = [  # id and address of the table's portal and of the one that writes, how the refusal calls them
    (("1", "acme.bitrix24.com"), ("2", "b24.acme.eu"), r"of portal acme\.bitrix24\.com\..*of portal b24\.acme\.eu\."),
    (("1", "acme.bitrix24.com"), ("2", ""), r"of portal acme\.bitrix24\.com\..*of portal '2'"),
    (("1", "acme.bitrix24.com"), ("2", "acme.bitrix24.com"), "of portal '1'.*of portal '2'"),
]


@pytest.mark.parametrize(("holder", "writer", "said"), PORTALS)
def test_a_refusal_names_portals_by_their_address(
    deals: Deals, holder: tuple[str, str], writer: tuple[str, str], said: str
) -> None:
    deals.owner = Owner(holder[0], "deals", holder[1])
    deals.full(rows([1]))
    with pytest.raises(UsageError, match=said):
        inspect(deals.path, Owner(writer[0], "deals", writer[1]))


def test_a_delta_table_of_another_program_is_refused(deals: Deals) -> None:
    write_deltalake(str(deals.path), pa.table({"ID": [1]}))
    with pytest.raises(UsageError, match="was not made by b24lake"):
        inspect(deals.path, deals.owner)
    with pytest.raises(UsageError, match="was not made by b24lake"):
        deals.full(rows([2]))
    assert (deals.delta().version(), list(deals.read())) == (0, [1])


@pytest.mark.parametrize("name", ["notes.txt", "part-0.csv", "part-00001-abc-c000.snappy.parquet"])
def test_a_folder_with_other_files_is_refused(deals: Deals, name: str) -> None:
    deals.path.mkdir(parents=True)
    (deals.path / name).touch()
    with pytest.raises(UsageError, match=f"files that are not a table's.*{name}"):
        inspect(deals.path, deals.owner)


def test_a_file_in_the_place_of_a_table_is_refused(deals: Deals) -> None:
    deals.path.parent.mkdir(parents=True)
    deals.path.touch()
    with pytest.raises(UsageError, match="is a file"):
        inspect(deals.path, deals.owner)


def test_an_empty_folder_and_a_dead_runs_parts_are_no_strangers(deals: Deals) -> None:
    deals.path.mkdir(parents=True)
    assert inspect(deals.path, deals.owner) is None
    staging = Staging(deals.path, "dead", "ID", schema=rows([]).schema)
    staging.add(rows([1]))
    staging.close()
    (deals.path / "_delta_log").mkdir()
    assert inspect(deals.path, deals.owner) is None
    assert deals.full(rows([2])).inserted == 1


def test_a_broken_table_stops_its_stream_only(deals: Deals) -> None:
    deals.full(rows([1]))
    (deals.path / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(StreamError, match="cannot be read or written"):
        inspect(deals.path, deals.owner)


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_files_stop_the_stream_and_tell_the_way_out(deals: Deals, damage: str) -> None:
    deals.full(rows([1]))
    part = deals.path / "part-run-1-00000.parquet"
    part.unlink() if damage == "missing" else part.write_bytes(part.read_bytes()[:50])
    for write in (deals.full, deals.merge):
        with pytest.raises(StreamError, match=r"move (its|the) folder away"):
            write(rows([1], title="edited"))
