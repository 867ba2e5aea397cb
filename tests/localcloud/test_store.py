"""The store: what it gives back, and what it says when the disk takes no more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kindling.localcloud.store import Store, StoreError

RECORD = {"name": "a", "made": datetime(2026, 11, 28, 12, 0, 1, 500, UTC), "nested": [{"$date": "not one"}]}


def test_another_store_of_the_same_file_finds_what_was_put(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    store.put("job", "a", {"name": "former"})
    store.put("job", "a", RECORD)
    store.put("model", "a", {})
    store.put("job", "b", {})
    store.remove("job", "b")
    store.remove("job", "never")
    again = Store(tmp_path / "db")  # while the first one holds the file, as after kill -9
    assert again.all("job") == {"a": RECORD}
    assert again.all("nothing") == {}


def test_a_full_disk_is_told_in_words_and_the_former_record_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    store.put("job", "a", {"size": 1})
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match=r"state cannot be kept in .*db: database or disk is full\."):
        store.put("job", "a", {"size": "x" * 100_000})
    assert store.all("job") == {"a": {"size": 1}}


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"something else, and more than a header of a database file has " * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(tmp_path / "db")
