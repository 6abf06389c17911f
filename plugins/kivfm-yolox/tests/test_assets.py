"""The real nano file scores on real photographs what ../shared/assets/MANIFEST.md says."""

from pathlib import Path

import pytest

from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.teacher import load_teacher
from kivfm_yolox.plugin import SIZES, spec

ASSETS = Path(__file__).parents[4] / "shared" / "assets"
pytestmark = [
    pytest.mark.assets,
    pytest.mark.skipif(not ASSETS.is_dir(), reason=f"{ASSETS} is absent"),
]


@pytest.mark.parametrize(("folder", "ap"), [("coco_val", 0.281), ("coco_val_boxes", 0.277)])
def test_average_precision(folder, ap):
    nano = load_teacher(spec("nano", SIZES["nano"]), ASSETS / "weights" / "yolox_nano.coco80.pth")
    found = evaluate_teacher(nano, "detection", str(ASSETS / "data" / folder))
    assert found == pytest.approx(ap, abs=0.01)
