"""The benchmarks of heads: the plain script, and what the tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torchvision.ops import box_iou

from benchmarks.heads import nano, real
from benchmarks.heads.heads import Job, as_cells, numbers, row
from benchmarks.heads.kept import Kept
from benchmarks.heads.plain import Features, classify, detect, segment
from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.evaluation.bootstrap import DRAWS
from kivfm_core.evaluation.seeds import average

JOB = Job("semantic-segmentation", "dense-linear", "here", "there", 10)
COLORS = ((220, 30, 30), (20, 40, 210))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    """A tiny ViT with random weights, which still tells colors apart."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("vit") / "vit.pth"
    torch.save(timm.create_model("vit_tiny_patch16_224").state_dict(), file)
    return Features("vit_tiny_patch16_224", file, 64)


def write(file: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(file)
    return file


def test_the_plain_script_segments_and_classifies(features: Features, tmp_path: Path) -> None:
    pairs, labeled = [], []
    for i in range(4):
        pixels = np.zeros((48, 64, 3)) + COLORS[i % 2]
        classes = np.full((48, 64), i % 2)
        pixels[:, 32:], classes[:, 32:] = COLORS[1 - i % 2], 1 - i % 2
        classes[:4] = 11  # void
        pairs.append(
            (write(tmp_path / f"{i}.png", pixels), write(tmp_path / f"{i}-m.png", classes))
        )
        whole = np.zeros((40, 40, 3)) + COLORS[i % 2]
        labeled.append((write(tmp_path / f"c{i}.png", whole), i % 2))
    found = segment(features, pairs, [image for image, _ in pairs], 2, 60, 0)
    assert [one.shape for one in found] == [(2, 48, 64)] * 4
    right = [(one.argmax(0)[4:, 8:24] == i % 2).float().mean() for i, one in enumerate(found)]
    assert min(right) > 0.9
    scores = classify(features, labeled, [image for image, _ in labeled], 2, 30, 0)
    assert scores.argmax(1).tolist() == [0, 1, 0, 1]


def test_the_plain_script_finds_objects(features: Features, tmp_path: Path) -> None:
    torch.manual_seed(0)
    labeled = []
    for i in range(4):
        pixels, (x, y) = np.zeros((48, 96, 3)), (10 + 12 * i, 4 + 4 * i)
        pixels[y : y + 24, x : x + 30] = COLORS[i % 2]
        box = torch.tensor([[x, y, x + 30, y + 24]]).float()
        labeled.append((write(tmp_path / f"{i}.png", pixels), box, torch.tensor([i % 2])))
    found = detect(features, labeled, [image for image, _, _ in labeled], 2, 150, 1)
    for (_, box, label), one in zip(labeled, found, strict=True):
        assert one["labels"][0] == label
        assert float(box_iou(one["boxes"][:1], box)) > 0.5  # in the image's own pixels


def test_heads_learn_from_kept_features(config: RunConfig, tmp_path: Path) -> None:
    run = distill(config, out=tmp_path / "run")
    for folder in ("images", "semantic"):
        (tmp_path / "maps" / folder).mkdir(parents=True)
    (tmp_path / "maps/semantic/classes.json").write_text('["left", "right"]')
    for i in range(4):
        pixels, classes = np.zeros((48, 64, 3)) + COLORS[0], np.zeros((48, 64))
        pixels[:, 32:], classes[:, 32:] = COLORS[1], 1
        write(tmp_path / f"maps/images/{i}.png", pixels)
        write(tmp_path / f"maps/semantic/{i}.png", classes)
    maps = str(tmp_path / "maps")
    kept = Kept(run, Job("semantic-segmentation", "dense-linear", maps, maps, 60))
    scored, draws = kept.score("student/0", 0, tmp_path / "head")
    assert scored.score > 0.7 and draws is not None and len(draws) == DRAWS


def averages(scores: dict[str, list[float]], widths: float = 0.01) -> list[dict[str, Any]]:
    noise = np.random.default_rng(0).normal(0, widths, DRAWS)
    drawn = [
        (row(f"{group}/{seed}", JOB, score, 9), score + noise)
        for group, own in scores.items()
        for seed, score in enumerate(own)
    ]
    groups = {one.model: one.model.partition("/")[0] for one, _ in drawn}
    return [one.model_dump(mode="json") for one in average(drawn, groups)]


@pytest.mark.parametrize(("student", "dense", "alike"), [(0.5, False, True), (0.6, True, True)])
def test_the_student_must_gain_where_it_is_dense_and_lose_nothing_where_it_is_global(
    student: float, dense: bool, alike: bool
) -> None:
    rows = averages({real.BASE: [0.5, 0.501], real.STUDENT: [student, student + 0.001]})
    assert real._holds({"task": JOB.task, "rows": rows}) is dense
    assert real._holds({"task": real.GLOBAL, "rows": rows}) is alike


def test_the_page_has_differences_with_their_intervals() -> None:
    rows = averages({real.BASE: [0.5, 0.501], real.STUDENT: [0.6, 0.601]})
    assert as_cells(rows[0]) == [real.BASE, "0.500 ± 0.001", "", ""]
    name, score, difference, beyond = as_cells(rows[1])
    assert (name, score, beyond) == (real.STUDENT, "0.601 ± 0.001", "yes")
    assert difference.startswith("+0.100 (+0.0")
    task = {"task": JOB.task, "kind": JOB.kind, "steps": 5, "metric": "mIoU", "rows": rows}
    page = real.page(
        {"run": "runs/x", "seeds": numbers("0,1"), "every": 1, "canvas": 64, "tasks": [task]}
    )
    assert f"| {real.STUDENT} | 0.601 ± 0.001 | {difference} | yes |" in page


def test_a_head_catches_up_with_the_fewest_labels_that_are_enough() -> None:
    scores = {nano.INHERITED: 0.5, "the student, 25 labels": 0.4, "the student, 50 labels": 0.5}
    rows = [row(name, JOB, score, 9) for name, score in scores.items()]
    groups = {name: name for name in scores}
    made = average([(one, None) for one in rows], groups)
    assert nano.caught_up(made, [25, 50]) == 50
    assert nano.caught_up(made, [25]) is None
