"""Tables of files and classes as people write them."""

from pathlib import Path

import pytest
from PIL import Image

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.rows import read_csv, read_jsonl
from kivfm_core.errors import DataError


def write(root: Path, text: str, name: str = "labels.csv") -> Path:
    for file in ("a.jpg", "b, c.jpg"):
        Image.new("RGB", (2, 2)).save(root / file)
    (root / name).write_text(text, encoding="utf-8")
    return root


def read(path: Path) -> ClassData:
    found = read_jsonl(path) if (path / "labels.jsonl").exists() else read_csv(path)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text",
    [
        'file,class\na.jpg,cat\n"b, c.jpg",dog\n',
        'a.jpg,cat\n"b, c.jpg",dog\n',
        "Image;Label;Who\r\na.jpg;cat;me\r\nb, c.jpg;dog;me\r\n",
        "\ufefffile_name\tcategory\na.jpg\tcat\n\nb, c.jpg\tdog\n",
        'id,path,label\n7,/home/me/a.jpg, cat\n8,"./b, c.jpg", dog\n',
    ],
)
def test_tables_as_tools_write_them(tmp_path: Path, text: str):
    data = read(write(tmp_path, text))
    assert data.paths == (tmp_path / "a.jpg", tmp_path / "b, c.jpg")
    assert data.classes == ("cat", "dog") and data.targets == (0, 1)


def test_lines_of_json(tmp_path: Path):
    first = '{"file_name": "a.jpg", "label": "dog", "x": [1]}'
    text = first + '\n\n{"file_name": "b, c.jpg", "label": "cat"}'
    data = read(write(tmp_path, text, "labels.jsonl"))
    assert data.classes == ("cat", "dog") and data.targets == (1, 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [("labels.csv", "file,class_index\na.jpg,7\n"), ("labels.jsonl", '{"file":"a.jpg","class":7}')],
)
def test_numbers_are_indices(tmp_path: Path, name: str, text: str):
    data = read(write(tmp_path, text, name))
    assert data.classes is None and data.targets == (7,)


def test_numbers_in_a_column_of_names_are_names(tmp_path: Path):
    assert read(write(tmp_path, "file,class\na.jpg,7\n")).classes == ("7",)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("photo,kind\na.jpg,cat", "names no files and classes: its columns are photo, kind"),
        ("file,class\na.jpg", "line 2 has 1 cells, and there are 2 columns"),
        ("file,class\na.jpg,", "line 2: label is 'missing'"),
        ("file,class\na.jpg,cat\na.jpg,dog", "line 3: a.jpg has two classes"),
        ("file,class\n", "has no rows"),
        ('file,class\n"a.jpg,cat', "line 2: unexpected end of data"),
        ("file,class\nnone.jpg,cat", "images are not there: none.jpg"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, text: str, match: str):
    with pytest.raises(DataError, match=match) as caught:
        read_csv(write(tmp_path, text))
    assert "labels.csv" in caught.value.message


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"file": "a.jpg", "class": "cat"', "line 1 is not JSON"),
        ('["a.jpg", "cat"]', "line 1 is no object"),
        ('{"file": "a.jpg", "class": true}', "line 1: label is True"),
        ('{"file": "a.jpg", "class": 1.5}', "line 1: label is 1.5"),
        (
            '{"file": "a.jpg", "class": 1}\n{"file": "b, c.jpg", "class": "cat"}',
            "names and indices",
        ),
        ("[" * 100000, "line 1 is not JSON"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, text: str, match: str):
    with pytest.raises(DataError, match=match):
        read_jsonl(write(tmp_path, text, "labels.jsonl"))


def test_metadata_of_other_things_is_no_table_of_classes(tmp_path: Path):
    write(tmp_path, "file_name,text\na.jpg,a cat on a mat\n", "metadata.csv")
    assert read_csv(tmp_path) is None
    with pytest.raises(DataError, match="names no files and classes"):
        read_csv(tmp_path / "metadata.csv")


def test_another_folder_has_no_table(tmp_path: Path):
    assert read_csv(tmp_path) is None and read_jsonl(tmp_path) is None
