from __future__ import annotations

import copy

import pytest
import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.data.canvas import make_canvases
from kivfm_core.errors import UsageError
from kivfm_core.student.student import Student
from kivfm_core.teacher import Teacher, load_teacher


def student_of(composition: Composition) -> Student:
    torch.manual_seed(0)
    return Student(composition).eval()


def canvases(student: Student, side: int = 64):
    image = torch.randint(0, 255, (3, side, side), dtype=torch.uint8)
    return make_canvases([image, image.flip(1)], student.spec.input)


def shake(student: Student) -> None:
    with torch.no_grad():
        for p in student.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p) * 0.05)


def test_untrained_student_is_exactly_its_base(composition: Composition, toys: dict[str, str]):
    student = student_of(composition)
    base = load_teacher(composition.trunk, toys["toybase/small"])
    student.trunk.load_state_dict(base.encoder.state_dict())
    images, frames = canvases(student)
    teacher, stand_in = (
        base.encode(images, frames),
        student.stand_in("toybase").encode(images, frames),
    )
    for name in teacher:
        assert torch.allclose(teacher[name], stand_in[name], rtol=0, atol=1e-6)
    assert torch.equal(student.encode(images, frames)["x"], teacher["global"])


def test_every_trainable_parameter_gets_a_gradient(composition: Composition):
    student = student_of(composition)
    shake(student)
    features = student(torch.rand(2, 3, 96, 96))
    loss = torch.zeros(())
    for plan in composition.aligners:
        grid = plan.level.grid((96, 96)) if plan.level.kind == "dense" else None
        loss = loss + student.aligners[plan.key].predict(features, grid).square().sum()
    loss.backward()
    without = [n for n, p in student.named_parameters() if p.requires_grad and p.grad is None]
    assert not without
    assert all(p.grad is None for p in student.trunk.parameters())


def test_zero_at_start_still_lets_gradients_in(composition: Composition):
    student = student_of(composition)
    student(torch.rand(2, 3, 96, 96))["V"].square().sum().backward()
    assert student.adapter.to_v.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("canvas", [(64, 64), (96, 96), (72, 104), (65, 41)])
def test_stand_in_gives_the_teachers_grids(composition: Composition, canvas: tuple[int, int]):
    student = student_of(composition)
    for spec in composition.teachers:
        stand_in = student.stand_in(spec.name)
        assert isinstance(stand_in, Teacher)
        levels = stand_in.encode(torch.rand(2, 3, *canvas), [])
        for level in spec.levels:
            grid = level.grid(canvas) if level.kind == "dense" else ()
            assert levels[level.name].shape == (2, level.channels, *grid)


def test_trained_part_is_all_but_the_base(composition: Composition):
    student = student_of(composition)
    trained = sum(t.numel() for t in student.trained().values())
    scale = sum(1 + p.level.channels for p in composition.aligners if p.kind == "identity")
    units = len(composition.teachers)
    assert trained - scale - units == composition.trainable


def test_adapter_leaves_the_base_as_it_was(composition: Composition):
    student = student_of(composition)
    x = torch.rand(1, 3, 64, 64)
    before = student.trunk(x)["dense"]
    student(x)
    assert not any(m._forward_hooks for m in student.trunk.modules())
    assert torch.equal(student.trunk(x)["dense"], before)


def test_a_copy_is_another_student(composition: Composition):
    student = student_of(composition)
    shake(student)
    x = torch.rand(1, 3, 64, 64)
    before = student(x)["V"]
    other = copy.deepcopy(student)
    shake(other)
    assert torch.equal(student(x)["V"], before)
    assert not torch.equal(other(x)["V"], before)


def test_frozen_base_stays_in_evaluation_mode(composition: Composition):
    student = student_of(composition).train()
    assert not student.trunk.training and student.adapter.training


def test_unknown_stand_in_names_the_choices(composition: Composition):
    with pytest.raises(UsageError) as caught:
        student_of(composition).stand_in("clip")
    assert "toypurpose/small" in caught.value.hint


@pytest.mark.parametrize(
    ("canvas", "trunk_size", "seen"),
    [(128, 64, 64), (128, 256, 128), (256, 128, 128), (32, 256, 64)],
)
def test_a_trunk_sees_canvases_between_its_own_size_and_the_configured_maximum(
    composition: Composition, canvas: int, trunk_size: int, seen: int
):
    student = student_of(composition.model_copy(update={"trunk_size": trunk_size}))
    own = composition.trunk.input.train_side()
    sizes: list[tuple[int, ...]] = []
    student.trunk.register_forward_pre_hook(lambda _, args: sizes.append(tuple(args[0].shape[2:])))
    features = student(torch.rand(1, 3, canvas, canvas))
    assert own == 64 and sizes == [(seen, seen)]
    assert features["V"].shape[-1] == -(-canvas // composition.trunk.levels[-1].stride)


def test_a_stand_in_uses_the_scale_of_training(composition: Composition):
    student = student_of(composition)
    shake(student)
    seen: list[tuple[int, ...]] = []
    student.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[-2:])))
    images, frames = canvases(student, 96)
    native = student.stand_in("toypurpose").encode(images, frames)
    student.composition = composition.model_copy(update={"scales": {"toypurpose/small": 0.5}})
    scaled = student.stand_in("toypurpose").encode(images, frames)
    assert seen == [tuple(images.shape[-2:]), tuple(side // 2 for side in images.shape[-2:])]
    assert {k: v.shape for k, v in scaled.items()} == {k: v.shape for k, v in native.items()}
