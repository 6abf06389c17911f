"""Images with texts, in every form in which they are kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy_tars import member, picture, write_tar

from kivfm_core.data.formats.pairs import PairData, read_pairs
from kivfm_core.data.formats.rows import read_csv
from kivfm_core.data.members import open_at
from kivfm_core.data.sources import Source, load_data
from kivfm_core.errors import DataError
from kivfm_core.tasks.table import RETRIEVAL

TEXTS = (("a cat",), ("a dog", "a dog, wet"))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("home")))


def write(root: Path, name: str, text: str) -> Path:
    for file in ("a.jpg", "b.jpg"):
        Image.new("RGB", (2, 2)).save(root / file)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")
    return root


def read(path: Path) -> PairData:
    found = read_pairs(path)
    assert found is not None
    return found


def coco(captions: list[Any], images: Any = None) -> str:
    listed = [{"id": 1, "file_name": "a.jpg"}, {"id": "x", "file_name": "b.jpg"}]
    return json.dumps({"images": images or listed, "annotations": captions})


CAPTIONS = [
    {"image_id": "x", "caption": "a dog"},
    {"image_id": 1, "caption": " a\ncat "},
    {"image_id": "x", "caption": "a dog, wet"},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("captions.csv", 'file,text\na.jpg,a  cat\nb.jpg,a dog\nb.jpg,"a dog, wet"\n'),
        ("captions.csv", "Image;caption\r\n./a.jpg;a cat\r\nb.jpg;a dog\r\nb.jpg;a dog, wet"),
        (
            "captions.jsonl",
            '{"file": "a.jpg", "text": "a cat"}\n\n'
            '{"file": "b.jpg", "text": ["a dog", "a dog, wet"]}',
        ),
        (
            "metadata.jsonl",
            '{"file_name": "a.jpg", "text": "a cat"}\n'
            '{"file_name": "b.jpg", "text": ["a dog", "a dog, wet"]}',
        ),
        ("captions.json", coco(CAPTIONS)),
        ("annotations/captions_here.json", coco(CAPTIONS)),
    ],
)  # fmt: skip
def test_pairs_are_read_from_folder_and_file(tmp_path: Path, name: str, text: str):
    if "/" in name:
        write(tmp_path, "unused", "")
        (tmp_path / "here").mkdir()
        for file in ("a.jpg", "b.jpg"):
            (tmp_path / file).rename(tmp_path / "here" / file)
        (tmp_path / "annotations").mkdir()
        (tmp_path / name).write_text(text)
    else:
        write(tmp_path, name, text)
    for path in (tmp_path, tmp_path / name):
        data = read(path)
        assert [image.name for image in data.paths] == ["a.jpg", "b.jpg"]
        assert data.texts == TEXTS
        assert all(image.is_file() for image in data.paths)
    assert load_data(Source(tmp_path), RETRIEVAL, 1).texts == TEXTS[:1]  # type: ignore[attr-defined]


def test_tars_have_a_text_a_line(tmp_path: Path):
    write_tar(
        tmp_path / "s.tar",
        [
            member("d/a.png", picture(3)), member("d/a.txt", b"a cat\n"),
            member("d/b.txt", b"a dog\r\n\na dog, wet"), member("d/b.png", picture(4)),
            member("c.png", picture(5)), member("e.txt", b"of no image"),
        ],
    )  # fmt: skip
    for path in (tmp_path, tmp_path / "s.tar"):
        data = read(path)
        assert data.texts == TEXTS
        assert [open_at(image).getpixel((0, 0))[0] for image in data.paths] == [3, 4]  # type: ignore[index]
        assert "images without a text, passed over: 1 (first: s.tar/c)" in data.notes


def test_what_says_nothing_is_counted(tmp_path: Path):
    rows = ["file,text", "a.jpg,a cat", "a.jpg,  ", "a.jpg,a cat", "b.jpg,"]
    data = read(write(tmp_path, "captions.csv", "\n".join(rows)))
    assert data.texts == (("a cat",),)
    assert data.notes == (
        "empty texts, passed over: 2 (first: line 3)",
        "texts that an image has twice, taken once: 1 (first: line 4)",
        "images without a text, passed over: 1 (first: b.jpg)",
    )
    other = [*CAPTIONS, {"image_id": 9, "caption": "elsewhere"}]
    (tmp_path / "captions.csv").unlink()
    data = read(write(tmp_path, "captions.json", coco(other)))
    assert data.notes == (
        "texts of images that the file does not list, passed over: 1 (first: annotation number 4)",
    )


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("captions.csv", "file,kind\na.jpg,x", "names no files and texts: its columns are file"),
        ("captions.csv", "file,text\na.jpg", "line 2 has 1 cells"),
        ("captions.csv", "file,text\n", "has no texts"),
        ("captions.csv", "file,text\n,a cat", "line 2: file is ''"),
        ("captions.jsonl", "{", "line 1 is not JSON"),
        ("captions.jsonl", '{"file": "a.jpg", "text": 7}', "line 1: text is 7"),
        ("captions.jsonl", '{"file": "a.jpg", "text": ["a", 7]}', "line 1: text is"),
        ("captions.jsonl", '{"file": "a.jpg", "text": null}', "line 1: text is 'missing'"),
        ("captions.jsonl", '{"file": "../../etc/passwd", "text": "x"}', "images are not there"),
        ("captions.json", "[]", "lacks COCO's images and annotations"),
        ("captions.json", coco([{"image_id": 1}]), "annotation number 1: caption is 'missing'"),
        ("captions.json", coco([7]), "annotation number 1: the record is 7"),
        ("captions.json", coco(CAPTIONS, [{"id": 1}]), "image number 1: file_name is 'missing'"),
        (
            "captions.json",
            coco([], [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]),
            "two images have the id 1",
        ),
        ("captions.json", coco([]), "has no texts"),
    ],
)  # fmt: skip
def test_wrong_pairs_are_named(tmp_path: Path, name: str, text: str, match: str):
    with pytest.raises(DataError, match=match) as caught:
        read_pairs(write(tmp_path, name, text))
    assert name in caught.value.message


def test_wrong_members_are_named(tmp_path: Path):
    write_tar(tmp_path / "s.tar", [member("a.png", picture()), member("a.txt", b"\xff")])
    with pytest.raises(DataError, match=r"s\.tar, a\.txt is not UTF-8"):
        read_pairs(tmp_path)


def test_other_data_are_no_pairs(tmp_path: Path):
    assert read_pairs(tmp_path) is None
    labels = write(tmp_path, "labels.csv", "file,class\na.jpg,cat\n")
    assert read_pairs(labels / "labels.csv") is None
    write(tmp_path, "metadata.csv", "file,class\na.jpg,cat\n")
    assert read_pairs(tmp_path) is None
    write(tmp_path, "instances.json", '{"images": [], "annotations": [], "categories": []}')
    assert read_pairs(tmp_path / "instances.json") is None
    # Nor are pairs a table of classes.
    write(tmp_path, "captions.csv", "file,text\na.jpg,a cat\n")
    assert read_csv(tmp_path / "captions.csv") is None
