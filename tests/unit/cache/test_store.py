"""Stores return the records that were put, and never anything else."""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kivfm_core.cache import store as module
from kivfm_core.cache.key import StoreKey
from kivfm_core.cache.meta import list_stores, open_store, write_meta
from kivfm_core.cache.store import Store
from kivfm_core.errors import DataError

IMAGES, VIEWS = 5, 2
LAYOUT = {"global": (3,), "dense": (2, 4, 4)}
PLACES = [(image, view) for view in range(VIEWS) for image in range(IMAGES)]
FILES = ("index.bin", "records-0000.bin", "records-0001.bin", "records-0002.bin", "meta.json")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Shards of four records."""
    monkeypatch.setattr(module, "SHARD", 300)
    monkeypatch.setattr(os, "fsync", lambda number: None)  # slow, and shows after a power cut only


@pytest.fixture
def large_shards(small_shards, monkeypatch):
    """Shards of the usual size."""
    monkeypatch.undo()


def store_key(name="toy", **facts) -> StoreKey:
    return StoreKey(name, {"weights": "ab", **facts, "pictures": {"number": IMAGES}})


def make(root: Path, key: StoreKey | None = None) -> Store:
    key = key or store_key()
    store = Store(root / key.folder, key, LAYOUT)
    write_meta(store)
    return store


def records(count=10, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 70), np.uint8)


def full(root: Path, key: StoreKey | None = None) -> Store:
    store = make(root, key)
    for start in range(0, len(PLACES), 3):
        store.put(PLACES[start : start + 3], records()[start : start + 3])
    return store


def said(store: Store) -> dict[tuple[int, int], bytes]:
    """The records that a store returns."""
    found = {place: store.read([place]) for place in PLACES}
    return {place: rows[0].tobytes() for place, rows in found.items() if rows is not None}


TRUTH = {place: record.tobytes() for place, record in zip(PLACES, records(), strict=True)}


def test_records_come_back_as_they_were_put(tmp_path: Path):
    store = full(tmp_path)
    some = [PLACES[i] for i in (7, 0, 3, 7)]
    for again in (store, open_store(store.folder)):
        assert said(again) == TRUTH
        assert np.array_equal(again.read(some), records()[[7, 0, 3, 7]])
    assert sorted(path.name for path in store.folder.iterdir()) == sorted((*FILES, "lock"))


def test_a_batch_with_a_missing_record_is_none(tmp_path: Path):
    store = make(tmp_path)
    store.put(PLACES[:3], records(3))
    assert store.read(PLACES[:3]) is not None and store.read(PLACES[:4]) is None
    assert (9, 9) not in store and len(store) == 3


def test_stored_records_stay(tmp_path: Path):
    store = full(tmp_path)
    assert store.put(PLACES, records(seed=1)) == 0
    assert said(store) == TRUTH


@settings(max_examples=60, deadline=None)
@given(file=st.sampled_from(FILES), where=st.floats(0, 1), change=st.integers(0, 8))
def test_damage_is_noticed_and_mended(file: str, where: float, change: int):
    """A file is cut off anywhere, or a bit of it flipped."""
    with TemporaryDirectory() as folder:
        store = full(Path(folder))
        path = store.folder / file
        whole = path.read_bytes()
        place = min(int(where * len(whole)), len(whole) - 1)
        flipped = bytes([whole[place] ^ (1 << change % 8)])
        path.write_bytes(
            whole[:place] if change == 8 else whole[:place] + flipped + whole[place + 1 :]
        )
        try:
            damaged = open_store(store.folder)
        except DataError:
            assert file == "meta.json"
            damaged = make(Path(folder))
        if file == "meta.json":  # Shapes come from the networks, names are for people only.
            damaged = make(Path(folder))
        found = said(damaged)
        assert found.items() <= TRUTH.items()
        assert file == "meta.json" or len(found) < len(TRUTH) or change == 8
        damaged.put(PLACES, records())
        assert said(damaged) == said(open_store(store.folder)) == TRUTH
        sizes = [len((store.folder / name).read_bytes()) for name in FILES[1:4]]
        assert sum(sizes) <= 70 * (len(PLACES) + 1)  # in its place; an index entry cannot tell


def test_a_record_in_another_place_is_foreign(tmp_path: Path):
    one, two = full(tmp_path), make(tmp_path, store_key(weights="cd"))
    for file in one.folder.iterdir():
        if file.name != "meta.json":
            shutil.copy(file, two.folder)
    assert len(open_store(two.folder)) == len(PLACES) and said(open_store(two.folder)) == {}
    entries = bytearray((one.folder / "index.bin").read_bytes())
    entries[:40] = entries[20:40] + entries[:20]
    (one.folder / "index.bin").write_bytes(entries)
    assert said(open_store(one.folder)) == TRUTH
    shard = one.folder / "records-0000.bin"
    shard.write_bytes(shard.read_bytes()[70:140] * 4)
    assert said(open_store(one.folder)).keys() == TRUTH.keys() - {(0, 0), (2, 0), (3, 0)}


def test_a_renamed_or_unreadable_store_is_an_error(tmp_path: Path):
    store = full(tmp_path)
    other = store.folder.rename(tmp_path / "other-0123456789abcdef")
    with pytest.raises(DataError, match="another's"):
        open_store(other)
    (other / "meta.json").write_text("[]")
    assert [isinstance(found, DataError) for _, found in list_stores(tmp_path)] == [True]
    with pytest.raises(DataError, match="no cache"):
        list(list_stores(tmp_path / "nothing"))


class FullDisk(io.FileIO):
    """A file on a disk with room for a number of bytes."""

    room = 0

    def write(self, data):
        data = memoryview(data).cast("B")
        if not FullDisk.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = super().write(data[: FullDisk.room])
        FullDisk.room -= taken
        return taken


@settings(max_examples=40, deadline=None)
@given(room=st.integers(0, 10 * 90))
def test_a_full_disk_loses_nothing(room: int):
    def opened(path, mode):
        return io.BufferedRandom(FullDisk(str(path), mode.replace("b", "")))

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        store = make(Path(folder))
        store.put(PLACES[:2], records()[:2])
        FullDisk.room = room
        # BufferedRandom flushes once more when it is closed.
        patch.setattr(Path, "open", lambda self, mode="r", **more: (
            opened(self, mode) if mode in ("r+b", "w+b") else builtins.open(self, mode, **more)
        ))  # fmt: skip
        failed = False
        try:
            for start in range(2, len(PLACES), 4):
                store.put(PLACES[start : start + 4], records()[start : start + 4])
        except OSError as error:
            failed = error.errno == errno.ENOSPC
        patch.undo()
        assert failed == (room < 8 * 90)
        found = said(open_store(store.folder))
        assert found.items() <= TRUTH.items() and len(found) >= 2
        store.put(PLACES, records())
        assert said(store) == said(open_store(store.folder)) == TRUTH


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("may not mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(tiny_disk: Path, large_shards):
    images = 3000
    key = StoreKey("toy", {"pictures": {"number": images}})
    store = Store(tiny_disk / key.folder, key, LAYOUT)
    write_meta(store)
    data, done = records(images), 0
    with pytest.raises(OSError, match="No space"):
        for done in range(0, images, 8):
            store.put([(i, 0) for i in range(done, done + 8)], data[done : done + 8])
    kept = open_store(store.folder)
    places = [(i, 0) for i in range(done)]
    assert done > 100 and np.array_equal(kept.read(places), data[:done])


WRITER = """
import sys
from pathlib import Path
import numpy as np
from kivfm_core.cache.meta import open_store
store = open_store(Path(sys.argv[1]))
for i in range(int(sys.argv[2]), 30, 2):
    store.put([(i, 0), (i + 1, 0)], np.array([[i] * 70, [i + 1] * 70], np.uint8))
"""


def test_two_processes_write_at_once(tmp_path: Path, large_shards):
    key = StoreKey("toy", {"pictures": {"number": 64}})
    store = make(tmp_path, key)
    words = [sys.executable, "-c", WRITER, str(store.folder)]
    both = [subprocess.Popen([*words, str(start)]) for start in (0, 1)]
    assert [process.wait() for process in both] == [0, 0]
    for again in (store, open_store(store.folder)):
        again.index.refresh()
        found = again.read([(i, 0) for i in range(31)])
        assert found is not None
        assert (np.stack(found) == np.arange(31, dtype=np.uint8)[:, None]).all()
    assert sum(f.stat().st_size for f in store.folder.glob("records-*")) == 31 * 70


def test_a_million_views_are_found_at_once(tmp_path: Path):
    from kivfm_core.cache.index import Index, make_entries

    count = 1_000_000
    order = np.random.default_rng(0).permutation(count)
    zeros = np.zeros(count, np.uint32)
    (tmp_path / "index.bin").write_bytes(make_entries(order, zeros, np.arange(count), zeros))
    index = Index(tmp_path / "index.bin", count)
    assert index.row(int(order[7]), 0) == 7 and index.next_row == count
    assert index.rows.nbytes + index.crcs.nbytes + index.states.nbytes < 20 * count


def test_a_store_describes_itself(tmp_path: Path):
    meta = json.loads((make(tmp_path).folder / "meta.json").read_text())
    assert meta["schema"] == 1 and meta["owner"] == "toy"
    assert meta["record"] == {"bytes": 70, "tensors": {"global": [3], "dense": [2, 4, 4]}}
    assert meta["depends_on"]["weights"] == "ab"


def shortened(store: Store) -> None:
    file = store.folder / "records-0000.bin"
    size = file.stat().st_size
    os.truncate(file, 0)
    os.truncate(file, size)  # as long as before, all zeros


def replaced(store: Store) -> None:
    """By a store of another seed, in another order."""
    shutil.rmtree(store.folder)
    other = make(store.folder.parent)
    other.put(PLACES[::-1], records(seed=1))


@pytest.mark.parametrize("spoil", [shortened, replaced, lambda store: shutil.rmtree(store.folder)])
def test_a_store_that_changes_under_a_run_never_gives_other_records(tmp_path: Path, spoil):
    store = full(tmp_path)
    before = said(store)
    assert len(before) == len(PLACES)
    spoil(store)
    theirs = {
        place: row.tobytes() for place, row in zip(PLACES[::-1], records(seed=1), strict=True)
    }
    for place in PLACES:
        found = store.read([place])
        assert found is None or found[0].tobytes() in (before[place], theirs[place]), place
    write_meta(store)
    for place, record in zip(PLACES, records(), strict=True):
        store.put([place], record[None])
    after = said(store)
    assert after.keys() == before.keys()
    assert all(after[place] in (before[place], theirs[place]) for place in PLACES)
