"""The trees of files in docs/reference/label-formats.md work: each is built, and read."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_arrow import arrow_rows, write_arrow
from toy_tars import member, picture, write_tar

from kivfm_core.data.formats.table import FORMATS
from kivfm_core.data.members import size_at
from kivfm_core.data.sources import Source, find_data, formats_of
from kivfm_core.reference import resolve_reference
from kivfm_core.tasks.table import KNN, RETRIEVAL, TASKS

PAGE = Path(__file__).parents[4] / "docs/reference/label-formats.md"
SIZE = (640, 480)
# Folders of masks, and the value of their pixels; CamVid's have colors.
MAPS = {"semantic": 1, "gtFine": 7, "annotations": 2, "SegmentationObject": 1}
# Of members of tars.
CONTENT = {".jpg": picture(1), ".cls": b"7", ".txt": b"a cat"}
# Shown once for two trees.
SAME = {"instances_val2017.json": "instances.json", "000001.jpg": "a.jpg"}


def cards():
    """Every tree with the format of its section, and the files that the section shows."""
    text = PAGE.read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        name = part.split("\n", 1)[0]
        if name not in FORMATS:
            continue
        files = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', part, re.M | re.S))
        for number, tree in enumerate(re.findall(r"^```text\n(\S+/\n.*?)^```", part, re.M | re.S)):
            yield pytest.param(name, tree, files, id=f"{name}-{number}")


def build(tree: str, files: dict[str, str], root: Path) -> Path:
    """Makes the files of a tree; its top folder."""
    way: list[str] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        way = [*way[:depth], line.strip().rstrip("/")]
        path = root.joinpath(*way)
        if line.endswith("/"):
            path.mkdir()
            continue
        shown = files.get(path.name, files.get(SAME.get(path.name, "")))
        value = next((MAPS[part] for part in way if part in MAPS), None)
        if path.suffix == ".tar":
            write_tar(
                path,
                [member(name, CONTENT[Path(name).suffix]) for name in files[path.name].split()],
            )
        elif path.suffix == ".arrow":
            write_arrow(path, arrow_rows(files["dataset_info.json"]))
        elif shown is not None:
            path.write_text(shown, encoding="utf-8")
        elif "LabeledApproved_full" in way:
            Image.new("RGB", SIZE, (128, 64, 128)).save(path)
        elif "depth" in way and path.suffix == ".npy":
            np.save(path, np.ones(SIZE[::-1], np.float32))
        elif "depth" in way:
            Image.fromarray(np.full(SIZE[::-1], 1500, np.uint16)).save(path)
        elif value is not None and path.suffix == ".png":
            Image.fromarray(np.full(SIZE[::-1], value, np.uint8)).save(path)
        else:
            assert path.suffix in (".jpg", ".png"), f"the card does not show {path.name}"
            Image.new("RGB", SIZE).save(path)
    return root / tree.split("/")[0]


def test_every_format_has_a_card():
    assert {card.values[0] for card in cards()} == set(FORMATS)


@pytest.mark.parametrize(("name", "tree", "files"), list(cards()))
def test_a_card_is_read_by_its_format(tmp_path: Path, name: str, tree: str, files: dict[str, str]):
    path = build(tree, files, tmp_path)
    data = resolve_reference(FORMATS[name].read)(path)
    assert data is not None
    assert data.paths and all(size_at(image) for image in data.paths)
    passed = [note for note in data.notes if not note.startswith("images without a label file")]
    assert not passed
    # Nobody has to name the format, and no other task finds something in it that it is not.
    for task in (*TASKS.values(), KNN, RETRIEVAL):
        found = find_data(Source(path), task)
        wanted = any(kind.name == name for kind in formats_of(task))
        if found is not None:
            assert wanted and type(found) is type(data)
        elif wanted:
            assert task.masks and not data.has_masks
    if hasattr(data, "semantic") and data.has_masks:
        assert (data.semantic(0, tuple(data.classes)) >= 0).any()
