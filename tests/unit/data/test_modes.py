"""Images of every orientation and mode come out as a viewer shows them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from kivfm_core.data.images import open_image
from kivfm_core.data.modes import NOTE
from kivfm_core.errors import DataError

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
