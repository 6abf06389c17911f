"""Depth against measured depth: labels, the score, and the drawing, on values known by hand."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from kivfm_core.errors import DataError
from kivfm_core.geometry import plan_frame
from kivfm_core.prediction.draw import Drawing
from kivfm_core.spec import InputContract
from kivfm_transformers.depth.data import read_depth
from kivfm_transformers.depth.drawing import colored, draw_depth, nearness, summary, turbo
from kivfm_transformers.depth.maps import DepthMap, DepthMaps, check_depth
from kivfm_transformers.depth.meter import Depth, align, compare

H, W = 6, 8


@pytest.fixture
def true():
    """Meters, different everywhere."""
    return torch.linspace(1, 9, H * W, dtype=torch.float64).view(H, W)


@pytest.fixture
def write(tmp_path):
    """Writes images and their depth: PNGs of whole numbers, or NumPy files of meters."""

    def write(maps, scale=None):
        for folder in ("images", "depth"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for name, depth in maps.items():
            Image.new("RGB", (W, H)).save(tmp_path / "images" / f"{name}.jpg")
            if depth.dtype == np.uint16:
                Image.fromarray(depth).save(tmp_path / "depth" / f"{name}.png")
            else:
                np.save(tmp_path / "depth" / f"{name}.npy", depth)
        if scale is not None:
            (tmp_path / "depth" / "scale.json").write_text(json.dumps(scale))
        return tmp_path

    return write


def relative(depth):
    return DepthMap(depth, "relative")


def metric(depth):
    return DepthMap(depth, "metric")


def test_inverse_depth_in_another_scale_and_shift_is_right(true):
    delta1, absrel = compare(relative(3 / true + 7), true)
    assert delta1 == 1
    assert absrel == pytest.approx(0, abs=1e-9)


def test_metric_depth_is_not_aligned(true):
    assert compare(metric(true), true) == (1, 0)
    delta1, absrel = compare(metric(1.2 * true), true)
    assert (delta1, absrel) == (1, pytest.approx(0.2))
    delta1, absrel = compare(metric(1.3 * true), true)
    assert (delta1, absrel) == (0, pytest.approx(0.3))
    # Too near counts as much as too far: 1 / 0.75 is above 1.25.
    delta1, absrel = compare(metric(0.75 * true), true)
    assert (delta1, absrel) == (0, pytest.approx(0.25))


def test_a_part_that_is_wrong_counts_by_its_pixels(true):
    predicted = true.clone()
    predicted[: H // 3] *= 2
    delta1, absrel = compare(metric(predicted), true)
    assert delta1 == pytest.approx(2 / 3)
    assert absrel == pytest.approx(1 / 3)


def test_alignment_is_least_squares(true):
    values, wanted = torch.rand(50, dtype=torch.float64), torch.rand(50, dtype=torch.float64)
    system = torch.stack([values, torch.ones_like(values)], 1)
    solution = torch.linalg.lstsq(system, wanted[:, None]).solution
    torch.testing.assert_close(align(values, wanted), (system @ solution)[:, 0])
    # Inverse depths 1 and 1/2 predicted as the same number: aligned to 3/4, so depth 4/3.
    delta1, absrel = compare(relative(torch.ones(1, 2)), torch.tensor([[1.0, 2.0]]).double())
    assert delta1 == 0
    assert absrel == pytest.approx((1 / 3 + 1 / 3) / 2)


def test_pixels_without_depth_do_not_count(true):
    predicted = 1 / true
    predicted[0] = 100.0
    holes = true.clone()
    holes[0] = 0
    assert compare(relative(predicted), holes)[0] == 1
    assert compare(relative(predicted), true)[0] < 1
    predicted[0] = torch.nan  # the canvas does not show it
    assert compare(relative(predicted), true)[0] == 1
    assert compare(relative(predicted), torch.zeros_like(true)) is None


def test_a_map_that_is_not_finite_is_wrong(true):
    predicted = true.clone()
    predicted[0] = torch.inf
    delta1, absrel = compare(metric(predicted), true)
    assert delta1 == pytest.approx(1 - 1 / H)
    assert absrel == torch.inf


def test_folders_of_png_and_numpy(write, true):
    meters = true.numpy()
    holes = meters.copy()
    holes[0, :3] = [np.nan, np.inf, -1]
    data = read_depth(write({"a": (1000 * meters).astype(np.uint16), "b": holes}))
    assert [path.name for path in data.paths] == ["a.jpg", "b.jpg"]
    np.testing.assert_allclose(data.depth(0), meters, atol=1e-3)
    assert (data.depth(1)[0, :3] == 0).all()
    np.testing.assert_array_equal(data.depth(1)[1:], meters[1:])
    assert [path.name for path in data.take(1).paths] == ["a.jpg"]


def test_the_scale_of_png(write, true):
    units = np.full((H, W), 512, np.uint16)
    data = read_depth(write({"a": units}, {"scale": 1 / 256}))  # KITTI's
    assert (data.depth(0) == 2).all()


@pytest.mark.parametrize("scale", [0.001, {}, {"scale": 0}, {"scale": "mm"}, {"scale": True}])
def test_what_is_no_scale_is_refused(write, true, scale):
    with pytest.raises(DataError, match=r"scale\.json") as caught:
        read_depth(write({"a": true.numpy()}, scale))
    assert "0.001" in caught.value.hint


def test_another_folder_is_not_this_format(tmp_path):
    assert read_depth(tmp_path) is None
    (tmp_path / "images").mkdir()
    assert read_depth(tmp_path) is None
    (tmp_path / "depth").mkdir()
    with pytest.raises(DataError, match="no image"):
        read_depth(tmp_path)


def test_files_that_are_no_maps_are_named(write, true, tmp_path):
    data = read_depth(write({"a": true.numpy(), "b": np.zeros((H, W, 3))}))
    with pytest.raises(DataError, match=r"b\.npy"):
        data.depth(1)
    np.save(data.maps[0], np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy"):
        data.depth(0)
    data.maps[0].write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"a\.npy"):
        data.depth(0)


def test_the_meter_takes_batches(write, true):
    data = read_depth(write({"a": true.numpy(), "b": true.numpy(), "c": 0 * true.numpy()}))
    contract = InputContract(policy="short-side", size=H)
    frames = [plan_frame((H, W), contract)] * 2
    meter = Depth(data)
    meter.update(DepthMaps(torch.stack([true, 1.3 * true]), "metric"), [0, 1], frames)
    meter.update(DepthMaps(true[None], "metric"), [2], frames[:1])
    assert meter.compute() == 0.5
    # Of draws: the first image twice, all of them, and the one that has no depth.
    drawn = meter.resample(np.array([[2.0, 1, 0], [1, 1, 1], [0, 0, 3]]))
    assert drawn == pytest.approx([2 / 3, 0.5, np.nan], nan_ok=True)
    assert meter.absrel == [pytest.approx(0, abs=1e-6), pytest.approx(0.3)]
    with pytest.raises(DataError, match="no image"):
        Depth(data).compute()


def test_a_map_of_another_size_than_its_image_is_refused(write, true):
    meter = Depth(read_depth(write({"a": true.numpy()[1:]})))
    frame = plan_frame((H, W), InputContract(policy="short-side", size=H))
    with pytest.raises(DataError, match=r"a.jpg has \(6, 8\) pixels"):
        meter.update(DepthMaps(true[None], "metric"), [0], [frame])


def test_near_is_warm_in_both_kinds(true):
    assert nearness(metric(true))[0, 0] == 1 and nearness(metric(true))[-1, -1] == 0
    assert nearness(relative(true))[0, 0] == 0 and nearness(relative(true))[-1, -1] == 1
    near, far = colored(metric(true))[:, 0, 0].int(), colored(metric(true))[:, -1, -1].int()
    assert near[0] > near[2] and far[2] > far[0]
    assert not nearness(relative(torch.ones(2, 2))).any()


def test_the_map_is_drawn_in_place_of_the_image(true):
    drawing = Drawing(torch.full((3, H, W), 7, dtype=torch.uint8))
    rows = draw_depth(drawing, metric(true), None, None)
    assert rows == summary(metric(true))
    zoom = drawing.zoom
    drawn = drawing.image[:, : H * zoom : zoom, : W * zoom : zoom]
    assert torch.equal(drawn, colored(metric(true)))
    assert drawing.image.shape[1] > H * zoom  # the rows are below


def test_what_is_unknown_is_black(true):
    true[0, 0] = torch.nan
    assert not colored(metric(true))[:, 0, 0].any()
    assert not colored(metric(torch.full((2, 2), torch.nan))).any()
    assert summary(metric(torch.full((2, 2), torch.nan))) == []


def test_turbo_goes_from_blue_over_green_to_red():
    ends = turbo(torch.tensor([[0.1, 0.5, 0.9]]))[:, 0].argmax(0)
    assert ends.tolist() == [2, 1, 0]


def test_rows_are_the_least_the_middle_and_the_largest(true):
    rows = summary(metric(true))
    assert [row["label"] for row in rows] == ["minimum", "median", "maximum"]
    assert [row["meters"] for row in rows] == [1, pytest.approx(5, abs=0.1), 9]
    assert [row["inverse_depth"] for row in summary(relative(true))] == [
        row["meters"] for row in rows
    ]


def test_the_kit_names_what_is_wrong_with_a_form(true):
    assert check_depth(DepthMaps(true[None], "metric"), None) == ""
    assert check_depth(DepthMaps(-true[None], "relative"), None) == ""
    assert "negative" in check_depth(DepthMaps(-true[None], "metric"), None)
    assert "[B, h, w]" in check_depth(DepthMaps(true, "metric"), None)
    assert "finite" in check_depth(DepthMaps(true[None] / 0, "metric"), None)
    assert "disparity" in check_depth(DepthMaps(true[None], "disparity"), None)
