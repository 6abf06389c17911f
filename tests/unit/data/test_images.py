"""Pictures from anywhere: what cannot be decoded is an error of its own, whatever it is called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from kivfm_core.data.images import listed, open_image
from kivfm_core.data.loader import ViewDataset
from kivfm_core.data.sampler import ViewItem
from kivfm_core.data.unlabeled import find_images
from kivfm_core.errors import DataError
from kivfm_core.spec import InputContract

HOSTILE = (
    "-rf.png", "--data.png", "a\nb.png", "tab\t.png", "\x1b[2Jred.png", "ü ñ 図.png", "..png.png",
    "%s{0}.png", "'\"`$(true).png", 251 * "x" + ".png", os.fsdecode(b"\xff\xfe.png"), " .png",
)  # fmt: skip


def png(path: Path | str, size=(8, 6)) -> None:
    with open(path, "wb") as file:
        Image.new("RGB", size).save(file, "PNG")


def views(folder: Path, limit: int = 20) -> ViewDataset:
    contract = InputContract(policy="stretch", size=16)
    return ViewDataset(find_images(folder), 0, (contract, (16,)), [], limit)


def test_hostile_names_are_names(tmp_path: Path, monkeypatch):
    for name in HOSTILE:
        png(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for _ in range(20):  # deeper than a path may be long
        os.mkdir(250 * "d")
        os.chdir(250 * "d")
    png("lost.png")
    os.chdir(tmp_path)
    data = views(tmp_path)
    assert set(HOSTILE) <= set(data.images)
    for i, _ in enumerate(data.images):
        _, _, _, bad = data[ViewItem(i, 0, 0)]
        assert all(data.images[i] == name and name not in HOSTILE for name in bad[:1])
    assert listed(HOSTILE, 99).isprintable()


def test_what_is_no_picture_is_not_listed(tmp_path: Path):
    png(tmp_path / "a.PNG")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert list(find_images(tmp_path)) == ["a.PNG"]


@pytest.mark.parametrize("factor", [1.5, 3])
def test_a_decompression_bomb_is_a_bad_picture(tmp_path: Path, monkeypatch, factor: float):
    png(tmp_path / "bomb.png", (40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(1600 / factor))
    with pytest.raises(DataError, match=r"cannot decode .*bomb"):
        open_image(tmp_path / "bomb.png")


def test_whatever_a_decoder_raises_is_a_bad_picture(tmp_path: Path, monkeypatch):
    png(tmp_path / "a.png")

    def broken(*_):
        raise IndexError("of a hostile file")

    monkeypatch.setattr(Image.Image, "convert", broken)
    with pytest.raises(DataError, match="hostile"):
        open_image(tmp_path / "a.png")


def test_bad_pictures_are_counted_and_others_take_their_place(tmp_path: Path):
    for i in range(5):
        png(tmp_path / f"{i}.png")
    data = views(tmp_path)
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").write_bytes((tmp_path / "0.png").read_bytes()[:40])
    _, canvases, _, bad = data[ViewItem(1, 0, 0)]
    assert bad == ["1.png", "2.png", "3.png"] and canvases[0].shape == (3, 16, 16)
    with pytest.raises(DataError, match="more than the limit"):
        views(tmp_path, limit=1)[ViewItem(1, 0, 0)]  # 1.png is not listed any more
