"""Tars of images with their classes."""

from pathlib import Path

import pytest
from toy_tars import member, picture, write_tar

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.webdataset import read_webdataset
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.data.members import open_at, size_at
from kivfm_core.errors import DataError


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("home")))


def read(path: Path) -> ClassData:
    found = read_webdataset(path)
    assert found is not None
    return found


def test_classes_lie_beside_the_images(tmp_path: Path):
    write_tar(
        tmp_path / "b.tar", [member("x.json", b'{"label": "dog"}'), member("x.png", picture(2))]
    )
    write_tar(
        tmp_path / "a.tar",
        [
            member("d/x.png", picture(1)), member("d/x.seg.png", picture(9)),
            member("d/x.cls", b"cat\n"), member("d/x.json", b'{"label": "no"}'),
            member("y.png", picture(3)), member("y.txt", b"a caption"),
        ],
    )  # fmt: skip
    data = read(tmp_path)
    assert data.paths == (tmp_path / "a.tar/d/x.png", tmp_path / "b.tar/x.png")
    assert data.classes == ("cat", "dog") and data.targets == (0, 1)
    assert data.notes == ("images without a class, passed over: 1 (first: a.tar/y.png)",)
    reader = ImageReader(2)
    opened = [reader.open(path) for path in data.paths]
    assert [image and image.getpixel((0, 0))[0] for image in opened] == [1, 2]  # type: ignore[index]
    assert size_at(data.paths[0]) == opened[0].size  # type: ignore[union-attr]


def test_numbers_are_indices(tmp_path: Path):
    write_tar(tmp_path / "a.tar", [member("x.png", picture(2)), member("x.cls", b"7")])
    data = read(tmp_path / "a.tar")
    assert data.classes is None and data.targets == (7,)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("x.cls", b"\xff", "x.cls is not UTF-8"),
        ("x.cls", b"", "x.cls: '' is no class"),
        ("x.json", b"{", "x.json is not JSON"),
        ("x.json", b'{"cls": 1.5}', "x.json: 1.5 is no class"),
        ("x.json", b"0" * 2**21, "too large for a class"),
    ],
)
def test_wrong_labels_are_named(tmp_path: Path, name: str, content: bytes, match: str):
    write_tar(tmp_path / "a.tar", [member("x.png", picture(2)), member(name, content)])
    with pytest.raises(DataError, match=match) as caught:
        read_webdataset(tmp_path)
    assert "a.tar" in caught.value.message


def test_a_damaged_tar_is_read_up_to_the_damage(tmp_path: Path):
    items = [member(f"{i}.{kind}", content) for i in range(4)
             for kind, content in (("cls", b"cat"), ("png", picture(2)))]  # fmt: skip
    write_tar(tmp_path / "a.tar", items)
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: 512 * 9 + 100])
    data = read(tmp_path)
    assert 1 <= len(data.paths) < 4
    assert any(note.startswith("damaged tars") for note in data.notes)


def test_members_that_are_not_there_are_errors(tmp_path: Path):
    write_tar(tmp_path / "a.tar", [member("x.png", picture(2))])
    with pytest.raises(DataError, match=r"a\.tar has no image y\.png"):
        open_at(tmp_path / "a.tar/y.png")
    assert read_webdataset(tmp_path) is None, "no image has a class"
    assert read_webdataset(tmp_path / "none") is None
