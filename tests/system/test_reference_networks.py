"""Scores equal those of reference networks under pycocotools and scikit-learn, on real photos.

The references share no code with kivfm: network, letterbox, suppression and metric are others'.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import confusion_matrix
from torch import Tensor, nn
from torchvision.ops import batched_nms

from kivfm_cli.app import main

ASSETS = Path(__file__).parents[2].parent / "shared" / "assets"
DATA = ASSETS / "data/coco_val"
SIDE, PAD = 416, 114
# The classes of PASCAL VOC, by COCO's names.
VOC = (
    "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch",
    "train", "tv",
)  # fmt: skip

pytestmark = [
    pytest.mark.assets,
    pytest.mark.skipif(not ASSETS.is_dir(), reason="../shared/assets is not here"),
]


def reference(name: str) -> nn.Module:
    """A network of those who collected its weights."""
    spec = importlib.util.spec_from_file_location("loaders", ASSETS / "reference_loaders.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)()


def letterboxed(file: Path) -> tuple[Tensor, Tensor]:
    """The network's input; and its pixels for a pixel of the image, in x, y, x, y."""
    image = np.array(Image.open(file).convert("RGB"))
    scale = min(SIDE / image.shape[0], SIDE / image.shape[1])
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    size = (int(image.shape[0] * scale), int(image.shape[1] * scale))
    whole = torch.full((1, 3, SIDE, SIDE), float(PAD))
    whole[..., : size[0], : size[1]] = F.interpolate(pixels, size, mode="bilinear")
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    x, y = size[1] / image.shape[1], size[0] / image.shape[0]
    return (whole / 255 - mean) / std, torch.tensor([x, y, x, y])


def boxes_of(raw: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes xyxy, scores and classes of one image, as `reference_loaders.py` says."""
    found = []
    for level in raw:
        h, w = level.shape[2:]
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        own, stride = level[0], SIDE / h
        cx, cy = (own[0] + x) * stride, (own[1] + y) * stride
        w_half, h_half = own[2].exp() * stride / 2, own[3].exp() * stride / 2
        corners = torch.stack([cx - w_half, cy - h_half, cx + w_half, cy + h_half], -1)
        score, label = (own[4].sigmoid() * own[5:].sigmoid()).max(0)
        found.append((corners.reshape(-1, 4), score.flatten(), label.flatten()))
    boxes, scores, labels = (torch.cat(column) for column in zip(*found, strict=True))
    keep = scores > 0.001
    boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
    keep = batched_nms(boxes, scores, labels, 0.65)
    return boxes[keep], scores[keep], labels[keep]


def reference_ap() -> tuple[float, int]:
    """pycocotools' AP, and how many images were measured."""
    truth, net = COCO(str(DATA / "instances.json")), reference("yolox_nano")
    ids, lines = sorted(truth.getCatIds()), list[dict[str, Any]]()
    for image in truth.loadImgs(truth.getImgIds()):
        canvas, scale = letterboxed(next(DATA.rglob(image["file_name"])))
        with torch.inference_mode():
            boxes, scores, labels = boxes_of(net(canvas))
        # YOLOX's own script maps both axes by one scale, though sides are rounded, and leaves boxes
        # that reach beyond the image: 0.0025 less.
        ends = torch.tensor([image["width"], image["height"]] * 2)
        boxes = (boxes / scale).clamp(min=0).minimum(ends)
        for box, score, label in zip(boxes, scores.tolist(), labels, strict=True):
            x, y, x2, y2 = box.tolist()
            lines.append(
                {
                    "image_id": image["id"], "category_id": ids[label],
                    "bbox": [x, y, x2 - x, y2 - y], "score": score,
                }
            )  # fmt: skip
    meter = COCOeval(truth, truth.loadRes(lines), "bbox")
    meter.evaluate()
    meter.accumulate()
    meter.summarize()
    return float(meter.stats[0]), len(truth.getImgIds())


def test_box_ap_is_that_of_the_reference(capsys: pytest.CaptureFixture[str]):
    row = measured(capsys, "yolox/nano", "yolox_nano.coco80.pth", "detection")
    theirs, images = reference_ap()
    assert row["pictures"] == images
    assert row["teacher_score"] == pytest.approx(theirs, abs=1e-5)


def measured(capsys: pytest.CaptureFixture[str], name: str, file: str, task: str) -> dict[str, Any]:
    """A teacher's row of `kivfm evaluate`."""
    line = f"evaluate {name} --weights {ASSETS / 'weights' / file} --data {task}={DATA}"
    assert main([*line.split(), "--accelerator", "cpu", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    return row


def painted(truth: COCO, image: dict[str, Any]) -> Tensor:
    """An image's classes: smaller objects lie on larger ones, and other classes are background."""
    found = torch.zeros(image["height"], image["width"], dtype=torch.long)
    items = [(truth.annToMask(item), item) for item in truth.imgToAnns[image["id"]]]
    for mask, item in sorted(items, key=lambda pair: -int(pair[0].sum())):
        assert not item["iscrowd"]
        name = truth.cats[item["category_id"]]["name"]
        if name in VOC:
            found[torch.from_numpy(mask).bool()] = 1 + VOC.index(name)
    return found


def reference_iou() -> float:
    """The mean over the classes that the truth shows, from scikit-learn's confusion matrix."""
    truth, net = COCO(str(DATA / "instances.json")), reference("deeplab")
    counts = np.zeros((21, 21))
    for image in truth.loadImgs(truth.getImgIds()):
        pixels = np.array(Image.open(next(DATA.rglob(image["file_name"]))).convert("RGB"))
        height, width = pixels.shape[:2]
        size = [int(side * (513 / max(height, width)) + 1e-6) for side in (height, width)]
        whole = torch.full((1, 3, 513, 513), 0.5)
        part = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        whole[..., : size[0], : size[1]] = F.interpolate(part, size, mode="bilinear")
        with torch.inference_mode():
            logits = net((whole - 0.5) / 0.5)[..., : size[0], : size[1]]
        found = F.interpolate(logits, (height, width), mode="bilinear").argmax(1)[0]
        target = painted(truth, image)
        counts += confusion_matrix(target.ravel(), found.ravel(), labels=range(21))
    both, shown = counts.diagonal(), counts.sum(1)
    ious = both / (shown + counts.sum(0) - both).clip(1)
    return float(ious[shown > 0].mean())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_mean_iou_is_that_of_the_reference(capsys: pytest.CaptureFixture[str]):
    row = measured(capsys, "deeplab/mnv2-voc", "deeplabv3_mnv2.voc21.pth", "semantic-segmentation")
    assert row["teacher_score"] == pytest.approx(reference_iou(), abs=1e-5)
