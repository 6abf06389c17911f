"""WebDataset's tars: each image has a member of the same name with its class. Torch-free."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, cast

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.reading import ReadingNotes
from kivfm_core.data.formats.rows import CLASS, INDEX
from kivfm_core.data.images import is_image_file
from kivfm_core.data.tar_index import load_index
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabelFormat

WEBDATASET = LabelFormat(
    name="webdataset",
    read="kivfm_core.data.formats.webdataset:read_webdataset",
    needs="tars (WebDataset) with .cls or .json beside each image",
    example="shard-000000.tar with a.jpg and a.cls",
)

# Bytes of a member with a label.
LIMIT = 2**20


def read_webdataset(path: Path) -> ClassData | None:
    """A tar, or a folder of tars, that hold images and their classes; None if it is neither.

    Raises:
        DataError: If a label is broken, or some labels are names and others are indices.
    """
    tars = [path] if path.is_file() else sorted(path.glob("*.tar"))
    notes = ReadingNotes()
    labels: dict[Path, str | int] = {}
    for tar in (tar for tar in tars if tar.suffix.lower() == ".tar" and tar.is_file()):
        index = load_index(tar)
        if index.damage:
            notes.add("damaged tars, read up to the damage", f"{tar.name}: {index.damage}")
        found = _labels(tar, index.damage != "")
        for name in (index.names[place] for place in range(len(index.names))):
            key, kind = split_key(name)
            if not is_image_file(f"a.{kind}") or "." in kind:
                continue  # such as a map beside the image
            if key in found:
                labels[tar / name] = found[key]
            else:
                notes.add("images without a class, passed over", f"{tar.name}/{name}")
    if not labels:
        return None
    kinds = {type(label) for label in labels.values()}
    if len(kinds) > 1:
        raise DataError(f"{printable(path)}: some classes are names, and others indices")
    if kinds == {int}:
        return ClassData(
            tuple(labels), tuple(int(label) for label in labels.values()), None, notes.lines()
        )
    classes = tuple(sorted({str(label) for label in labels.values()}))
    places = {name: place for place, name in enumerate(classes)}
    targets = tuple(places[str(label)] for label in labels.values())
    return ClassData(tuple(labels), targets, classes, notes.lines())


def split_key(name: str) -> tuple[str, str]:
    """A member's name up to the first dot, folders kept, and what follows it."""
    last = PurePosixPath(name).name
    stem, _, kind = last.partition(".")
    return name[: len(name) - len(last)] + stem, kind


def _labels(tar: Path, damaged: bool) -> dict[str, str | int]:
    """The classes of a tar by their keys; a `.cls` comes before what a `.json` says."""
    found: dict[str, str | int] = {}
    for key, kind, where, content in side_members(tar, ("cls", "json"), damaged):
        label = _parsed(content, kind, where)
        if label is not None and (kind == "cls" or key not in found):
            found[key] = label
    return found


def side_members(
    tar: Path, kinds: Sequence[str], damaged: bool
) -> Iterator[tuple[str, str, str, bytes]]:
    """The members of a tar that say something of its images.

    Args:
        tar: The file.
        kinds: Their endings.
        damaged: Whether the tar is known to be damaged: it is read up to the damage.

    Yields:
        Key, ending, name for messages, content.

    Raises:
        DataError: If the tar cannot be read, or such a member is too large.
    """
    try:
        with tarfile.open(tar, "r:", encoding="utf-8") as file:
            while (member := file.next()) is not None:
                # tarfile would otherwise hold a kilobyte of memory for each member.
                file.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
                key, kind = split_key(member.name.removeprefix("./"))
                if kind not in kinds or not member.isreg() or member.issparse():
                    continue
                where = f"{printable(tar)}, {printable(member.name)}"
                if member.size > LIMIT:
                    raise DataError(
                        f"{where} has {member.size} bytes: too large for a class or text"
                    )
                yield key, kind, where, cast("Any", file.extractfile(member)).read()
    except (tarfile.TarError, OSError, EOFError) as error:
        if not damaged:  # what is before the damage is read, and the damage is told
            raise DataError(f"cannot read {printable(tar)}: {error}") from error


def _parsed(content: bytes, kind: str, where: str) -> str | int | None:
    """The class in a member: an index or a name; None if a JSON object has no field for it."""
    try:
        text = content.decode("utf-8-sig").strip()
        value: Any = json.loads(text) if kind == "json" else text
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not {'JSON' if kind == 'json' else 'UTF-8'}") from error
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        name = next((name for name in ("cls", *CLASS, *INDEX) if name in fields), None)
        if name is None:
            return None
        value = fields[name]
    if isinstance(value, str) and value.isdecimal() and kind == "cls":
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(f"{where}: {printable(repr(value)[:60])} is no class")
    return value
