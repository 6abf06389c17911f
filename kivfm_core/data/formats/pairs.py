"""Image-text pairs: the texts of each image, such as captions. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field

from kivfm_core.data.formats.image_files import find_image_files
from kivfm_core.data.formats.reading import ReadingNotes, check_record, read_json
from kivfm_core.data.formats.rows import FILE, csv_rows, find_table, json_rows
from kivfm_core.data.formats.webdataset import side_members, split_key
from kivfm_core.data.images import is_image_file
from kivfm_core.data.labeled_images import pick
from kivfm_core.data.tar_index import load_index
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabeledImages, LabelFormat

PAIRS = LabelFormat(
    name="pairs",
    read="kivfm_core.data.formats.pairs:read_pairs",
    needs="captions.csv or captions.jsonl (file, text) beside the images, COCO's captions, or tars"
    " (WebDataset) with .txt beside each image",
    example='captions.jsonl: {"file": "a.jpg", "text": "a cat"}',
)

# Of tables in a folder, without their endings; and what their column of texts is called.
NAMES = ("captions", "metadata")
TEXT = ("text", "texts", "caption", "captions", "sentence", "sentences")


@dataclass(frozen=True)
class PairData(LabeledImages):
    """Images with texts.

    Attributes:
        paths: The images.
        texts: Of each image; at least one, none of them empty.
        notes: What was repaired or passed over when the data was read, a line each.
    """

    paths: tuple[Path, ...]
    texts: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices, with their texts."""
        return replace(self, paths=pick(self.paths, indices), texts=pick(self.texts, indices))


class _Row(BaseModel):
    """One or several texts of an image."""

    model_config = ConfigDict(strict=True)

    file: str = Field(min_length=1)
    text: str | list[str]


class _Image(BaseModel):
    id: int | str
    file_name: str = Field(min_length=1)


class _Caption(BaseModel):
    image_id: int | str
    caption: str


class _Texts:
    """Texts by the name of their image, in the order of the images."""

    def __init__(self, notes: ReadingNotes) -> None:
        self.notes = notes
        self.found: dict[str, list[str]] = {}

    def add(self, image: str, text: str, where: str) -> None:
        """Adds a text; one that is empty, or there already, is counted alone."""
        own = self.found.setdefault(image, [])
        text = " ".join(text.split())
        if not text:
            self.notes.add("empty texts, passed over", where)
        elif text in own:
            self.notes.add("texts that an image has twice, taken once", where)
        else:
            own.append(text)

    def of(self, names: Sequence[str], paths: Sequence[Path], file: Path) -> PairData:
        """The images with a text.

        Raises:
            DataError: If there is none.
        """
        kept = [
            (path, tuple(self.found.get(name, ()))) for name, path in zip(names, paths, strict=True)
        ]
        for name, (_, texts) in zip(names, kept, strict=True):
            if not texts:
                self.notes.add("images without a text, passed over", name)
        kept = [(path, texts) for path, texts in kept if texts]
        if not kept:
            raise DataError(f"{printable(file)} has no texts", "give each image one or more")
        images, texts = zip(*kept, strict=True)
        return PairData(images, texts, self.notes.lines())


def read_pairs(path: Path) -> PairData | None:
    """Images with their texts; None if there are none in a form that is known.

    Args:
        path: A table (CSV or JSON lines), COCO's captions, a tar, or a folder that holds
            `captions.jsonl`, `captions.csv`, `metadata.jsonl` or `metadata.csv` with texts,
            `captions.json` or `annotations/captions_*.json`, or tars with `.txt` members.

    Raises:
        DataError: If they are broken; names file, record and value.
    """
    lines, table = find_table(path, "jsonl", NAMES), find_table(path, "csv", NAMES)
    return (
        (_from_rows(lines, json_rows(lines)) if lines else None)
        or (_from_rows(table, csv_rows(table)) if table else None)
        or _from_coco(path)
        or _from_tars(path)
    )


def _from_rows(file: Path, rows: Iterator[tuple[int, dict[Any, Any]]]) -> PairData | None:
    texts, columns = _Texts(ReadingNotes()), list[Any]()
    for number, row in rows:
        columns = columns or [next((k for k in names if k in row), None) for names in (FILE, TEXT)]
        if None in columns:
            if file.stem != "captions":
                return None  # it says other things of the images, such as classes
            raise DataError(
                f"{printable(file)} names no files and texts: its columns are"
                f" {', '.join(printable(str(key)) for key in row)}",
                "call them file and text",
            )
        where = f"line {number}"
        given = {"file": row.get(columns[0]), "text": row.get(columns[1])}
        given = {key: value for key, value in given.items() if value is not None}
        record = check_record(file, where, given, _Row)
        for text in [record.text] if isinstance(record.text, str) else record.text:
            texts.add(record.file, text, where)
    if not columns and file.stem != "captions":
        return None
    names = list(texts.found)
    return texts.of(names, find_image_files(file, names, texts.notes), file)


def _from_coco(path: Path) -> PairData | None:
    """COCO's captions: the JSON file, or a folder that holds it; None if this is neither."""
    if path.is_file():
        file = path if path.suffix.lower() == ".json" else None
    else:
        others = sorted(path.glob("annotations/captions_*.json"), reverse=True)  # val before train
        file = next((one for one in (path / "captions.json", *others) if one.is_file()), None)
    content: Any = None if file is None else read_json(file)
    if file is None or not isinstance(content, dict):
        return _no_captions(file, path)
    content = cast("dict[str, Any]", content)
    images, captions = content.get("images"), content.get("annotations")
    if not isinstance(images, list) or not isinstance(captions, list):
        return _no_captions(file, path)
    first: Any = captions[0] if captions else None
    if path == file and not (isinstance(first, dict) and "caption" in first):
        return None  # such as COCO's instances
    return _captions(file, images, captions)


def _no_captions(file: Path | None, path: Path) -> None:
    """Nothing, for a file of another kind; one that is called so has to be one."""
    if file is not None and path != file:
        raise DataError(
            f"{printable(file)} lacks COCO's images and annotations",
            'write {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}',
        )


def _captions(file: Path, images: list[Any], captions: list[Any]) -> PairData:
    texts = _Texts(ReadingNotes())
    names: dict[int | str, str] = {}
    for place, item in enumerate(images, 1):
        image = check_record(file, f"image number {place}", item, _Image)
        if names.setdefault(image.id, image.file_name) != image.file_name:
            raise DataError(
                f"{printable(file)}: two images have the id {image.id!r}", "make them unique"
            )
    for place, item in enumerate(captions, 1):
        where = f"annotation number {place}"
        record = check_record(file, where, item, _Caption)
        if record.image_id in names:
            texts.add(names[record.image_id], record.caption, where)
        else:
            texts.notes.add("texts of images that the file does not list, passed over", where)
    files = list(dict.fromkeys(names.values()))
    return texts.of(files, find_image_files(file, files, texts.notes), file)


def _from_tars(path: Path) -> PairData | None:
    """A tar, or a folder of tars, with a `.txt` beside each image: a text in each of its lines."""
    tars = [path] if path.is_file() else sorted(path.glob("*.tar"))
    texts, images = _Texts(ReadingNotes()), dict[str, Path]()
    for tar in (tar for tar in tars if tar.suffix.lower() == ".tar" and tar.is_file()):
        index = load_index(tar)
        if index.damage:
            texts.notes.add("damaged tars, read up to the damage", f"{tar.name}: {index.damage}")
        for name in (index.names[place] for place in range(len(index.names))):
            key, kind = split_key(name)
            if is_image_file(f"a.{kind}") and "." not in kind:
                images[f"{tar.name}/{key}"] = tar / name
        for key, _, where, content in side_members(tar, ("txt",), index.damage != ""):
            for text in _lines(content, where):
                texts.add(f"{tar.name}/{key}", text, where)
    if not any(texts.found.get(key) for key in images):
        return None
    return texts.of(list(images), list(images.values()), path)


def _lines(content: bytes, where: str) -> list[str]:
    try:
        return content.decode("utf-8-sig").strip().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8: byte {error.start}", "save it as UTF-8") from error
