"""The image files that a command is given, each with a name. Torch-free."""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kivfm_core.data.images import SUFFIXES, is_image_file
from kivfm_core.data.remote.url import is_url, locate, refuse_url
from kivfm_core.data.unlabeled import find_images
from kivfm_core.errors import DataError, UsageError, printable


@dataclass(frozen=True)
class NamedImages:
    """Images below a folder, in a tar, or at a URL.

    Attributes:
        root: The folder.
        names: Their paths in it, with forward slashes, sorted.
    """

    root: Path
    names: tuple[str, ...]

    def path(self, name: str) -> Path:
        """The file of a name."""
        return self.root / name


def is_one_file(given: Sequence[str | Path]) -> bool:
    """Whether a single image is given by its name: no folder, no pattern, and no tar."""
    if len(given) == 1 and is_url(given[0]):
        return is_image_file(locate(given[0]).name)
    if len(given) == 1 and _is_tar(given[0]):
        return False
    return len(given) == 1 and not Path(given[0]).is_dir() and not _is_pattern(str(given[0]))


def find_named(
    given: str | Path | Sequence[str | Path], without: Path | None = None
) -> NamedImages:
    """The images that folders, patterns and files stand for.

    Below a folder, whatever has the ending of an image is taken, in its folders too; a file that is
    named is taken whatever its ending.

    Args:
        given: Folders, files, and patterns such as `photos/**/*.jpg`; or one tar, or one URL, where
            the images in tars are taken, too.
        without: Where labels are written. What lies there is not taken from a folder around it.

    Raises:
        DataError: If one of them does not exist, or has no images.
        UsageError: If one of them is the folder of the labels, or a tar or URL beside others.
    """
    given = [given] if isinstance(given, str | Path) else given
    if any(is_url(place) or _is_tar(place) for place in given):
        return _find_unlabeled(given)
    files: dict[str, None] = {}
    for place in given:
        skip = _skipped(Path(place), without)
        found = [file for file in _files(str(place)) if skip is None or not _below(file, skip)]
        if not found:
            kinds = " ".join(sorted(SUFFIXES))
            raise DataError(f"no images in {printable(place)}", f"images end in: {kinds}")
        files.update(dict.fromkeys(os.path.abspath(file) for file in found))
    # Of one folder the names are its own; else those below what all have in common.
    one = Path(given[0]) if len(given) == 1 and Path(given[0]).is_dir() else None
    root = one.absolute() if one else Path(os.path.commonpath([os.path.dirname(f) for f in files]))
    names = sorted(Path(os.path.relpath(file, root)).as_posix() for file in files)
    return NamedImages(root, tuple(names))


def _is_tar(place: str | Path) -> bool:
    return str(place).lower().endswith(".tar") and Path(place).is_file()


def _find_unlabeled(given: Sequence[str | Path]) -> NamedImages:
    """The images in a tar or at a URL."""
    if len(given) > 1:
        raise UsageError("a tar or URL is given beside other places", "give one of them at a time")
    found = find_images(locate(given[0]))
    return NamedImages(found.folder, tuple(found))


def _skipped(place: Path, without: Path | None) -> Path | None:
    """The folder of the labels, if it lies in a folder of images."""
    if without is None or _below(place, without.resolve()):
        if without is not None and place.resolve() == without.resolve():
            raise UsageError(
                f"labels of {printable(place)} cannot be written into that folder itself",
                f"-o {shlex.quote(str(without / 'labels'))}",
            )
        return None
    return without.resolve()


def _files(place: str) -> Iterator[str]:
    if os.path.isdir(place):
        for folder, _, names in os.walk(place):
            yield from (os.path.join(folder, name) for name in names if is_image_file(name))
    elif os.path.exists(place):
        yield place
    elif _is_pattern(place):
        yield from (name for name in glob.iglob(place, recursive=True) if os.path.isfile(name))
    else:
        refuse_url(place, "these images are read from a disk", "copy them here")
        raise DataError(f"there is no {printable(place)}", "give images, or a folder of them")


def _is_pattern(place: str) -> bool:
    return glob.has_magic(place) and not os.path.exists(place)


def _below(file: str | Path, folder: Path) -> bool:
    return Path(file).resolve().is_relative_to(folder)
