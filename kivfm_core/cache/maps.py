"""The file of a store's maps, named by its hash. Torch-free until it is read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kivfm_core.weights.fetch import file_sha256

if TYPE_CHECKING:
    from kivfm_core.cache.codec import Maps

PARTS = ("mean", "std", "axes")


def find_maps(folder: Path) -> Path | None:
    """The maps file of a store; None if there is none whose hash matches its name."""
    files = sorted(folder.glob("maps-*.safetensors"))
    return next((file for file in files if file.name == _name(file_sha256(file))), None)


def load_maps(folder: Path) -> Maps | None:
    """Reads the maps of a store; None if there are no sound ones."""
    # Imports torch, which `kivfm cache info` does without.
    from safetensors.torch import load

    if (file := find_maps(folder)) is None:
        return None
    state = load(file.read_bytes())
    names = sorted({key.rpartition("/")[0] for key in state})
    return {name: tuple(state[f"{name}/{part}"] for part in PARTS) for name in names}  # pyright: ignore[reportReturnType]


def write_maps(folder: Path, maps: Maps) -> None:
    """Writes the maps of a store; replaces earlier ones.

    Raises:
        OSError: If the disk is full.
    """
    # Imports torch, as above.
    from safetensors.torch import save

    pairs = [(name, dict(zip(PARTS, fit, strict=True))) for name, fit in maps.items()]
    state = {f"{name}/{part}": t.contiguous() for name, fit in pairs for part, t in fit.items()}
    content = save(state)
    for old in folder.glob("maps-*.safetensors"):
        old.unlink()
    aside = folder / ".maps.partial"
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / _name(hashlib.sha256(content).hexdigest()))


def _name(sha256: str) -> str:
    return f"maps-{sha256[:16]}.safetensors"
