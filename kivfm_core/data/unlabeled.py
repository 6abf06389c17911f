"""Images without labels: files in a folder, and members of tars. Torch-free."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, chain
from pathlib import Path
from shlex import quote
from typing import Protocol

from PIL import Image

from kivfm_core.data.ahead import in_order
from kivfm_core.data.folder import Folder, RemoteFolder
from kivfm_core.data.images import SUFFIXES, is_image_file
from kivfm_core.data.remote.fetch import REQUESTS
from kivfm_core.data.remote.objects import Object, list_objects, look_at
from kivfm_core.data.remote.part import Part
from kivfm_core.data.remote.url import Url, refuse_url
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

    def part(self, index: int) -> Part:
        """Where an image's bytes are."""
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
    def folder(self) -> Path:
        """What the ids are relative to."""
        return self.path.parent if _is_one(self.path) else self.path

    def part(self, index: int) -> Part:
        """Where an image's bytes are."""
        holder, place = self._find(index)
        return holder.part(place)

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

    Both may lie at a URL: then `path` is a `Url`, and there are requests.

    Ids are relative to the folder, or to the folder of the tar: `shard.tar/member.jpg`. Files come
    first, then tars by name; in each the images are sorted by name.

    Raises:
        DataError: If there is no such folder or tar, no image in it, or a tar cannot be read.
        UsageError: If the path was made of a URL, which only `locate` does well.
        KivfmError: If the library for a URL's protocol is not installed.
    """
    folder = path.parent if _is_one(path) else path
    files, names = _list_remote(path, folder) if isinstance(path, Url) else _list(path, folder)
    tars = _open_tars(folder, (name for name in sorted(names) if name.lower().endswith(".tar")))
    packed = [folder / name for name in sorted(names) if name.lower().endswith(tuple(UNPACK))]
    notes = [tar.note for tar in tars if tar.note]
    notes += [f"{printable(file)} is compressed and passed over" for file in packed]
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
    if isinstance(path, Url):
        with _named(path):
            look_at(path)  # one request: all processes of a run make it, and a list takes many
        return
    ends = (*SUFFIXES, ".tar")
    if not (path.is_dir() and any(name.lower().endswith(ends) for name in _walk(path))):
        find_images(path)


def _list(path: Path, folder: Path) -> tuple[Folder, list[str]]:
    """The image files below a path, and the names of all that may hold images."""
    if not path.exists():
        # A command that reads no URLs makes a path of what is given.
        refuse_url(path, "these images are read from a disk", "copy them here")
        raise DataError(f"no folder or tar {path}", "--data FOLDER, a folder of images")
    names = [path.name] if path.is_file() else list(_walk(path))
    return Folder(folder, filter(is_image_file, names)), names


def _list_remote(url: Url, folder: Path) -> tuple[Folder, list[str]]:
    """The same of a URL."""
    objects = _objects(url)
    files = {name: found for name, found in objects.items() if is_image_file(name)}
    return RemoteFolder(folder, files), list(objects)


def _open_tars(folder: Path, names: Iterable[str]) -> list[Tar]:
    """Tars with their indices; at a URL several at once, since most of the time is waiting."""
    if not isinstance(folder, Url):
        return [Tar(folder, name) for name in names]
    return list(in_order(partial(Tar, folder), names, REQUESTS))


def _is_one(path: Path) -> bool:
    """Whether a place is one tar or image; at a URL its ending says so."""
    if isinstance(path, Url):
        return is_image_file(path.name) or path.name.lower().endswith((".tar", *UNPACK))
    return path.is_file()


def _objects(url: Url) -> dict[str, Object]:
    """What is at a URL, by its path relative to the folder.

    Raises:
        DataError: If there is nothing, or the store does not answer.
    """
    with _named(url):
        found = {url.name: look_at(url)} if _is_one(url) else list_objects(url)
    if not found:
        raise DataError(f"there is nothing at {printable(url)}", "give a URL of images or tars")
    return found


@contextmanager
def _named(url: Url) -> Generator[None]:
    """Names a URL that cannot be read, by a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {printable(url)}: {error.strerror}") from error


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
