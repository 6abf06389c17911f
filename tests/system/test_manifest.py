"""Teachers score on real photographs what ../shared/assets/MANIFEST.md says (YOLOX: its plugin).

The manifest's figures are on more photographs than are given: 1000 for the classifiers, of which
700 are here, and 128 for the segmenter, of which 96 are here. The tolerance is three standard
errors of such a part of them for the classifiers, and as much for the segmenter.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.teacher import load_teacher

ASSETS = Path(__file__).parents[2].parent / "shared" / "assets"

pytestmark = [
    pytest.mark.assets,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not ASSETS.is_dir(), reason="../shared/assets is not here"),
]


@pytest.mark.parametrize(
    ("name", "file", "task", "folder", "score"),
    [
        ("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k",
         "vit_tiny_patch16_224.augreg_in21k_ft_in1k.pth",
         "classification", "imagenet_photos", 0.813),
        ("torchvision/squeezenet1_0",
         "squeezenet1_0.deepcompression_in1k.torchvision.pth",
         "classification", "imagenet_photos", 0.617),
        ("deeplab/mnv2-voc",
         "deeplabv3_mnv2.voc21.pth",
         "semantic-segmentation", "coco_photos", 0.602),
    ],
)  # fmt: skip
def test_a_teacher_is_wired_as_it_was_trained(
    name: str, file: str, task: str, folder: str, score: float
):
    teacher = load_teacher(name, ASSETS / "weights" / file)
    found = evaluate_teacher(teacher, task, str(ASSETS / "data" / folder))
    assert found == pytest.approx(score, abs=0.03)
