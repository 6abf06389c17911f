"""Detection, instance and promptable segmentation, worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle import Oracle, oracle_spec

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.predictions import Detections, Instances, Masks
from kivfm_core.scenes.coco import encode_mask
from kivfm_core.spec import InputContract
from kivfm_core.tasks.meters.detection import Detection
from kivfm_core.tasks.meters.instance_segmentation import InstanceSegmentation
from kivfm_core.tasks.meters.promptable_segmentation import PromptableSegmentation, inside

SIZE = (40, 60)
FRAME = Frame(SIZE, (0, 0, 60, 40), SIZE, (0, 0), SIZE)
SPACE = ("cat", "dog", "ufo")
BOXES = torch.tensor([[0.0, 0, 20, 20], [30, 10, 50, 30]])


def rectangle(box: list[float]) -> np.ndarray:
    x0, y0, x1, y1 = (int(v) for v in box)
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def dataset(categories: tuple[str, str] = ("dog", "cat")) -> CocoData:
    """One picture: `BOXES`, the first of category 3, the second of category 8."""
    items: list[dict[str, Any]] = [
        {
            "id": i,
            "image_id": 4,
            "category_id": category,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "segmentation": encode_mask(rectangle([x0, y0, x1, y1])),
        }
        for i, (category, (x0, y0, x1, y1)) in enumerate(zip((3, 8), BOXES.tolist(), strict=True))
    ]
    image = {"id": 4, "file_name": "a.png", "height": 40, "width": 60}
    names = tuple({"id": id, "name": n} for id, n in zip((3, 8), categories, strict=True))
    return CocoData((Path("a.png"),), (image,), (items,), names)


def detections(boxes: torch.Tensor, labels: tuple[int, ...] = (1, 0)) -> Detections:
    scores = torch.linspace(0.9, 0.5, len(boxes))
    return Detections([boxes], [scores], [torch.tensor(labels)])


def ap(found: Detections) -> float:
    meter = Detection(dataset(), SPACE)
    meter.update(found, [0], [FRAME])
    return meter.compute()


def test_perfect_boxes() -> None:
    assert ap(detections(BOXES)) == pytest.approx(1.0)


def test_shifted_boxes_pass_the_thresholds_that_they_pass() -> None:
    # Shifted by 5 of 20: IoU 15 * 20 / (25 * 20) = 0.6, so 0.50, 0.55 and (touching) 0.60 of ten.
    assert ap(detections(BOXES + torch.tensor([4.9, 0, 4.9, 0]))) == pytest.approx(0.3)


def test_labels_go_by_name() -> None:
    assert ap(detections(BOXES, (0, 1))) == 0.0
    assert ap(detections(BOXES[:1], (1,))) == pytest.approx(0.5)  # one of two categories
    extra = torch.cat([BOXES[:1], BOXES])
    assert ap(detections(extra, (2, 1, 0))) == pytest.approx(1.0)  # no category: not counted


def test_two_categories_of_one_label_are_one_class() -> None:
    meter = Detection(dataset(("Dog", "dog")), SPACE)
    meter.update(detections(BOXES, (1, 1)), [0], [FRAME])
    assert meter.compute() == pytest.approx(1.0)


def test_no_detections_and_no_category() -> None:
    empty = Detections([torch.zeros(0, 4)], [torch.zeros(0)], [torch.zeros(0, dtype=torch.long)])
    assert ap(empty) == 0.0
    with pytest.raises(DataError, match="none of the data's 2 classes"):
        Detection(dataset(("x", "y")), SPACE)


def test_only_pictures_that_were_seen_count() -> None:
    data = dataset()
    twice = CocoData(
        data.paths * 2,
        (*data.images, {**data.images[0], "id": 5}),
        data.annotations * 2,
        data.categories,
    )
    meter = Detection(twice, SPACE)
    meter.update(detections(BOXES), [0], [FRAME])
    assert meter.compute() == pytest.approx(1.0)


@pytest.mark.parametrize("region", ["box", "canvas"])
def test_masks(region: Any) -> None:
    masks = torch.ones(2, 14, 14)
    if region == "canvas":
        masks = torch.from_numpy(np.stack([rectangle(b) for b in BOXES.tolist()])).float()
    found = detections(BOXES)
    meter = InstanceSegmentation(dataset(), SPACE)
    meter.update(Instances(found.boxes, found.scores, found.labels, [masks], region), [0], [FRAME])
    assert meter.compute() > (0.99 if region == "canvas" else 0.6)  # soft edges when pasted


def test_no_masks() -> None:
    meter = InstanceSegmentation(dataset(), SPACE)
    nothing = torch.zeros(0)
    found = Instances([torch.zeros(0, 4)], [nothing], [nothing.long()], [torch.zeros(0, 14, 14)])
    meter.update(found, [0], [FRAME])
    assert meter.compute() == 0.0


def test_the_click_is_inside_and_deterministic() -> None:
    rows, columns = np.mgrid[:41, :41]
    disc = (rows - 20) ** 2 + (columns - 12) ** 2 <= 81
    assert inside(disc) == (12.5, 20.5)
    ring = disc & ((rows - 20) ** 2 + (columns - 12) ** 2 >= 25)
    x, y = inside(ring)
    assert ring[int(y), int(x)]
    full = np.ones((5, 9), bool)
    assert inside(full)[1] == 2.5


@pytest.mark.parametrize("policy", ["letterbox", "stretch", "letterbox-center"])
def test_clicks_reach_the_teacher_in_canvas_pixels(policy: Any) -> None:
    contract = InputContract(policy=policy, size=120)
    frame = plan_frame(SIZE, contract)
    meter = PromptableSegmentation(dataset(), None)
    prompt = meter.prompt(Oracle(oracle_spec({"promptable-segmentation": "none"})), [0], [frame])
    (points,) = prompt["points"]
    assert points.shape == (2, 2)
    back = [frame.to_original(*point) for point in points.tolist()]
    for (x, y), box in zip(back, BOXES.tolist(), strict=True):
        assert box[0] < x < box[2] and box[1] < y < box[3]


def test_mean_iou_of_one_click() -> None:
    meter = PromptableSegmentation(dataset(), None)
    right = torch.from_numpy(rectangle([0, 0, 20, 20])).float()
    half = torch.from_numpy(rectangle([30, 10, 40, 30])).float()
    meter.update(Masks([torch.stack([right, half]) * 2 - 1]), [0], [FRAME])
    assert meter.compute() == pytest.approx((1 + 0.5) / 2)
