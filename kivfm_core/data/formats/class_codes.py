"""Which value or color of a map stands for which class: the files that say so. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kivfm_core.data.formats.reading import read_json, read_text
from kivfm_core.errors import DataError, printable

VALUES = range(2**16)
# What lists of colors call pixels that do not count.
NOTHING = {"void", "unlabeled", "unlabelled", "ignore"}
_HINT = 'write ["background", "first class", ...] or {"background": 0, "first class": 7}'


@dataclass(frozen=True)
class Coding:
    """The classes of maps.

    Attributes:
        values: The value of each class; of a color `65536 * R + 256 * G + B`.
        classes: The classes' names.
        colors: Whether the values are colors.
    """

    values: tuple[int, ...]
    classes: tuple[str, ...]
    colors: bool = False


# Cityscapes' classes that count, by the ids in `*_labelIds.png`.
CITYSCAPES = Coding(
    (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33),
    (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
        "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
        "motorcycle", "bicycle",
    ),
)  # fmt: skip


def read_classes(file: Path) -> Coding:
    """`classes.json`: a list of names, `{name: value}`, or `{name: [red, green, blue]}`.

    Or `{"0": name}`, as `id2label.json` has it. There, what `NOTHING` lists does not count.

    Raises:
        DataError: If it holds anything else.
    """
    content = read_json(file)
    pairs: list[tuple[str, Any]] = []
    if isinstance(content, dict):
        pairs = list(cast("dict[str, Any]", content).items())
        if pairs and all(isinstance(value, list) for _, value in pairs):
            return _colored(file, pairs)
        if all(key.isdecimal() and isinstance(name, str) for key, name in pairs):
            pairs = [(name, int(key)) for key, name in pairs if name.lower() not in NOTHING]
    elif isinstance(content, list):
        names = cast("list[Any]", content)
        pairs = [(str(name), value) for value, name in enumerate(names)]
    named = dict(pairs)
    if len(named) < len(pairs):
        raise DataError(f"{printable(file)} names a class twice", "make the names unique")
    wrong = [name for name, value in named.items() if type(value) is not int or value not in VALUES]
    if not named or wrong:
        raise DataError(
            f"{printable(file)} is no list of class names, nor a map of names to values in 0..65535"
            + (f": {printable(wrong[0])} is {named[wrong[0]]!r}" if wrong else ""),
            _HINT,
        )
    return Coding(tuple(named.values()), tuple(named))


def read_color_list(file: Path) -> Coding:
    """CamVid's `label_colors.txt`, or `class_dict.csv`: a class and its color in each line.

    Raises:
        DataError: If a line is something else, or there is none.
    """
    named: list[tuple[str, list[int]]] = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        numbers = re.findall(r"(?<!\S)\d+(?!\S)", line.replace(",", " "))
        name = " ".join(re.sub(r"(?<!\S)\d+(?!\S)", " ", line.replace(",", " ")).split())
        if not line.strip() or (number == 1 and not numbers):
            continue  # the head of a table
        if len(numbers) != 3 or not name:
            raise DataError(
                f"{printable(file)}, line {number}: {printable(line[:60])} is no class with its"
                " color",
                "64 128 64 Animal",
            )
        if name.lower() not in NOTHING:
            named.append((name, [int(value) for value in numbers]))
    return _colored(file, named)


def _colored(file: Path, named: list[tuple[str, list[Any]]]) -> Coding:
    values: list[int] = []
    for name, color in named:
        if len(color) != 3 or any(type(v) is not int or not 0 <= v < 256 for v in color):
            raise DataError(
                f"{printable(file)}: the color of {printable(name)} is {color!r}", _HINT
            )
        values.append(color[0] * 65536 + color[1] * 256 + color[2])
    names = tuple(name for name, _ in named)
    if not names or len(set(names)) < len(names) or len(set(values)) < len(values):
        raise DataError(f"{printable(file)} names no class, or a class or a color twice", _HINT)
    return Coding(tuple(values), names, colors=True)


def read_object_info(file: Path) -> Coding:
    """ADE20K's `objectInfo150.txt`: the number of each class, and its names; the first is taken.

    Raises:
        DataError: If a line is something else.
    """
    named: dict[str, int] = {}
    for number, line in enumerate(read_text(file).splitlines()[1:], 2):
        cells = [cell.strip() for cell in line.split("\t") if cell.strip()]
        if not cells:
            continue
        if len(cells) < 2 or not cells[0].isdecimal() or int(cells[0]) not in VALUES:
            raise DataError(f"{printable(file)}, line {number} is no class with its number")
        name = cells[-1].split(",")[0].split(";")[0].strip()
        if name in named:
            name = cells[-1]  # its first name alone is another class's
        if name in named:
            raise DataError(f"{printable(file)} names a class twice: {printable(name)}")
        named[name] = int(cells[0])
    if not named:
        raise DataError(f"{printable(file)} names no class")
    return Coding(tuple(named.values()), tuple(named))
