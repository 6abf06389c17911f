"""Saving labels image by image: flat memory, and an interrupted save goes on. Torch-free.

A line of the journal says that an image is saved. It holds what the format's one file needs of the
image; formats with a file for each image have written that file before. Each of several processes
has a journal of its own, which the first takes over at the end, or when the save goes on.
"""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

from kivfm_core.data.formats.reading import ReadingNotes
from kivfm_core.data.saving.journal import Journal, list_parts, part_name
from kivfm_core.data.saving.record import SavedImage, SavedObject
from kivfm_core.errors import DataError, UsageError, printable
from kivfm_core.files import only_writer, write_chunks
from kivfm_core.processes.team import ONE_PROCESS, Team

# What of an image a format can hold: boxes, masks of objects, a map of classes, the image's class.
Part = Literal["boxes", "masks", "map", "class"]

# Characters that some format cannot hold: controls, halves of characters, and no characters.
UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")

# Where the journal has an image file's size and time.
STAMP = "stamp"


class Saver:
    """Saves the labels of images into a folder, in the layout that the format's reader reads.

    Subclasses are the formats. Get one from `kivfm_core.data.saving.table.open_saver`; used in
    `with`, it is closed at the end, and after an error left so that it can go on.

    Attributes:
        folder: Where the labels go.
        classes: The classes' names; labels are indices into it.
        done: Names of the images that are saved, by earlier processes too.
        notes: Counts what the format could not hold, such as masks that hide each other.
        team: The processes that save together.
    """

    # Where the images lie in the folder.
    images: ClassVar[str] = "images"
    # The files or folders by which labels of this format are recognized.
    marks: ClassVar[tuple[str, ...]]
    holds: ClassVar[frozenset[Part]]

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        about: Mapping[str, Any],
        team: Team = ONE_PROCESS,
    ) -> None:
        self.folder, self.classes, self.team = folder, tuple(classes), team
        # Of stems that several images have, which image may use it.
        self.reserved: dict[str, str] = {}
        self.notes = ReadingNotes()
        _check_classes(self.classes)
        self.stack = ExitStack()
        head = {"format": type(self).__name__, "classes": list(self.classes), **about}
        try:
            self.stamps = self._begin(head)
            self.done = set(self.stamps)
            self.stems = set(map(_stem, self.done))
        except BaseException:
            self.stack.close()
            raise

    def _begin(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """Opens this process's journal; what the first one's says of the images saved before."""
        stamps: dict[str, Any] = {}
        if self.team.is_first:
            self.stack.enter_context(only_writer(self.folder, "run this again"))
            self.journal = Journal(self.folder, head, self.marks)
            self.stack.callback(self.journal.close)
            self.journal.take_over(list_parts(self.folder))
            stamps = {str(e.get("file")): e.get(STAMP) for e in self.journal.entries()}
            self.start()
        stamps = self.team.gather(stamps)[0]
        if not self.team.is_first:
            self.journal = Journal(self.folder, head, (), part_name(self.team.rank))
            self.stack.callback(self.journal.close)
        return stamps

    def reserve(self, files: Sequence[str]) -> None:
        """Of images whose names differ by their suffixes alone, the first has the stem.

        Formats that name labels by it refuse the others, whichever process they are saved by.

        Args:
            files: The names of all images that are to be saved.
        """
        first: dict[str, str] = {}
        for file in files:
            if first.setdefault(_stem(file), file) != file:
                self.reserved[_stem(file)] = first[_stem(file)]

    def add(self, image: SavedImage) -> None:
        """Saves the labels of an image; one that is saved already is left as it is.

        Raises:
            DataError: If the record is wrong, or the format cannot hold it; nothing of it is saved.
        """
        if image.file in self.done:
            return
        self._check(image)
        if image.source is not None:
            _check_laid(image.source, self.folder / self.images / image.file)
        entry = self.write(image)
        if image.source is not None:
            _lay(image.source, self.folder / self.images / image.file)
        stamp = image.source and _stamp(image.source)
        self.journal.add({"file": image.file, **entry, STAMP: stamp})
        self.done.add(image.file)
        self.stems.add(_stem(image.file))

    def changed(self, file: str, source: Path) -> bool:
        """Whether an image was saved earlier, and its file was another then."""
        stamp = self.stamps.get(file)
        return stamp is not None and stamp != _stamp(source)

    def close(self) -> None:
        """Completes the files. More images can be added later, by another saver of the folder."""
        try:
            if not self.team.is_first:
                self.journal.close()
            self.team.meet()
            if self.team.is_first:
                self.journal.take_over([part_name(rank) for rank in range(1, self.team.world)])
                self.finish(self.journal.entries())
        finally:
            self.stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.stack.close()

    # What a format has to offer.

    def start(self) -> None:
        """Writes what the format needs before the first image; nothing, as here, if nothing."""

    def write(self, image: SavedImage) -> dict[str, Any]:
        """Writes an image's own files; what `finish` needs of it, ready for JSON."""
        raise NotImplementedError

    def finish(self, entries: Iterator[dict[str, Any]]) -> None:
        """Writes the file for all images; none, as here, if each has its own.

        Args:
            entries: What `write` gave, and `file`, image by image, by their names.
        """

    def own_file(
        self, image: SavedImage, folder: str, suffix: str, name: str | None = None
    ) -> Path:
        """The path of a file for an image alone, `FOLDER/STEM.SUFFIX`; its folder is made.

        Args:
            image: The image.
            folder: In the folder of the save.
            suffix: Of the file.
            name: What its stem is taken from; by default the image's name.

        Raises:
            DataError: If another image has the same stem.
        """
        stem = _stem(image.file)
        if stem in self.stems or self.reserved.get(stem, image.file) != image.file:
            raise DataError(
                f"{printable(image.file)}: another image has this name without its suffix, by which"
                " the format names labels",
                "save as coco, or rename one of the two",
            )
        path = self.folder / folder / f"{_stem(name or image.file)}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    # Checks.

    def _check(self, image: SavedImage) -> None:
        where = printable(image.file)
        check_name(image.file)
        if image.width <= 0 or image.height <= 0:
            raise DataError(f"{where} is {image.width} x {image.height} pixels")
        for number, item in enumerate(image.objects, 1):
            self._check_object(image, item, f"{where}, object {number}")
        if image.label is not None:
            self._check_label(image.label, where)
        if image.class_map is not None:
            self._check_shape(image, image.class_map.shape, f"{where}: the map")
            self._check_label(max(0, int(image.class_map.max())), f"{where}: the map")
        has: dict[Part, bool] = {
            "boxes": bool(image.objects),
            "map": image.class_map is not None,
            "class": image.label is not None,
        }
        lost = [part for part, there in has.items() if there and part not in self.holds]
        if lost:
            raise DataError(f"{where}: this format cannot hold what was found: {lost[0]}")

    def _check_object(self, image: SavedImage, item: SavedObject, where: str) -> None:
        x1, y1, x2, y2 = item.box
        if not (x1 <= x2 and y1 <= y2) or not all(abs(side) < 2**31 for side in item.box):
            raise DataError(f"{where}: {item.box} is no box (x1, y1, x2, y2)")
        self._check_label(item.label, where)
        if item.mask is not None:
            self._check_shape(image, item.mask.shape, f"{where}: the mask")

    def _check_label(self, label: int, where: str) -> None:
        if not 0 <= label < len(self.classes):
            raise DataError(f"{where} has the class {label}, and there are {len(self.classes)}")

    def _check_shape(self, image: SavedImage, shape: tuple[int, ...], what: str) -> None:
        if shape != (image.height, image.width):
            raise DataError(f"{what} is {shape}, the image {(image.height, image.width)}")


@dataclass(frozen=True)
class SaveFormat:
    """A format in which labels can be saved.

    Attributes:
        name: As in `--save NAME`.
        summary: What is written, one line for help and lists.
        saver: Makes it.
        reader: The name of the label format that reads it.
        masks_note: What is lost of masks, to be said before they are made; empty if nothing is.
    """

    name: str
    summary: str
    saver: type[Saver]
    reader: str
    masks_note: str = ""

    @property
    def holds(self) -> frozenset[Part]:
        """What of an image it can hold."""
        return self.saver.holds


def check_name(file: str) -> None:
    """Refuses an image's name that labels cannot hold, or that leads out of a folder.

    Raises:
        DataError: Naming it.
    """
    name = PurePosixPath(file)
    if UNWRITABLE.search(file) or file != name.as_posix():
        raise DataError(f"{printable(file)} is no name that labels can hold")
    if name.is_absolute() or ".." in name.parts or not name.name or "\\" in file:
        raise DataError(f"{printable(file)} is no name of an image inside a folder")


def _check_classes(classes: Sequence[str]) -> None:
    wrong = [
        name for name in classes if name.strip() != name or not name or UNWRITABLE.search(name)
    ]
    if wrong:
        raise UsageError(f"{printable(wrong[0])!r} cannot be the name of a class in labels")
    if len(set(classes)) < len(classes):
        raise UsageError("two classes have the same name, and labels name classes")


def _stem(file: str) -> str:
    """A file's name without its suffix, its folders kept."""
    return PurePosixPath(file).with_suffix("").as_posix()


def _stamp(file: Path) -> list[int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _check_laid(source: Path, target: Path) -> None:
    """Refuses to write an image's labels beside another image of its name."""
    if target.exists() and not filecmp.cmp(source, target, shallow=False):
        raise DataError(
            f"{printable(target)} is another image than {printable(source)}",
            "remove it, or give another folder",
        )


def _lay(source: Path, target: Path) -> None:
    """Lays an image into the saved data, as a hard link where the disk allows it."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        with source.open("rb") as file:
            write_chunks(target, iter(lambda: file.read(2**20), b""), sync=False)
