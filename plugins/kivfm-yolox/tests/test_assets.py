"""The real nano file scores on real photographs what ../shared/assets/MANIFEST.md says."""

import json
from pathlib import Path

import pytest
import torch
from kivfm_yolox.plugin import SIZES, spec
from PIL import Image

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.teacher import load_teacher

ASSETS = Path(__file__).parents[4] / "shared" / "assets"
pytestmark = [
    pytest.mark.assets,
    pytest.mark.skipif(not ASSETS.is_dir(), reason=f"{ASSETS} is absent"),
]


@pytest.fixture(scope="module")
def nano():
    return load_teacher(spec("nano", SIZES["nano"]), ASSETS / "weights" / "yolox_nano.coco80.pth")


@pytest.mark.parametrize(("folder", "ap"), [("coco_val", 0.281), ("coco_val_boxes", 0.277)])
def test_average_precision(nano, folder, ap):
    from faster_coco_eval import COCO, COCOeval_faster

    root = ASSETS / "data" / folder
    truth = COCO(json.loads((root / "instances.json").read_text()))
    ids = {category["name"]: category["id"] for category in truth.dataset["categories"]}
    results = []
    for image in truth.dataset["images"]:
        picture = to_tensor(Image.open(root / "images" / image["file_name"]))
        canvases, frames = make_canvases([picture], nano.spec.input)
        found = nano.decode("detection", nano.encode(canvases, frames)).to_original(frames)[0]
        corners = found["boxes"]
        boxes = torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], dim=1)
        for box, score, label in zip(boxes, found["scores"], found["labels"], strict=True):
            category = ids[nano.spec.task("detection").labels[label]]
            results.append({"image_id": image["id"], "category_id": category,
                            "bbox": box.tolist(), "score": float(score)})  # fmt: skip
    scorer = COCOeval_faster(truth, truth.loadRes(results), "bbox")
    scorer.run()
    assert scorer.stats[0] == pytest.approx(ap, abs=0.01)
