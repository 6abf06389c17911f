"""Three real teachers on real photographs, shortened; the whole of it is `benchmarks/real`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2].parent / "shared" / "assets"
KIVFM = Path(sys.executable).with_name("kivfm")
WEIGHTS = {
    "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k": (
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k.pth"
    ),
    "yolox/nano": "yolox_nano.coco80.pth",
    "deeplab/mnv2-voc": "deeplabv3_mnv2.voc21.pth",
}

pytestmark = [
    pytest.mark.assets,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not ASSETS.is_dir(), reason="../shared/assets is not here"),
]


def kivfm(*words: str, cwd: Path) -> None:
    done = subprocess.run(
        [str(KIVFM), *words], cwd=cwd, env=dict(os.environ), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_real_teachers_to_a_table(tmp_path: Path):
    weights = [
        word
        for name, file in WEIGHTS.items()
        for word in ("--weights", f"{name}={ASSETS / 'weights' / file}")
    ]
    data = ASSETS / "data"
    kivfm(
        *("distill", "--teachers", ",".join(WEIGHTS), *weights, "--data", str(data / "photos")),
        *("--steps", "30", "--batch-size", "4", "--image-size", "320", "--out", "run"),
        *("--set", "optim.calibration=32", "--set", "optim.warmup=5"),
        cwd=tmp_path,
    )
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["losses"] for line in lines]
    for teacher in ("yolox/nano", "deeplab/mnv2-voc"):
        assert losses[-1][teacher] < 0.95 * losses[0][teacher]
    kivfm(
        *("evaluate", "run", "--limit", "24"),
        *("--data", f"classification={data / 'imagenet_photos'}"),
        *("--data", f"detection={data / 'coco_val'}"),
        *("--data", f"semantic-segmentation={data / 'coco_val'}"),
        cwd=tmp_path,
    )
    evaluation = json.loads((tmp_path / "run/evaluation.json").read_text())
    rows = {row["task"]: row for row in evaluation["rows"]}
    assert rows["classification"]["retention"] > 0.9
    assert rows["classification"]["untrained_score"] == rows["classification"]["teacher_score"]
    assert rows["detection"]["teacher_score"] > 0.2
    assert rows["semantic-segmentation"]["teacher_score"] > 0.4
    assert rows["semantic-segmentation"]["student_score"] > 0.02
