"""Measured depth: PNGs of whole numbers and NumPy files of meters, read and refused."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from kivfm_core.data.formats.depth import read_depth
from kivfm_core.errors import DataError

H, W = 6, 8
METERS = np.linspace(1, 9, H * W).reshape(H, W)


def write(folder, maps, unit=None):
    """Writes images and their depth: PNGs of whole numbers, or NumPy files of meters."""
    for name in ("images", "depth"):
        (folder / name).mkdir(exist_ok=True)
    for name, depth in maps.items():
        Image.new("RGB", (W, H)).save(folder / "images" / f"{name}.jpg")
        if depth.dtype == np.uint16:
            Image.fromarray(depth).save(folder / "depth" / f"{name}.png")
        else:
            np.save(folder / "depth" / f"{name}.npy", depth)
    if unit is not None:
        (folder / "depth/depth.json").write_text(json.dumps(unit))
    return folder


def test_folders_of_png_and_numpy(tmp_path):
    holes = METERS.copy()
    holes[0, :3] = [np.nan, np.inf, -1]
    data = read_depth(write(tmp_path, {"a": (1000 * METERS).astype(np.uint16), "b": holes}))
    assert [path.name for path in data.paths] == ["a.jpg", "b.jpg"]
    np.testing.assert_allclose(data.depth(0), METERS, atol=1e-3)
    assert (data.depth(1)[0, :3] == 0).all()
    np.testing.assert_array_equal(data.depth(1)[1:], METERS[1:])
    assert [path.name for path in data.take(1).paths] == ["a.jpg"]


@settings(max_examples=40, deadline=None)
@given(arrays(st.sampled_from([np.float16, np.float32, np.float64]), (H, W)))
def test_depth_is_a_distance_or_not_measured(values):
    with TemporaryDirectory() as folder:
        found = read_depth(write(Path(folder), {"a": values})).depth(0)
    with np.errstate(invalid="ignore"):
        measured = (values > 0) & (values.astype(float) <= np.finfo(np.float32).max)
    np.testing.assert_array_equal(found[measured], values[measured].astype(float))
    assert (found[~measured] == 0).all()


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint16, (H, W)), st.floats(1e-6, 10))
def test_a_png_counts_steps_of_its_unit(steps, unit):
    with TemporaryDirectory() as folder:
        data = read_depth(write(Path(folder), {"a": steps}, {"unit": unit}))
        np.testing.assert_allclose(data.depth(0), steps * unit)


def test_the_unit_may_lie_beside_the_folders_and_under_its_first_name(tmp_path):
    units = np.full((H, W), 512, np.uint16)
    write(tmp_path, {"a": units})
    (tmp_path / "depth.json").write_text('{"unit": 0.5}')
    assert (read_depth(tmp_path).depth(0) == 256).all()
    (tmp_path / "depth/scale.json").write_text(json.dumps({"scale": 1 / 256}))  # KITTI's
    assert (read_depth(tmp_path).depth(0) == 2).all()


@pytest.mark.parametrize(
    "unit", [0.001, {}, {"unit": 0}, {"unit": -1}, {"unit": "mm"}, {"unit": True}]
)
def test_what_is_no_unit_is_refused(tmp_path, unit):
    with pytest.raises(DataError, match=r"depth\.json") as caught:
        read_depth(write(tmp_path, {"a": METERS}, unit))
    assert "0.001" in caught.value.hint


def test_a_unit_that_is_no_json_is_refused(tmp_path):
    write(tmp_path, {"a": METERS}, {})
    (tmp_path / "depth/depth.json").write_text('{"unit": Infinity}')
    with pytest.raises(DataError, match="finite"):
        read_depth(tmp_path)
    (tmp_path / "depth/depth.json").write_text("a meter")
    with pytest.raises(DataError, match=r"depth\.json is not JSON"):
        read_depth(tmp_path)


def test_another_folder_is_not_this_format(tmp_path):
    assert read_depth(tmp_path) is None
    (tmp_path / "images").mkdir()
    assert read_depth(tmp_path) is None
    (tmp_path / "depth").mkdir()
    with pytest.raises(DataError, match="no image"):
        read_depth(tmp_path)


def test_images_without_a_map_are_counted_and_folders_inside_read(tmp_path):
    write(tmp_path, {"a": METERS, "b.c": METERS})
    (tmp_path / "depth/a.npy").unlink()
    (tmp_path / "images/x").mkdir()
    (tmp_path / "depth/x").mkdir()
    Image.new("RGB", (W, H)).save(tmp_path / "images/x/a.png")
    np.save(tmp_path / "depth/x/a.npy", 2 * METERS)
    data = read_depth(tmp_path)
    assert data.notes == ("images without a map of depth, passed over: 1 (first: a.jpg)",)
    assert [path.name for path in data.paths] == ["b.c.jpg", "a.png"]
    np.testing.assert_array_equal(data.depth(1), 2 * METERS)


def save_pickle(file):
    np.save(file, np.array([{}]), allow_pickle=True)


def save_archive(file):
    with file.open("wb") as opened:
        np.savez(opened, METERS)


def save_promise(file):
    """A header that promises more than the file holds."""
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    head = head.ljust(117) + b"\n"
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)


@pytest.mark.parametrize(
    "save",
    [
        save_pickle, save_archive, save_promise,
        lambda file: file.write_bytes(b"\x93NUMPY"),
        lambda file: np.save(file, np.zeros((H, W, 3))),
        lambda file: np.save(file, np.zeros((H, W), complex)),
        lambda file: np.save(file, np.float64(1)),
    ],
)  # fmt: skip
def test_files_that_are_no_maps_are_named(tmp_path, save):
    write(tmp_path, {"a": METERS, "b": METERS})
    save(tmp_path / "depth/b.npy")
    with pytest.raises(DataError, match=r"b\.npy") as caught:
        read_depth(tmp_path)
    assert "16-bit gray" in caught.value.hint


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "1"])
def test_a_png_needs_sixteen_bits(tmp_path, mode):
    write(tmp_path, {"a": np.ones((H, W), np.uint16)})
    Image.new(mode, (W, H)).save(tmp_path / "depth/a.png")
    with pytest.raises(DataError, match=rf"a\.png has no 16 bits a pixel \(its mode is {mode}\)"):
        read_depth(tmp_path)
    (tmp_path / "depth/a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot open the map of depth .*a\.png"):
        read_depth(tmp_path)


def test_a_map_that_breaks_off_is_named_when_it_is_read(tmp_path):
    write(tmp_path, {"a": np.arange(H * W, dtype=np.uint16).reshape(H, W)})
    file = tmp_path / "depth/a.png"
    file.write_bytes(file.read_bytes()[:-30])
    data = read_depth(tmp_path)
    with pytest.raises(DataError, match=r"cannot decode the map of depth .*a\.png"):
        data.depth(0)


@pytest.mark.parametrize("values", [METERS[1:], np.ones((W, H), np.uint16)])
def test_a_map_of_another_size_than_its_image_is_refused(tmp_path, values):
    write(tmp_path, {"a": values})
    with pytest.raises(DataError, match=r"a\.jpg is 8 x 6 pixels .*, its map of depth \d x \d"):
        read_depth(tmp_path)
