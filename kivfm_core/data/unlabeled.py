"""Images without labels: files in a folder, and members of tars. Torch-free."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path
from shlex import quote
from typing import Protocol

from PIL import Image

from kivfm_core.data.folder import Folder
from kivfm_core.data.images import SUFFIXES, is_image_file
from kivfm_core.data.tar import Tar
from kivfm_core.errors import DataError, printable

# The command that decompresses a tar, by the ending of its name.
UNPACK = {
    ".tar.gz": "gunzip",
    ".tgz": "gunzip",
    ".tar.bz2": "bunzip2",
    ".tar.xz": "unxz",
    ".tar.zst": "unzstd",
}


class Holder(Protocol):
    """A container of images: a folder, or a tar."""

    def __len__(self) -> int: ...

    def id(self, index: int) -> str:
        """An image's id: relative to the data, so that it stays when the data are moved."""
        ...

    def open(self, index: int) -> Image.Image:
        """Decodes an image as RGB."""
        ...

    def stamps(self) -> Iterator[str]:
        """Lines that change when the images change, without reading the images."""
        ...


class Images:
    """Unlabeled images: a sequence of ids in a fixed order, each of which can be opened.

    Args:
        path: The folder or tar, for messages.
        holders: The folders and tars that contain the images.
        notes: Problems found, a line each.
    """

    def __init__(self, path: Path, holders: Sequence[Holder], notes: Sequence[str] = ()) -> None:
        self.path, self.holders, self.notes = path, holders, notes
        self.starts = list(accumulate(map(len, holders), initial=0))

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, index: int) -> str:
        holder, place = self._find(index)
        return holder.id(place)

    def __iter__(self) -> Iterator[str]:
        return (holder.id(place) for holder in self.holders for place in range(len(holder)))

    def open(self, index: int) -> Image.Image:
        """Decodes an image as RGB.

        Raises:
            DataError: If it cannot be decoded.
        """
        holder, place = self._find(index)
        return holder.open(place)

    @property
    def fingerprint(self) -> str:
        """A hash that changes when the images change, in hexadecimal.

        It covers names, sizes and times of change of files and tars, not their content. Files that
        were copied with new times count as changed.
        """
        digest = hashlib.sha256()
        for line in chain.from_iterable(holder.stamps() for holder in self.holders):
            digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _find(self, index: int) -> tuple[Holder, int]:
        holder = bisect_right(self.starts, index) - 1
        return self.holders[holder], index - self.starts[holder]


def find_images(path: Path) -> Images:
    """The images below a folder, including those in its tars, or the images in one tar.

    Ids are relative to the folder, or to the folder of the tar: `shard.tar/member.jpg`. Files come
    first, then tars by name; in each the images are sorted by name.

    Raises:
        DataError: If there is no such folder or tar, no image in it, or a tar cannot be read.
    """
    if not path.exists():
        raise DataError(f"no folder or tar {path}", "--data FOLDER, a folder of images")
    folder, names = (path.parent, [path.name]) if path.is_file() else (path, list(_walk(path)))
    tars = [Tar(folder, name) for name in sorted(names) if name.lower().endswith(".tar")]
    packed = [folder / name for name in sorted(names) if name.lower().endswith(tuple(UNPACK))]
    notes = [tar.note for tar in tars if tar.note]
    notes += [f"{printable(file)} is compressed and passed over" for file in packed]
    files = Folder(folder, filter(is_image_file, names))
    images = Images(path, [holder for holder in (files, *tars) if len(holder)], notes)
    if not len(images):
        kinds = " ".join(sorted(SUFFIXES))
        hint = _unpack(packed[0]) if packed else f"put images or tars of them there ({kinds})"
        raise DataError("; ".join((f"no images in {printable(path)}", *notes)), hint)
    return images


def check_images(path: Path) -> None:
    """Looks whether there are images or tars, before anything that takes long.

    It stops at the first: all of them are listed later, and what cannot be read is found then.

    Raises:
        DataError: If there is no such folder or tar, or no image in it.
    """
    ends = (*SUFFIXES, ".tar")
    if not (path.is_dir() and any(name.lower().endswith(ends) for name in _walk(path))):
        find_images(path)


def _unpack(file: Path) -> str:
    """The command that decompresses a tar."""
    tool = next(tool for end, tool in UNPACK.items() if file.name.lower().endswith(end))
    return f"{tool} {quote(str(file))}"


def _walk(folder: Path) -> Iterator[str]:
    """Paths of the images and tars below a folder, relative to it.

    Folders that cannot be read, loops of links, pipes and devices are skipped.
    """
    for place, _, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        for name in names:
            wanted = is_image_file(name) or name.lower().endswith((".tar", *UNPACK))
            if wanted and os.path.isfile(f"{place}/{name}"):
                yield (inside / name).as_posix()
