"""One line from Python: features, a prediction, canvases, the module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_bundle import write_toy_bundle

import kivfm_core
from kivfm_core.composition.composition import Composition
from kivfm_core.errors import DataError, UsageError
from kivfm_core.loaded.load import LoadedModel
from kivfm_core.student.bundle import read_bundle


@pytest.fixture
def student(composition: Composition, tmp_path: Path) -> LoadedModel:
    return kivfm_core.load(write_toy_bundle(composition, tmp_path / "student"), accelerator="cpu")


@pytest.fixture
def teacher(toys: dict[str, str]) -> LoadedModel:
    return kivfm_core.load("toypurpose", accelerator="cpu", weights=toys["toypurpose/small"])


@pytest.fixture
def files(pictures: Path) -> list[Path]:
    return sorted(pictures.rglob("*.png"))


def test_features_equal_the_long_way(student: LoadedModel, files: list[Path]):
    found = student.features(files)
    canvases, frames = student.preprocess(files)
    levels = read_bundle(student.model.bundle).encode(canvases, frames)
    assert set(found.maps) == {*levels} - {"x"} and "V" in found.maps
    torch.testing.assert_close(found.vector, levels["x"])
    for name, rows in found.maps.items():
        torch.testing.assert_close(rows, levels[name])
    assert len(found.vector) == len(files) == len(found.frames)
    assert not found.vector.requires_grad


def test_an_image_in_any_form_gives_the_same(student: LoadedModel, files: list[Path]):
    image = Image.open(files[0]).convert("RGB")
    array = np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    forms = [
        files[0], str(files[0]), image, array, array[None], tensor, tensor[None], [tensor],
        tensor / 255, array.astype(np.float64) / 255, np.dstack([array, array[..., :1]]),
    ]  # fmt: skip
    first = student.features(forms[0]).vector
    assert first.shape[0] == 1
    for form in forms[1:]:
        assert torch.equal(student.features(form).vector, first)


def test_gray_and_turned_images(student: LoadedModel, tmp_path: Path):
    gray = np.arange(48 * 60, dtype=np.uint16).reshape(48, 60) % 256
    gray = gray.astype(np.uint8)
    rgb = np.dstack([gray] * 3)
    whole = student.features(rgb).vector
    for form in (gray, gray[..., None], Image.fromarray(gray), torch.from_numpy(gray)):
        assert torch.equal(student.features(form).vector, whole)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    turned = student.features(rgb[::-1, ::-1]).vector
    assert torch.equal(student.features(Image.open(tmp_path / "a.png")).vector, turned)
    assert torch.equal(student.features(tmp_path / "a.png").vector, turned)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((4, 4, 7), np.uint8), r"shape \(4, 4, 7\) is no image"),
        (torch.zeros(3, 0, 4), "is no image"),
        (torch.full((3, 8, 8), 2.5), r"in \[2.5, 2.5\], not in \[0, 1\]"),
        (torch.full((3, 8, 8), torch.nan), "not in"),
        (np.zeros((8, 8, 3), np.int64), "no known range"),
        ([], "no image was given"),
        ([7], "int is no image"),
        (7, "int is no image"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(student: LoadedModel, image, said: str):
    with pytest.raises(UsageError, match=said):
        student.features(image)


def test_a_broken_file_is_named(student: LoadedModel, tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot decode .*a\.jpg"):
        student.features(tmp_path / "a.jpg")


def test_features_of_a_teacher_by_its_stand_in(student: LoadedModel, files: list[Path]):
    found = student.features(files[:3], teacher="toypurpose")
    assert found.vector.shape == (3, 40) and set(found.maps) == {"fine", "coarse"}
    assert found.maps["fine"].shape == (3, 24, 24, 24)
    assert set(student.features(files[:3], maps=False).maps) == set()
    with pytest.raises(UsageError, match="has no teacher 'sam'"):
        student.features(files[0], teacher="sam")


def test_many_images_keep_their_order(teacher: LoadedModel, files: list[Path]):
    many = [files[i % len(files)] for i in range(70)]
    vectors = teacher.features(many).vector
    alone = torch.cat([teacher.features(file).vector for file in files])
    torch.testing.assert_close(vectors, alone[[i % len(files) for i in range(70)]])


def test_canvases_of_several_sizes(teacher: LoadedModel, monkeypatch: pytest.MonkeyPatch):
    spec = teacher.spec.model_copy(
        update={"input": teacher.spec.input.model_copy(update={"policy": "short-side"})}
    )
    monkeypatch.setattr(teacher.model.teacher, "spec", spec)
    images = [np.full((40, 40 + 16 * (i % 3), 3), i * 9, np.uint8) for i in range(9)]
    vectors = teacher.features(images, maps=False).vector
    alone = torch.cat([teacher.features(image, maps=False).vector for image in images])
    torch.testing.assert_close(vectors, alone)
    with pytest.raises(UsageError, match="canvases of different sizes"):
        teacher.features(images)
    with pytest.raises(UsageError, match="canvases of different sizes"):
        teacher.preprocess(images)


def test_what_it_is(student: LoadedModel, teacher: LoadedModel):
    assert student.teachers == ("toybase/small", "toypurpose/small")
    assert student.tasks == teacher.tasks == ("classification", "semantic-segmentation")
    assert "classification" in repr(student)
    assert teacher.teachers == ("toypurpose/small",)


def test_a_prediction_of_any_form(student: LoadedModel, teacher: LoadedModel, files: list[Path]):
    for model in (student, teacher):
        found = model.predict(files[0], "classification")
        array = np.asarray(Image.open(files[0]).convert("RGB"))
        assert model.predict(array, "classification") == found
        assert found.draw().width >= found.width
    with pytest.raises(UsageError, match="detection"):
        student.predict(files[0], "detection")


def test_all_tasks_and_a_folder_in_one_line(
    teacher: LoadedModel, files: list[Path], tmp_path: Path
):
    array = np.asarray(Image.open(files[0]).convert("RGB"))
    every = teacher.predict_all(array)
    assert every == kivfm_core.predict_all(teacher.model, files[0])
    assert teacher.predict(files[0], "classification") in every
    assert teacher.predict(array) == every
    done = teacher.predict_folder(files[:3], "classification", tmp_path / "labels", save="jsonl")
    assert (done.images, done.format) == (3, "jsonl")


def test_the_module_is_plain_torch(student: LoadedModel, teacher: LoadedModel, files: list[Path]):
    for model in (student, teacher):
        canvases, _ = model.preprocess(files[:2])
        x = model.normalize(canvases).requires_grad_()
        out = model.module(x)
        assert isinstance(model.module, torch.nn.Module)
        torch.testing.assert_close(
            out[model.model.global_level], model.features(files[:2]).vector, rtol=1e-5, atol=1e-6
        )
        out[model.model.global_level].sum().backward()
        assert x.grad is not None or any(p.grad is not None for p in model.module.parameters())


def test_weights_load_late(tmp_path: Path, toys: dict[str, str]):
    model = kivfm_core.load("toypurpose", weights=tmp_path / "none.safetensors")
    assert model.tasks
    with pytest.raises(Exception, match=r"none\.safetensors"):
        model.features(np.zeros((8, 8, 3), np.uint8))
