"""Images without labels, wherever they lie: files of a folder, members of tars. Torch-free."""

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
from kivfm_core.data.images import SUFFIXES, is_image_file, printable
from kivfm_core.data.tar import Tar
from kivfm_core.errors import DataError

UNPACK = {
    ".tar.gz": "gunzip",
    ".tgz": "gunzip",
    ".tar.bz2": "bunzip2",
    ".tar.xz": "unxz",
    ".tar.zst": "unzstd",
}
"""What makes a tar of a compressed one."""


class Holder(Protocol):
    """What holds images: a folder, or a tar."""

    def __len__(self) -> int: ...

    def id(self, index: int) -> str:
        """An image's id: the same wherever the data lie."""
        ...

    def open(self, index: int) -> Image.Image:
        """Decodes an image as RGB."""
        ...

    def stamps(self) -> Iterator[str]:
        """Lines that tell its images from others, without reading them."""
        ...


class Images:
    """Unlabeled images: a sequence of ids, in an order that stays, each of which can be opened.

    Args:
        path: Where they are, for messages.
        holders: What holds them.
        notes: What is wrong there, a line each.
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
        """What tells these images from others, without reading them, in hexadecimal.

        Names, bytes and times of change of files and tars: those that were copied without their
        times count as others.
        """
        digest = hashlib.sha256()
        for line in chain.from_iterable(holder.stamps() for holder in self.holders):
            digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _find(self, index: int) -> tuple[Holder, int]:
        holder = bisect_right(self.starts, index) - 1
        return self.holders[holder], index - self.starts[holder]


def find_images(path: Path) -> Images:
    """The images below a folder, those in its tars too, or those in one tar.

    Ids are relative to the folder, or to the one that the tar lies in: `shard.tar/member.jpg`.
    Files come first, then tars by name; in each the images by name.

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


def _unpack(file: Path) -> str:
    """The command that decompresses a tar."""
    tool = next(tool for end, tool in UNPACK.items() if file.name.lower().endswith(end))
    return f"{tool} {quote(str(file))}"


def _walk(folder: Path) -> Iterator[str]:
    """Paths of the images and tars below a folder, relative to it.

    What cannot be entered is passed over, as are loops of links, pipes and devices.
    """
    for place, _, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        for name in names:
            wanted = is_image_file(name) or name.lower().endswith((".tar", *UNPACK))
            if wanted and os.path.isfile(f"{place}/{name}"):
                yield (inside / name).as_posix()
