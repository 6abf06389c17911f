"""The records of Pascal VOC's XML files: checked when read. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from pydantic import BaseModel, ConfigDict, Field

from kivfm_core.data.formats.reading import check_record
from kivfm_core.errors import DataError, printable

# An annotation has some kilobytes, and its elements are nested four deep.
LIMIT, DEPTH = 10**7, 30
# In pixels.
ROUNDING = 0.01


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class VocObject(_Record):
    """An object.

    Attributes:
        name: Of its class.
        xmin: Its first column of pixels; VOC counts from 1.
        ymin: Its first row.
        xmax: Its last column, which is inside.
        ymax: Its last row.
        difficult: Whether it does not count.
    """

    name: str = Field(min_length=1)
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False


class VocAnnotation(_Record):
    """What a file says of an image.

    Attributes:
        filename: Of the image; None if the file does not say.
        width: In pixels; None if the file does not say.
        height: In pixels.
        objects: In the file's order.
    """

    filename: str | None = None
    width: int | None = Field(default=None, ge=0)
    height: int | None = Field(default=None, ge=0)
    objects: tuple[VocObject, ...] = ()


def read_voc_annotation(path: Path) -> VocAnnotation | None:
    """Reads an annotation; None if it is XML of another kind.

    Raises:
        DataError: If it is not XML, or a record is wrong; names file, record and value.
    """
    root = read_xml(path)
    if root.tag != "annotation":
        return None
    objects = tuple(
        check_record(path, f"object {number}", _fields(item), VocObject)
        for number, item in enumerate(root.findall("object"), 1)
    )
    for number, item in enumerate(objects, 1):
        # An empty box with decimals can end a little before it begins, by rounding.
        if item.xmax < item.xmin - 1 - ROUNDING or item.ymax < item.ymin - 1 - ROUNDING:
            raise DataError(
                f"{printable(path)}, object {number}: xmax or ymax is less than xmin or ymin"
            )
    size = {name: _text(root, f"size/{name}") for name in ("width", "height")}
    head = {"filename": _text(root, "filename"), **size}
    found = check_record(path, "its head", _known(head), VocAnnotation)
    return found.model_copy(update={"objects": objects})


def _fields(item: Element) -> dict[str, Any]:
    box = {side: _text(item, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")}
    return _known({"name": _text(item, "name"), "difficult": _text(item, "difficult"), **box})


def _text(item: Element, path: str) -> str | None:
    return (item.findtext(path) or "").strip() or None


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def read_xml(path: Path) -> Element:
    """The root of an XML file. Definitions, and with them entities, are refused.

    Raises:
        DataError: If it cannot be read, is not XML, is too large, or is nested too deeply.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LIMIT else b""
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror}") from error
    if size > LIMIT:
        raise DataError(f"{printable(path)} has {size} bytes: too large to be an annotation")
    builder, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH:
            raise DataError(f"{printable(path)} is nested too deeply to be an annotation")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*given: Any) -> None:
        raise DataError(f"{printable(path)} has a document type", "remove <!DOCTYPE ...>")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{printable(path)} is not XML: {error}") from error
    return builder.close()
