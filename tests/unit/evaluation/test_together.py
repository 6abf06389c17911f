"""Stand-ins of equal canvases share the student's passes, and score what they score alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import toy
from PIL import Image
from toy_pictures import write_pictures

from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.data.canvas import make_canvases
from kivfm_core.evaluation import evaluate as module
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.evaluation.measure import canvas_kind
from kivfm_core.progress import Silent
from kivfm_core.spec import InputContract, TeacherSpec
from kivfm_core.student.bundle import read_bundle, write_bundle
from kivfm_core.student.one_look import OneLook, look_once
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders

# Another teacher of the same canvases, which it normalizes in its own way; and one of others.
TWIN = toy.PURPOSE.model_copy(
    update={
        "name": "toytwin/small",
        "aliases": ("toytwin",),
        "input": toy.PURPOSE.input.model_copy(
            update={"channel_order": "RGB", "scale": 1.0, "mean": (0.5, 0.5, 0.5)}
        ),
    }
)
OTHER = toy.PURPOSE.model_copy(
    update={
        "name": "toyother/small",
        "aliases": ("toyother",),
        "input": InputContract(policy="short-side", size=80, multiple=16),
    }
)


@pytest.fixture
def bundle(register: Callable[..., None], tmp_path: Path) -> Path:
    """A student of a base, of two teachers of equal canvases, and of one of others."""
    specs: tuple[TeacherSpec, ...] = (toy.BASE, toy.PURPOSE, OTHER, TWIN)
    register(*specs)
    for spec in specs:
        toy.save(spec, tmp_path / f"{spec.family}.safetensors")
    flags: dict[str, Any] = {
        "teachers": ",".join(spec.family for spec in specs),
        "weights": {spec.name: str(tmp_path / f"{spec.family}.safetensors") for spec in specs},
        "data.path": str(write_pictures(tmp_path / "pictures")),
    }
    torch.manual_seed(0)
    student = Student(compose(build_config(None, flags))).eval()
    student.decoders = {spec.name: Decoders(spec) for spec in student.composition.teachers}
    write_bundle(student, tmp_path / "student")
    return tmp_path / "student"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Images of several shapes with a class each, and some of them with maps of classes."""
    (tmp_path / "data/images").mkdir(parents=True)
    (tmp_path / "data/semantic").mkdir()
    names = {}
    for i in range(12):
        size = (40 + 9 * (i % 4), 60 - 5 * (i % 4))
        Image.effect_noise(size, 20 + 10 * i).convert("RGB").save(tmp_path / f"data/images/{i}.png")
        names[f"{i}.png"] = toy.LABELS[i % 3]
        if i < 8:
            Image.new("L", size, i % 3).save(tmp_path / f"data/semantic/{i}.png")
    (tmp_path / "data/labels.json").write_text(json.dumps(names))
    (tmp_path / "data/semantic/classes.json").write_text(json.dumps(toy.LABELS))
    return tmp_path / "data"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images in each pass of a student."""
    seen: list[int] = []
    forward = Student.forward

    def counted(self: Student, x: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(Student, "forward", counted)
    return seen


class Told(Silent):
    def __init__(self) -> None:
        self.all: list[str] = []

    def step(self, info: dict[str, Any]) -> None:
        self.all.append(info["what"])


@pytest.mark.parametrize("shared", [None, "auto"])
def test_equal_canvases_share_a_pass_and_scores_stay_equal(
    bundle: Path,
    data: Path,
    passes: list[int],
    monkeypatch: pytest.MonkeyPatch,
    shared: Any,
) -> None:
    tasks = ["classification", "semantic-segmentation"]
    told = Told()
    together = evaluate(bundle, [str(data)], tasks=tasks, progress=told, shared_canvas=shared)
    once, what = sum(passes), dict.fromkeys(told.all)
    passes.clear()
    monkeypatch.setattr(module, "canvas_kind", lambda contract: id(contract))
    alone = evaluate(bundle, [str(data)], tasks=tasks, shared_canvas=shared)
    assert together.rows == alone.rows and len(together.rows) == 6
    assert [row.teacher for row in together.rows] == [
        name for name in (toy.PURPOSE.name, OTHER.name, TWIN.name) for _ in tasks
    ]
    # 20 images, for each of three teachers; two of them see the same canvases.
    times = 1 if shared is None else 2
    assert (once, sum(passes)) == (40 * times, 60 * times)
    both = f"{toy.PURPOSE.name}: classification; {TWIN.name}: classification"
    assert both in what and f"{OTHER.name}: classification" in what


def test_only_the_last_canvases_are_remembered(bundle: Path, passes: list[int]) -> None:
    student = read_bundle(bundle)
    stand_ins = [student.stand_in(spec.name) for spec in (toy.PURPOSE, TWIN)]
    look_once([*stand_ins, torch.nn.Identity()])  # type: ignore[list-item]
    look = stand_ins[0].student
    assert isinstance(look, OneLook) and stand_ins[1].student is look
    look_once(stand_ins)
    assert stand_ins[0].student is look
    pixels = [torch.full((3, 40, 60), value, dtype=torch.uint8) for value in (10, 200)]
    canvases = [make_canvases([image], toy.PURPOSE.input) for image in pixels]
    for images, frames in canvases:
        levels = [one.encode(images, frames) for one in stand_ins]
        for found, spec in zip(levels, (toy.PURPOSE, TWIN), strict=True):
            alone = student.stand_in(spec.name).encode(images, frames)
            assert all(torch.equal(found[name], alone[name]) for name in alone)
        assert look.last is not None and len(look.last[0]) == 1
    assert len(passes) == 2 + 4  # once for both, and once for each alone


def test_contracts_of_equal_canvases_are_of_one_kind() -> None:
    crop = InputContract(policy="short-side-crop", size=64, multiple=16)
    for same in (
        {"multiple": 64}, {"resize": 64}, {"max_size": 9}, {"pad_value": (1, 1, 1)}, {"scale": 255},
        {"train_sizes": (64,)},
    ):  # fmt: skip
        assert canvas_kind(crop.model_copy(update=same)) == canvas_kind(crop)
    for other in ({"resize": 72}, {"size": 80}, {"interpolation": "bicubic"}, {"antialias": False},
                  {"policy": "letterbox"}, {"rounding": "nearest"}):  # fmt: skip
        assert canvas_kind(crop.model_copy(update=other)) != canvas_kind(crop)
    padded = InputContract(policy="letterbox", size=64)
    assert canvas_kind(padded) != canvas_kind(
        padded.model_copy(update={"pad_value": (0.5, 0.5, 0.5)})
    )
