"""Images of every orientation and mode come out as a viewer shows them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from kivfm_core.data import modes
from kivfm_core.data.batches import batches
from kivfm_core.data.images import open_image
from kivfm_core.data.loader import ViewDataset
from kivfm_core.data.modes import NOTE
from kivfm_core.data.sampler import ViewItem
from kivfm_core.data.unlabeled import find_images
from kivfm_core.errors import DataError, ScaledImageWarning
from kivfm_core.spec import InputContract

pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ScaledImageWarning")

ORIENTATION = 0x0112
# Where an upright image's top left quarter lies in the file, and its size there, by orientation.
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x, -1),
}


def upright() -> np.ndarray:
    """`[6, 10, 3]`: three corners of different colors."""
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[:30, :50], pixels[:30, 50:], pixels[30:, :50] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return pixels


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("end", ["jpg", "png", "webp", "tiff"])
def test_every_orientation_is_obeyed(tmp_path: Path, orientation: int, end: str):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright())))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    how = {"quality": 95, "subsampling": 0} if end == "jpg" else {}
    stored.save(tmp_path / f"a.{end}", exif=exif, **how)
    found = np.asarray(open_image(tmp_path / f"a.{end}"), int)
    assert found.shape == (60, 100, 3)
    assert np.abs(found - upright()).mean() < 4


@pytest.mark.parametrize("end", ["png", "tiff"])
def test_16_bit_gray_is_scaled_by_its_range(tmp_path: Path, end: str):
    gray = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(gray).save(tmp_path / f"a.{end}")
    image = open_image(tmp_path / f"a.{end}")
    assert np.asarray(image)[0].tolist() == [[v] * 3 for v in (0, 1, 128, 255)]
    assert "16-bit" in image.info[NOTE]


def test_floats_in_0_to_1_are_scaled(tmp_path: Path):
    Image.fromarray(np.array([[0, 0.5, 1]], np.float32)).save(tmp_path / "a.tiff")
    assert np.asarray(open_image(tmp_path / "a.tiff"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0, 70000]], np.int32),
        np.array([[0.0, 3.5]], np.float32),
        np.array([[-0.5, 0.5]], np.float32),
        np.array([[np.nan, 0.5]], np.float32),
    ],
    ids=["int32", "meters", "negative", "nan"],
)
def test_what_has_no_known_range_is_refused_by_name(tmp_path: Path, values: np.ndarray):
    Image.fromarray(values).save(tmp_path / "scan.tiff")
    with pytest.raises(DataError, match=r"scan\.tiff: .*(32-bit integers|floats)"):
        open_image(tmp_path / "scan.tiff")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_modes_of_8_bits_are_as_pillow_converts_them(tmp_path: Path, mode: str):
    end = {"CMYK": "jpg", "YCbCr": "jpg"}.get(mode, "png")
    image = ImageOps.exif_transpose(Image.fromarray(upright()).convert(mode))
    buffer = io.BytesIO()
    image.save(buffer, {"jpg": "JPEG", "png": "PNG"}[end])
    (tmp_path / f"a.{end}").write_bytes(buffer.getvalue())
    found = open_image(tmp_path / f"a.{end}")
    with Image.open(buffer) as read:
        assert found.mode == "RGB" and found.tobytes() == read.convert("RGB").tobytes()
    assert NOTE not in found.info


def test_training_and_evaluation_see_images_upright_too(tmp_path: Path):
    exif, seen = Image.Exif(), []
    for name, stored, orientation in (("a", upright(), 1), ("b", STORED[6](upright()), 6)):
        exif[ORIENTATION] = orientation
        folder = tmp_path / name
        folder.mkdir()
        Image.fromarray(np.ascontiguousarray(stored)).save(folder / "x.png", exif=exif)
        contract = InputContract(policy="letterbox", size=32)
        (batch,) = batches([folder / "x.png"], contract)
        view = ViewDataset(find_images(folder), 0, (contract, (32,)), [], 20)[ViewItem(0, 0, 0)]
        seen.append((batch.images[0], view[1][0]))
    for one, two in zip(*seen, strict=True):
        assert one.std() > 0 and one.equal(two)


def test_what_was_scaled_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(modes, "_SAID", set())
    for name in "ab":
        Image.fromarray(np.full((2, 2), 9, np.uint16)).save(tmp_path / f"{name}.png")
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "c.tiff")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in ("a.png", "b.png", "c.tiff"):
            open_image(tmp_path / name)
    assert [str(one.message) for one in caught] == [
        "a.png: 16-bit gray, scaled to 8 bits (said once)",
        "c.tiff: floats in 0..1, scaled to 8 bits (said once)",
    ]
    assert {one.category for one in caught} == {ScaledImageWarning}
