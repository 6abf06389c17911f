"""CKA: the definition by loops, what it does not see, and stand-ins beside their teachers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_bundle import write_toy_bundle

import kivfm_core
from kivfm_core.composition.composition import Composition
from kivfm_core.errors import DataError, UsageError
from kivfm_core.models.student_model import StudentModel
from kivfm_core.probing.cka import compare, flattened
from kivfm_core.probing.protocol import Settings
from kivfm_core.run_files import STUDENT_STATE
from kivfm_core.teacher import load_teacher


@pytest.fixture
def bundle(composition: Composition, tmp_path: Path) -> Path:
    return write_toy_bundle(composition, tmp_path / "student")


def hsic(one: np.ndarray, other: np.ndarray) -> float:
    """Song et al.'s estimate as they write it, from Gram matrices."""
    n, one, other = len(one), one.copy(), other.copy()
    np.fill_diagonal(one, 0)
    np.fill_diagonal(other, 0)
    ones = np.ones((n, 1))
    inner = np.trace(one @ other)
    inner += (ones.T @ one @ ones * (ones.T @ other @ ones)).item() / ((n - 1) * (n - 2))
    inner -= 2 / (n - 2) * (ones.T @ one @ other @ ones).item()
    return inner / (n * (n - 3))


def test_it_is_the_definition():
    random = np.random.default_rng(0)
    x = random.normal(size=(30, 7))
    y = x[:, :3] @ random.normal(size=(3, 5)) + random.normal(size=(30, 5))
    k, other = x @ x.T, y @ y.T
    expected = hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other))
    score, ends = compare(torch.from_numpy(x), torch.from_numpy(y))
    assert score == pytest.approx(expected)
    assert ends is not None and ends[0] < score < ends[1]


def test_it_sees_no_rotation_no_scale_and_few_images_are_not_alike():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(40, 64, generator=random)
    turn = torch.linalg.qr(torch.randn(64, 64, generator=random)).Q
    assert compare(x, 3 * x @ turn + 5)[0] == pytest.approx(1, abs=1e-5)
    # More channels than images: the plain estimate would say 0.6.
    assert abs(compare(x, torch.randn(40, 64, generator=random))[0]) < 0.1
    with pytest.raises(DataError, match="the same for all images"):
        compare(x, torch.ones(40, 3))


def test_a_dense_level_keeps_some_of_its_places():
    level = torch.arange(2 * 3 * 8 * 8.0).view(2, 3, 8, 8)
    assert flattened(level).shape == (2, 3 * 16)
    assert flattened(torch.ones(2, 5)).shape == (2, 5)


def test_a_model_against_itself_and_another(bundle: Path, pictures: Path, tmp_path: Path):
    found = kivfm_core.probe(
        bundle, str(pictures), protocols=["cka"], settings=Settings(against=str(bundle)),
        accelerator="cpu",
    )  # fmt: skip
    scores = {row.features: row.score for row in found.rows}
    same = f"{bundle} x, {bundle} x"
    assert scores[same] == pytest.approx(1)
    assert {row.metric for row in found.rows} == {"CKA, global", "CKA, dense"}


def test_two_students_of_one_plan_share_no_features(
    composition: Composition, pictures: Path, tmp_path: Path
):
    first = write_toy_bundle(composition, tmp_path / "a")
    second = write_toy_bundle(composition, tmp_path / "b")
    weights = load_file(second / STUDENT_STATE)
    for name, own in weights.items():
        weights[name] = own + 0.3 * torch.randn_like(own) if own.is_floating_point() else own
    save_file(weights, second / STUDENT_STATE)
    found = kivfm_core.probe(
        first, str(pictures), protocols=["cka"], settings=Settings(against=str(second)),
        accelerator="cpu", out=tmp_path / "out",
    )  # fmt: skip
    assert len(list((tmp_path / "out").glob("levels-*"))) == 2
    assert found.rows[0].score < 0.999


def test_stand_ins_beside_their_teachers(
    bundle: Path, pictures: Path, toys: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(UsageError, match="has no teachers here to compare with"):
        kivfm_core.probe(bundle, str(pictures), protocols=["cka"], accelerator="cpu")

    def teacher(self, name: str):
        return load_teacher(name, toys[name])

    monkeypatch.setattr(StudentModel, "teacher", teacher)
    found = kivfm_core.probe(bundle, str(pictures), protocols=["cka"], accelerator="cpu")
    assert [row.features for row in found.rows] == [
        "stand-in global, toybase/small global",
        "stand-in dense, toybase/small dense",
        "stand-in fine, toypurpose/small fine",
        "stand-in coarse, toypurpose/small coarse",
        "stand-in global, toypurpose/small global",
    ]
    assert all(row.images == 12 for row in found.rows)
