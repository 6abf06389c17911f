"""The file that describes a store, in JSON. Torch-free."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from kivfm_core.cache.key import StoreKey
from kivfm_core.cache.store import SHARD, Store
from kivfm_core.errors import DataError, KivfmError, one_line, printable
from kivfm_core.files import is_partial, write_text
from kivfm_core.run_files import read_record

META = "meta.json"

# The names of a store's files.
STORE_FILE = re.compile(
    r"meta\.json|index\.bin|records-\d+\.bin|maps-[0-9a-f]+\.safetensors|\.maps\.partial|"
    r"lock|maps\.lock|in-use"
)


def write_meta(store: Store) -> None:
    """Describes a store in its folder."""
    meta = {
        "schema": 1,
        "owner": store.key.source,
        "digest": store.key.digest,
        "record": {"bytes": store.bytes, "tensors": store.layout},
        "depends_on": store.key.facts,
    }
    store.folder.mkdir(parents=True, exist_ok=True)
    with store.lock:
        write_text(store.folder / META, json.dumps(meta, indent=1))


def open_store(folder: Path) -> Store:
    """Opens a store.

    Raises:
        DataError: If the folder is no store, or is not what its name says.
    """
    try:
        meta = read_record(folder / META)
        key = StoreKey(meta["owner"], meta["depends_on"])
        if key.folder != folder.name:
            raise ValueError("it holds another's records than its name says")
        return Store(folder, key, _layout(meta["record"]["tensors"]))
    except KivfmError as error:
        raise DataError(error.message, error.hint) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise DataError(
            f"{printable(folder)} cannot be read as a store: {one_line(error)}",
            "a run that needs it creates it again; otherwise remove the folder",
        ) from error


def _layout(tensors: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of a record's tensors, as a file says them."""
    layout: dict[str, tuple[int, ...]] = {}
    for name, shape in tensors.items():
        if not shape or not all(type(side) is int and 0 < side < 2**31 for side in shape):
            raise ValueError(f"{name} has no shape {shape}")
        layout[name] = tuple(shape)
    if not layout or sum(map(prod, layout.values())) > SHARD:
        raise ValueError("its records are empty, or larger than any")
    return layout


def used_bytes(folder: Path) -> int:
    """Bytes that the records of a cache take on the disk."""
    return sum(file.stat().st_size for file in folder.glob("*/records-*.bin"))


def free_space(folder: Path, limit: float | None) -> tuple[int, str]:
    """The bytes that a cache may still take, and what limits them, in words.

    Args:
        folder: Of the cache, which need not exist.
        limit: GiB that it may take; None: all that the disk has.
    """
    folder = folder.absolute()
    there = next(place for place in (folder, *folder.parents) if place.is_dir())
    free, where = shutil.disk_usage(there).free, f"free on the disk of {folder}"
    if limit is not None and (left := int(limit * 2**30) - used_bytes(folder)) < free:
        free, where = left, f"left of cache.limit in {folder}"
    return free, where


def _is_marked(folder: Path) -> bool:
    """Whether a folder has a store's description, and nothing but a store's files."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return META in names and all(is_partial(n) or STORE_FILE.fullmatch(n) for n in names)


def list_stores(folder: Path) -> Iterator[tuple[Path, Store | KivfmError]]:
    """Every store of a cache with its folder, or the error where it cannot be opened.

    Raises:
        DataError: If there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"no cache {folder}", "kivfm cache build makes one")
    # Only folders that are named as stores, and marked: a user may keep other things beside them.
    for path in sorted(folder.glob("*-" + 16 * "[0-9a-f]")):
        if path.is_symlink() or not _is_marked(path):
            continue
        try:
            yield path, open_store(path)
        except KivfmError as error:
            yield path, error
