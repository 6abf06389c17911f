"""The real nano segmenter finds what the reference implementation finds, on real photographs."""

import importlib.util
from pathlib import Path

import pytest
import torch

from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.geometry import plan_frame
from kivfm_core.teacher import load_teacher
from kivfm_yolov8.plugin import SIZES, spec

ASSETS = Path(__file__).parents[4] / "shared" / "assets"
PHOTOS = sorted((ASSETS / "data" / "coco_val" / "images").glob("*"))[:2]
pytestmark = [
    pytest.mark.assets,
    pytest.mark.skipif(not ASSETS.is_dir(), reason=f"{ASSETS} is absent"),
]


@pytest.fixture(scope="module")
def segmenter():
    file = ASSETS / "weights" / "yolov8n_seg.coco80.pth"
    return load_teacher(spec("n", SIZES["n"], masks=True), file)


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
