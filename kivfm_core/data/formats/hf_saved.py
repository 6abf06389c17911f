"""Hugging Face datasets as `save_to_disk` writes them: which columns there are, and their rows.

Their JSON and Arrow files are read, and nothing in them is run: no script, no pickle. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kivfm_core.data.arrow_rows import read_columns
from kivfm_core.data.formats.reading import read_json
from kivfm_core.errors import DataError, printable

INFO, STATE, SPLITS = "dataset_info.json", "state.json", "dataset_dict.json"
# What columns of maps of classes are called.
MAPS = ("annotation", "label", "mask", "semantic_segmentation", "segmentation")


@dataclass(frozen=True)
class SavedSplit:
    """A saved split.

    Attributes:
        folder: Where it lies.
        files: Its Arrow files.
        features: What each column is, as `dataset_info.json` says.
    """

    folder: Path
    files: tuple[Path, ...]
    features: dict[str, Any]

    @property
    def image(self) -> str | None:
        """The column of the images: `image`, or else the first that has images and no maps."""
        names = self.of_kind("Image")
        return _first(["image"], names) or next((n for n in names if n not in MAPS), None)

    @property
    def map(self) -> str | None:
        """The column of the maps of classes."""
        return _first(MAPS, self.of_kind("Image"))

    @property
    def label(self) -> str | None:
        """The column of the classes: `label`, or else the first `ClassLabel`."""
        names = self.of_kind("ClassLabel")
        return _first(["label", *names], names)

    def of_kind(self, kind: str) -> list[str]:
        """The columns of a kind."""
        return [
            name
            for name, feature in self.features.items()
            if isinstance(feature, dict) and cast("dict[str, Any]", feature).get("_type") == kind
        ]

    def rows(self, column: str, image: str) -> Iterator[tuple[Path, str, Any]]:
        """Each row's image, its name for messages, and its value in a column."""
        for file in self.files:
            values = read_columns(file, [column, image]).column(column)
            for row, value in enumerate(values):
                where = f"{file.name}, row {row + 1}"
                yield file / image / f"{row:08d}", where, value.as_py()

    def names(self, feature: Any) -> tuple[str, ...] | None:
        """The classes of a `ClassLabel`; None if it is none.

        Raises:
            DataError: If they are no names.
        """
        names: Any = feature.get("names") if isinstance(feature, dict) else None
        if names is None:
            return None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(
                f"{printable(self.folder / INFO)}: the names of a ClassLabel are no list of names"
            )
        return tuple(cast("list[str]", names))


def _first(wanted: Iterable[str], names: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def open_saved(path: Path) -> SavedSplit | None:
    """A folder that `save_to_disk` wrote; None if it is none.

    Raises:
        DataError: If it is broken, leads out of itself, or holds several splits.
    """
    if (path / SPLITS).is_file():
        content = read_json(path / SPLITS)
        splits: Any = content.get("splits") if isinstance(content, dict) else None
        plain = [s for s in cast("list[Any]", splits or []) if isinstance(s, str) and _plain(s)]
        if len(plain) != 1:
            names = ", ".join(map(printable, plain))
            hint = f"name one of them: {printable(path / plain[0])}" if plain else ""
            raise DataError(f"{printable(path)} has several splits: {names}", hint)
        path = path / plain[0]
    if not (path / STATE).is_file() or not (path / INFO).is_file():
        return None
    state, info = read_json(path / STATE), read_json(path / INFO)
    listed: Any = state.get("_data_files") if isinstance(state, dict) else None
    features: Any = info.get("features") if isinstance(info, dict) else None
    if not isinstance(listed, list) or not isinstance(features, dict):
        raise DataError(
            f"{printable(path)}: {STATE} names no files, or {INFO} no features",
            "save it anew with save_to_disk",
        )
    files: list[Path] = []
    for item in cast("list[Any]", listed):
        name: Any = item.get("filename") if isinstance(item, dict) else None
        file = path / str(name)
        if not isinstance(name, str) or not _plain(name) or file.is_symlink():
            raise DataError(
                f"{printable(path / STATE)}: {printable(repr(name)[:60])} is no file of this folder"
            )
        files.append(file)
    return SavedSplit(path, tuple(files), cast("dict[str, Any]", features))


def _plain(name: str) -> bool:
    """Whether a name stays in its folder."""
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\:\0")
