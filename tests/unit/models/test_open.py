"""A model is opened by what a user calls it: a run, a bundle wherever it lies, or a teacher."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.errors import UsageError
from kivfm_core.models.open import open_model
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders


@pytest.fixture
def bundle(composition: Composition, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    student = Student(composition).eval()
    student.decoders = {spec.name: Decoders(spec) for spec in composition.teachers}
    write_bundle(student, tmp_path / "student")
    return tmp_path / "student"


def test_a_bundle_is_a_model_wherever_it_was_copied(bundle: Path, tmp_path: Path):
    elsewhere = Path(shutil.copytree(bundle, tmp_path / "far" / "away"))
    model = open_model(str(elsewhere), "cpu")
    assert [spec.name for spec in model.specs] == [s.name for s in model.composition.teachers]
    canvases, frames = torch.rand(1, 3, 64, 64), []
    first = model.encoder.encode(canvases, frames)[model.global_level]
    assert torch.equal(first, open_model(bundle, "cpu").encoder.encode(canvases, frames)["x"])


def test_a_teacher_is_a_model(toys: dict[str, str]):
    name, weights = next(iter(toys.items()))
    model = open_model(name, "cpu", weights)
    assert [spec.name for spec in model.specs] == [name]
    levels = model.encoder.encode(torch.rand(1, 3, 64, 64), [])
    assert model.global_level in levels and model.dense_level in (*levels, None)
    with pytest.raises(UsageError, match="has a canvas of its own"):
        model.passes([name], 64)


def test_weights_of_a_teacher_may_be_named_as_in_a_distillation(toys: dict[str, str]):
    """Which is what the hint of weights that cannot be fetched says."""
    name, weights = next(iter(toys.items()))
    named, plain = (open_model(name, "cpu", w) for w in (f"{name}={weights}", weights))
    assert named.sha256 == plain.sha256 != ""


def test_what_is_no_model_is_refused(bundle: Path, toys: dict[str, str]):
    with pytest.raises(UsageError, match="no run folder and no bundle"):
        open_model(bundle.parent, "cpu")
    with pytest.raises(UsageError, match="no teacher"):
        open_model("no/such", "cpu")
    with pytest.raises(UsageError, match="it has its weights"):
        open_model(bundle, "cpu", "a.safetensors")
