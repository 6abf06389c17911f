"""Without labels: a teacher agrees with itself, noise does not, and the file keeps both kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from painter import FakeRun
from PIL import Image
from torch import Tensor

from kivfm_cli import app
from kivfm_core.errors import DataError, UsageError
from kivfm_core.evaluation.agreement.agree import Wanted, evaluate_agreement, measure_agreement
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.evaluation.result import Row
from kivfm_core.geometry import Frame
from kivfm_core.models.model import Model, Role
from kivfm_core.registry.registry import get_registry
from kivfm_core.scenes.write import write_scenes
from kivfm_core.teacher import Levels, Teacher, load_teacher

NAMES = ("clip/nano", "detector/nano", "segmenter/nano", "sam/nano")
LABELS = ("ring", "disc", "gear")


class Noise:
    """A teacher that sees noise in the place of images, whatever these are."""

    def __init__(self, teacher: Teacher) -> None:
        self.spec, self.prompt, self.decode = teacher.spec, teacher.prompt, teacher.decode
        self.teacher = teacher

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        random = torch.Generator().manual_seed(0)
        return self.teacher.encode(torch.rand(images.shape, generator=random), frames)


class Pair(Model):
    """Every teacher, itself in its place, and noise before that."""

    identity = "a student"  # pyright: ignore[reportAssignmentType]
    load = solver = passes = own_features = sha256 = global_level = None  # type: ignore
    dense_level = canvas = pad_value = network = None  # type: ignore

    def rivals(self, teacher: str) -> Mapping[Role, Teacher]:
        loaded = load_teacher(next(spec for spec in self.specs if spec.name == teacher))
        return {"teacher": loaded, "untrained": Noise(loaded), "student": loaded}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn images; what they show is not read."""
    folder = tmp_path_factory.mktemp("agreement") / "scenes"
    write_scenes(folder, train=0, val=10, per_class=1)
    return folder / "val/images"


@pytest.fixture(scope="module")
def rows(scenes: Path) -> dict[str, Row]:
    specs = [get_registry().resolve(name) for name in NAMES]
    wanted = Wanted(labels=LABELS)
    result = measure_agreement(Pair("pair", specs, torch.device("cpu")), [str(scenes)], wanted)
    assert result.summary.agreement_mean == pytest.approx(1.0)
    assert result.summary.agreement_min_interval == pytest.approx((1.0, 1.0))
    assert result.summary.retention_mean is None
    return {f"{row.task}: {row.metric}": row for row in result.rows}


def test_a_teacher_agrees_with_itself(rows: dict[str, Row]) -> None:
    assert list(rows) == [
        "zero-shot: agreement top-1",
        "detection: agreement box AP",
        "instance-segmentation: agreement mask AP",
        "semantic-segmentation: agreement mIoU",
        "semantic-segmentation: agreement pixels",
        "promptable-segmentation: agreement mask IoU",
    ]
    for row in rows.values():
        assert row.agreement and row.retention is None and row.gain is None
        assert (row.teacher_score, row.student_score) == pytest.approx((1.0, 1.0))
        assert row.student_interval == pytest.approx((1.0, 1.0))


def test_noise_is_near_chance(rows: dict[str, Row]) -> None:
    scores = {name.partition(": ")[2]: row.untrained_score or 0.0 for name, row in rows.items()}
    chance = {name.partition(": ")[2]: row.chance_score or 0.0 for name, row in rows.items()}
    assert scores["agreement top-1"] <= 0.8
    assert scores["agreement box AP"] < 0.05 and scores["agreement mask AP"] < 0.05
    for metric in ("agreement mIoU", "agreement pixels"):
        assert scores[metric] <= chance[metric] + 0.05
    assert scores["agreement mask IoU"] < 0.6


def test_tasks_images_and_what_is_missing(scenes: Path) -> None:
    model = Pair("pair", [get_registry().resolve(n) for n in NAMES[:3]], torch.device("cpu"))
    result = measure_agreement(model, [str(scenes)], Wanted(limit=4))
    assert {row.pictures for row in result.rows} == {4} and result.rows[0].limit == 4
    assert result.skipped == (
        "clip/nano, zero-shot: it chooses among labels, and none are given (--labels A,B)",
    )
    only = measure_agreement(model, [str(scenes)], Wanted(["semantic-segmentation"], 2))
    assert [row.task for row in only.rows] == ["semantic-segmentation"] * 2
    wrong = {"flying": "unknown task 'flying'", "zero-shot": "none are given"}
    for task, message in wrong.items():
        with pytest.raises(UsageError, match=message):
            measure_agreement(model, [str(scenes)], Wanted([task]))
    with pytest.raises(UsageError, match="is a teacher"):
        evaluate_agreement("detector/nano", [str(scenes)])
    with pytest.raises(DataError, match="measured: no teacher here solves depth"):
        measure_agreement(model, [str(scenes)], Wanted(["depth"]))


def test_broken_images_are_counted(tmp_path: Path) -> None:
    for i in range(5):
        Image.effect_noise((60 + i, 50), 90).convert("RGB").save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"broken")
    model = Pair("pair", [get_registry().resolve("segmenter/nano")], torch.device("cpu"))
    (row, _) = measure_agreement(model, [str(tmp_path)], Wanted()).rows
    assert (row.pictures, row.bad, row.student_score) == (4, 1, 1.0)
    with pytest.raises(DataError, match="no folder or tar"):
        measure_agreement(model, [str(tmp_path / "none")], Wanted())


def test_agreement_stands_beside_labels_in_the_file(colors: Path, tmp_path: Path) -> None:
    run = FakeRun(tmp_path)
    labeled = evaluate(run, [str(colors)]).summary
    evaluate_agreement(run, [str(colors)])
    written = json.loads((tmp_path / "evaluation.json").read_text())
    kinds = [(row["metric"], row["agreement"]) for row in written["rows"]]
    assert kinds == [("cosine", False), ("top-1", False), ("agreement top-1", True)]
    assert written["summary"]["retention_mean"] == labeled.retention_mean == 1.0
    # The teacher's own three colors are found again, and none of them by the untrained student.
    row = written["rows"][2]
    assert (row["student_score"], row["untrained_score"]) == (1.0, 0.0)
    assert written["summary"]["agreement_mean"] == 1.0


def test_flags_that_do_not_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given: list[Any] = ["evaluate", "detector/nano", "--data", str(tmp_path)]
    assert app.main([*given, "--labels", "a"]) == 2
    assert "--labels are for --agreement" in capsys.readouterr().err
    assert app.main([*given, "--agreement", "--shared-canvas", "auto"]) == 2
    assert app.main([*given, "--agreement"]) == 2
    assert "is a teacher" in capsys.readouterr().err
