"""The real nano segmenter finds what the reference implementation finds, on real photographs."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.exports.export import export
from kivfm_core.geometry import plan_frame
from kivfm_core.models.open import open_model
from kivfm_core.teacher import load_teacher
from kivfm_yolov8.plugin import SIZES, spec

ASSETS = Path(__file__).parents[4] / "shared" / "assets"
WEIGHTS = ASSETS / "weights" / "yolov8n_seg.coco80.pth"
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "export-a-model.md"
PHOTOS = sorted((ASSETS / "data" / "coco_val" / "images").glob("*"))[:2]
pytestmark = [
    pytest.mark.assets,
    pytest.mark.skipif(not ASSETS.is_dir(), reason=f"{ASSETS} is absent"),
]


@pytest.fixture(scope="module")
def segmenter():
    return load_teacher(spec("n", SIZES["n"], masks=True), WEIGHTS)


@pytest.fixture(scope="module")
def reference():
    place = ASSETS / "yolov8n_seg_reference.py"
    found = importlib.util.spec_from_file_location("yolov8n_seg_reference", place)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.stem)
def test_boxes_scores_and_masks_are_the_reference_s(photo, segmenter, reference):
    pixels = to_tensor(open_image(photo))
    canvas, (_, _, left, top) = reference.letterbox(pixels)
    frame = plan_frame(tuple(pixels.shape[1:]), segmenter.spec.input)
    assert frame.offset == (left, top)
    theirs = reference.yolov8n_seg()
    with torch.no_grad():
        maps = theirs.features(canvas)
        boxes, logits, weights, prototypes = theirs.decode(maps)
        ours = segmenter.encode(canvas, [frame])
        head = segmenter.decoders.part("detection")
        every = head.candidates(ours)
    for mine, other in zip(ours.values(), maps, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(every.boxes, boxes.mT, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(every.scores, logits.sigmoid().mT, rtol=0, atol=1e-4)

    found = segmenter.decode("instance-segmentation", ours)
    items = found.to_original([frame])[0]
    boxes, scores, labels, masks = reference.detect(theirs, pixels, score=0.001)
    assert len(scores) > 5 and torch.equal(items["labels"], labels)
    torch.testing.assert_close(items["boxes"], boxes, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(items["scores"], scores, rtol=0, atol=1e-4)
    # The reference cuts masks off at boxes in pixels of the photograph, kivfm in cells of the
    # prototypes: four pixels of the canvas.
    sure = scores > 0.25
    both = (items["masks"] & masks)[sure].sum((1, 2))
    assert (both / (items["masks"] | masks)[sure].sum((1, 2))).mean() > 0.93

    sampled = (weights[0].mT @ prototypes[0].flatten(1)).sigmoid().unflatten(1, (160, 160))
    places = every.chosen()[1][0]
    inside = found.masks[0] > 0
    torch.testing.assert_close(found.masks[0][inside], sampled[places][inside], rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "folder", "ap"),
    [
        ("detection", "coco_val", 0.419),
        ("instance-segmentation", "coco_val", 0.323),
        ("detection", "coco_val_boxes", 0.354),
    ],
)
def test_average_precision(task, folder, ap, segmenter):
    """By ../shared/assets/MANIFEST.md."""
    found = evaluate_teacher(segmenter, task, str(ASSETS / "data" / folder))
    assert found == pytest.approx(ap, abs=0.005)


@pytest.mark.slow
def test_an_export_finds_the_same_without_kivfm(segmenter, tmp_path):
    """By the script of the page on exports."""
    block = r'^```python title="detect.py"\n(.*?)^```'
    script = re.findall(block, PAGE.read_text(), re.M | re.S)[0]
    (tmp_path / "detect.py").write_text(script)
    model = open_model("yolov8/n-seg", "cpu", WEIGHTS)
    export(model, "onnx", tmp_path / "y.onnx", task="instance-segmentation")
    # Of the canvas's own size, so that nobody's way of resizing matters.
    Image.open(PHOTOS[1]).convert("RGB").resize((640, 480)).save(tmp_path / "photo.png")
    words = [sys.executable, "detect.py", "y.onnx", "photo.png"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)

    pixels = to_tensor(open_image(tmp_path / "photo.png"))
    canvases, frames = make_canvases([pixels], segmenter.spec.input)
    levels = segmenter.encode(canvases, frames)
    (right,) = segmenter.decode("instance-segmentation", levels).to_original(frames)
    sure = right["scores"] > 0.3
    assert sure.sum() > 1
    told = [[float(word) for word in line.split()[-4:]] for line in done.stdout.splitlines()]
    for box, true in zip(right["boxes"][sure], right["masks"][sure].numpy(), strict=True):
        off = (torch.tensor(told) - box).abs().amax(1)
        assert off.min() < 0.6  # they are told in whole pixels
        mask = np.array(Image.open(tmp_path / f"mask-{off.argmin()}.png")) > 0
        assert (mask & true).sum() > 0.95 * (mask | true).sum()
