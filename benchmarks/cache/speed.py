"""Writing and reading records, in turn with a raw memory map of the same bytes."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kivfm_core.cache.codec import Codec
from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.encoding import Encoding
from kivfm_core.cache.key import StoreKey

# A ViT-B's tokens at 224, beside the global one.
SHAPE = (196, 768)
BATCH = 32
SOURCE = "teacher"
LAYOUT = {"global": (SHAPE[1],), "dense": (SHAPE[1], 14, 14)}
BYTES = 2 * (SHAPE[0] + 1) * SHAPE[1]
Times = dict[str, dict[str, list[float]]]


def measure_speeds(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Seconds and CPU seconds of every round, for all records; and bytes an image."""
    seconds: Times = {}
    cpu: Times = {}
    random = np.random.default_rng(0)
    with TemporaryDirectory(dir=folder) as name:
        root = Path(name)
        for number in range(rounds + 1):  # the first one warms up
            order = random.permutation(count)
            for what, who, work in _round(root, count, order):
                began, spent = perf_counter(), process_time()
                work()
                if number:
                    for times, took in (
                        (seconds, perf_counter() - began),
                        (cpu, process_time() - spent),
                    ):
                        times.setdefault(what, {}).setdefault(who, []).append(round(took, 4))
        sizes = {"raw": float(BYTES), **_sizes(root / "sizes")}
    return {"seconds": seconds, "cpu": cpu, "bytes": sizes}


def _round(root: Path, count: int, order: NDArray[np.int64]):
    """What is timed, in turn: what, by whom, and the work."""
    said = _levels()
    file = root / "raw.bin"
    for path in (file, *(root / "cache").rglob("*.bin")):
        path.unlink(missing_ok=True)
    yield "write", "raw", lambda: _write_raw(file, said, count)
    yield "write", "ours", lambda: _write(root / "cache", said, count, Encoding())
    for what in ("first, cold", "first"):
        for who, work in (("raw", _open_and_read_raw), ("ours", _open_and_read)):
            path = file if who == "raw" else root / "cache"
            _drop(path) if what == "first, cold" else None
            yield what, who, lambda work=work, path=path: work(path, count, order)
    cache, codec = _open(root / "cache", count, Encoding()), Codec(Encoding(), torch.device("cpu"))
    mapped = [_open_raw(file, count)]
    # Until all pages are mapped, and all checksums compared.
    _read_raw(mapped[0], order)
    _read(cache, codec, order)
    yield "warm", "raw", lambda: _read_raw(mapped[0], order)
    yield "warm", "ours", lambda: _read(cache, codec, order)
    mapped.clear()  # what is mapped stays in the page cache
    _drop(file)
    yield "cold", "raw", lambda: _open_and_read_raw(file, count, order)
    cache.stores[SOURCE].maps.clear()
    _drop(root / "cache")
    yield "cold", "ours", lambda: _read(cache, codec, order)


def _levels() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(BATCH, *s, generator=generator) for name, s in LAYOUT.items()}


def _batches(order: NDArray[np.int64]):
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def _write_raw(file: Path, said: dict[str, Tensor], count: int) -> None:
    mapped = np.memmap(file, np.uint8, "w+", shape=(count, BYTES))
    for rows in _batches(np.arange(count)):
        flat = torch.cat([level[: len(rows)].bfloat16().flatten(1) for level in said.values()], 1)
        mapped[rows[0] : rows[-1] + 1] = flat.view(torch.uint8).numpy()
        mapped.flush()


def _open_raw(file: Path, count: int) -> NDArray[np.uint8]:
    return np.memmap(file, np.uint8, "r", shape=(count, BYTES))


def _open_and_read_raw(file: Path, count: int, order: NDArray[np.int64]) -> None:
    _read_raw(_open_raw(file, count), order)


def _read_raw(mapped: NDArray[np.uint8], order: NDArray[np.int64]) -> None:
    for rows in _batches(order):
        numbers = torch.from_numpy(mapped[rows]).view(torch.bfloat16)
        parts = numbers.split([SHAPE[1], SHAPE[0] * SHAPE[1]], 1)
        for part, shape in zip(parts, LAYOUT.values(), strict=True):
            part.float().reshape(len(rows), *shape)


def _open(folder: Path, count: int, encoding: Encoding) -> DiskCache:
    return DiskCache(
        folder, {SOURCE: StoreKey(SOURCE, encoding.facts | {"pictures": {"number": count}})}
    )


def _write(folder: Path, said: dict[str, Tensor], count: int, encoding: Encoding) -> None:
    cache, codec = _open(folder, count, encoding), Codec(encoding, torch.device("cpu"))
    for rows in _batches(np.arange(count)):
        records = codec.encode({name: level[: len(rows)] for name, level in said.items()})
        cache.put(SOURCE, [(int(row), 0) for row in rows], records, LAYOUT)


def _read(cache: DiskCache, codec: Codec, order: NDArray[np.int64]) -> None:
    for rows in _batches(order):
        records = cache.get(SOURCE, [(int(row), 0) for row in rows])
        assert records is not None
        codec.decode(records, LAYOUT)


def _open_and_read(folder: Path, count: int, order: NDArray[np.int64]) -> None:
    _read(_open(folder, count, Encoding()), Codec(Encoding(), torch.device("cpu")), order)


def _drop(path: Path) -> None:
    """Forgets what the page cache has of a file, or of all in a folder."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def _sizes(folder: Path) -> dict[str, float]:
    """Bytes of an image on the disk, by encoding, index and all."""
    sizes: dict[str, float] = {}
    latent = {"dense": 256}
    encodings = {
        "bf16": Encoding(), "int8": Encoding("int8"), "latent-bf16": Encoding("bfloat16", latent),
        "latent-int8": Encoding("int8", latent),
    }  # fmt: skip
    for name, encoding in encodings.items():
        cache, codec = _open(folder / name, BATCH, encoding), Codec(encoding, torch.device("cpu"))
        codec.maps = cache.maps(SOURCE, lambda codec=codec: codec.fit([_levels()]))
        cache.put(SOURCE, [(row, 0) for row in range(BATCH)], codec.encode(_levels()), LAYOUT)
        files = list((folder / name).rglob("*.bin"))
        sizes[name] = sum(file.stat().st_size for file in files) / BATCH
    return sizes
