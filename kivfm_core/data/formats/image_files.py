"""Finds the image files that a label file names, however its tool wrote the names. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from urllib.parse import unquote

from kivfm_core.data.formats.reading import ReadingNotes
from kivfm_core.data.images import listed
from kivfm_core.errors import DataError, printable


def find_image_files(
    file: Path, names: Sequence[str], notes: ReadingNotes, folders: Sequence[Path] = ()
) -> list[Path]:
    """The files of the named images: in `images/` beside the label file, beside it, or as in COCO.

    A name is taken as it stands if there is such a file. Else it may have backslashes, escapes
    such as `%20`, another Unicode form or case, or another machine's folder before it. Names that
    lead out of the folder are not followed.

    Args:
        file: The label file.
        names: Of its images.
        notes: Counts names that were repaired, and images that are not there.
        folders: Where the images may lie, if somewhere else; all are in one of them.

    Returns:
        A path for each name; of an image that is not there, where it should be.

    Raises:
        DataError: If none of the images is there.
    """
    part = file.stem.rpartition("_")[2]
    folders = folders or (file.parent / "images", file.parent, file.parent.parent / part)
    found: list[Path] = []
    missing: list[str] = []
    for folder in folders:
        index = _Index(folder)
        found, missing = [], []
        changed: list[str] = []
        for name in names:
            path = index.find(name)
            found.append(path or folder / PurePosixPath(_plain(name)).name)
            if path is None:
                missing.append(name)
            elif path != folder / name:
                changed.append(name)
        if len(missing) < len(names) or not names:
            for name in changed:
                notes.add("image names that stand otherwise in the folder", name)
            for name in missing:
                notes.add("images that are not there", name)
            return found
    raise DataError(
        f"{printable(file)}: its {len(names)} images are not there: {listed(missing)}",
        f"put them into {printable(folders[0])}",
    )


class _Index:
    """The files of a folder, found by their names' plain forms; read when first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, Path] | None = None

    def find(self, name: str) -> Path | None:
        """The file of a name, or None."""
        inside = PurePosixPath(name)
        exact = self.folder / name
        if not inside.is_absolute() and ".." not in inside.parts and exact.is_file():
            return exact
        if self.files is None:
            self.files = {}
            for path in sorted(self.folder.rglob("*")) if self.folder.is_dir() else []:
                if path.is_file():
                    relative = path.relative_to(self.folder).as_posix()
                    self.files.setdefault(_form(relative), path)
        return next((self.files[form] for form in _forms(name) if form in self.files), None)


def _forms(name: str) -> Iterator[str]:
    """The forms in which a name is looked for: with all of its folders, then with fewer."""
    for plain in (_plain(name), unquote(_plain(name))):
        parts = [part for part in PurePosixPath(plain).parts if part not in ("/", "..", ".")]
        for start in range(len(parts)):
            yield _form("/".join(parts[start:]))


def _plain(name: str) -> str:
    return name.replace("\\", "/")


def _form(name: str) -> str:
    return normalize("NFC", name).casefold()
