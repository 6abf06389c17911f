"""One pass of the student serves every stand-in, on a shared canvas or on equal ones."""

from __future__ import annotations

import pytest
import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.data.canvas import make_canvases
from kivfm_core.errors import UsageError
from kivfm_core.geometry import plan_frame
from kivfm_core.spec import InputContract
from kivfm_core.student.one_pass import SharedPass, groups
from kivfm_core.student.shared_stand_in import SharedStandIn, shared_input
from kivfm_core.student.student import Student

CPU = torch.device("cpu")
NAMES = ["toybase/small", "toypurpose/small"]


def student_of(composition: Composition, **contracts: InputContract) -> Student:
    """A shaken student, its teachers with other contracts."""
    teachers = tuple(
        spec.model_copy(update={"input": contracts.get(spec.family, spec.input)})
        for spec in composition.teachers
    )
    torch.manual_seed(0)
    student = Student(composition.model_copy(update={"teachers": teachers})).eval()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return student


def count_passes(student: Student) -> list[tuple[int, ...]]:
    seen: list[tuple[int, ...]] = []
    student.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[-2:])))
    return seen


def photos(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    return [torch.randint(0, 255, (3, *size), dtype=torch.uint8) for size in sizes]


@pytest.mark.parametrize(
    "policy", ["stretch", "letterbox", "letterbox-center", "short-side", "short-side-crop"]
)
def test_a_shared_pass_gives_every_teachers_grids_and_frames(composition: Composition, policy: str):
    contract = InputContract(policy=policy, size=80, multiple=16)
    student = student_of(composition, toypurpose=contract)
    seen = count_passes(student)
    (group,) = groups(student, NAMES, 64)
    one, images = SharedPass(group, CPU), photos((60, 90), (60, 90))
    canvases, frames = make_canvases(images, one.input)
    every = one.encode(canvases, frames)
    assert seen == [tuple(canvases.shape[-2:])]
    for name, levels in zip(NAMES, every, strict=True):
        alone = student.stand_in(name)
        own, own_frames = make_canvases(images, alone.spec.input)
        expected = alone.encode(own, own_frames)
        assert levels.frames == own_frames
        assert {k: v.shape for k, v in levels.items()} == {k: v.shape for k, v in expected.items()}


def test_where_the_canvases_are_the_same_so_are_the_levels(composition: Composition):
    contract = shared_input(composition, 64)
    student = student_of(composition, toypurpose=contract)
    canvases, frames = make_canvases(photos((70, 50)), contract)
    alone = student.stand_in(NAMES[1]).encode(canvases, frames)
    shared = SharedStandIn(student, NAMES[1], contract).encode(canvases, frames)
    assert all(torch.equal(alone[name], shared[name]) for name in alone)


def test_stand_ins_of_equal_canvases_share_a_pass_bit_for_bit(composition: Composition):
    other = InputContract(
        policy="letterbox", size=64, pad_value=(1.0, 0.0, 0.0), mean=(0.5, 0.5, 0.5)
    )
    same = other.model_copy(update={"pad_value": (0.0, 0.0, 0.0), "scale": 255.0})
    student = student_of(composition, toybase=other, toypurpose=same)
    (group,) = groups(student, NAMES, "own")
    one, images, seen = SharedPass(group, CPU), photos((60, 90)), count_passes(student)
    every = one.encode(*make_canvases(images, one.input))
    assert len(seen) == 1
    for name, levels in zip(NAMES, every, strict=True):
        alone = student.stand_in(name)
        expected = alone.encode(*make_canvases(images, alone.spec.input))
        for level in expected:
            assert torch.equal(levels[level], expected[level]), level


@pytest.mark.parametrize("change", [{"size": 80}, {"policy": "stretch"}, {"antialias": False}])
def test_stand_ins_of_different_canvases_do_not(
    composition: Composition, change: dict[str, object]
):
    one = InputContract(policy="letterbox", size=64, multiple=16)
    other = one.model_copy(update=change)
    student = student_of(composition, toybase=one, toypurpose=other)
    assert [len(group) for group in groups(student, NAMES, "own")] == [1, 1]


def test_the_shared_canvas_is_as_fine_as_the_finest_of_the_stand_ins_own(composition: Composition):
    boxes = InputContract(policy="letterbox", size=160, multiple=16)
    crops = InputContract(policy="short-side-crop", size=64, resize=80)
    plan = student_of(composition, toybase=crops, toypurpose=boxes).composition
    contract = shared_input(plan)
    assert plan_frame((100, 100), contract).resized == (160, 160)  # the letterbox
    assert plan_frame((100, 150), contract).resized == (106, 160)
    assert plan_frame((100, 300), contract).resized == (80, 240)  # the crop
    assert max(plan_frame((10, 3000), contract).canvas) == 320  # a panorama
    halved = plan.model_copy(update={"scales": {"toypurpose/small": 0.5}})
    assert plan_frame((100, 100), shared_input(halved)).resized == (80, 80)


def test_a_side_of_ones_own(composition: Composition):
    assert plan_frame((100, 150), shared_input(composition, 48)).resized == (48, 72)
    with pytest.raises(UsageError, match="too small"):
        shared_input(composition, 2)
