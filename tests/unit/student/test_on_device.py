"""Encoders on a device, decoders on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
import torch
import toy
from oracle import Oracle, oracle_spec
from torch import Tensor

from kivfm_core.composition.composition import Composition
from kivfm_core.data.canvas import make_canvases
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import ClassLogits
from kivfm_core.student.on_device import OnDevice, find_device, on_device
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders, Levels, Teacher, load_teacher

# Stands for a GPU: weights can be moved there, and nothing can be read back.
META = torch.device("meta")

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def homes(tensors: Iterable[Tensor]) -> set[str]:
    return {tensor.device.type for tensor in tensors}


@pytest.fixture
def student(composition: Composition) -> Student:
    student = Student(composition).eval()
    student.decoders = {toy.PURPOSE.name: Decoders(toy.PURPOSE)}
    return student


def test_a_teachers_encoder_moves_and_its_decoders_stay(toys: dict[str, str]):
    teacher = load_teacher(toy.PURPOSE, toys[toy.PURPOSE.name])
    assert isinstance(on_device(teacher, META), Teacher)
    assert homes(teacher.encoder.parameters()) == {"meta"}
    assert homes(teacher.decoders.parameters()) == {"cpu"}


@pytest.mark.parametrize("alone", [True, False])
def test_a_student_moves_without_its_decoders(student: Student, alone: bool):
    on_device(student if alone else student.stand_in("toypurpose"), META)
    assert homes(student.parameters()) == {"meta"}
    assert homes(student.decoders[toy.PURPOSE.name].parameters()) == {"cpu"}


def test_on_the_cpu_nothing_changes(student: Student):
    stand_in = student.stand_in("toypurpose")
    assert on_device(stand_in, torch.device("cpu")) is stand_in
    other = Oracle(oracle_spec({}))
    assert on_device(other, META) is other


class Away:
    """A level that lies on the device, in half precision."""

    def __init__(self, rows: int) -> None:
        self.level = torch.arange(rows).half()

    def to(self, *where: Any) -> Tensor:
        return self.level.to(*where)


class Cramped(Oracle):
    """Runs on the device, whose memory holds a number of canvases."""

    def __init__(self, room: int) -> None:
        super().__init__(oracle_spec({}))
        self.room, self.sizes = room, list[int]()

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Any:
        assert images.device == META and len(frames) == len(images)
        self.sizes.append(len(images))
        if len(images) > self.room:
            raise torch.OutOfMemoryError
        return {"global": Away(len(images))}


def run(model: Teacher, images: int) -> Levels:
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    return model.encode(*make_canvases([image] * images, model.spec.input))


def test_canvases_go_there_and_levels_come_back_in_float32():
    levels = run(OnDevice(Cramped(9), META), 3)
    assert (levels["global"].device.type, levels["global"].dtype) == ("cpu", torch.float32)
    assert levels["global"].tolist() == [0, 1, 2] and len(levels.frames) == 3


def test_a_batch_that_does_not_fit_is_split():
    model = Cramped(2)
    there = OnDevice(model, META)
    assert run(there, 5)["global"].tolist() == [0, 1, 0, 1, 0]
    assert run(there, 4)["global"].tolist() == [0, 1, 0, 1]
    assert model.sizes == [5, 3, 2, 2, 1, 2, 2]  # it remembers which size did not fit


def test_a_single_canvas_that_does_not_fit_hints_at_the_cpu():
    with pytest.raises(KivfmError, match="running oracle/one on meta") as caught:
        run(OnDevice(Cramped(0), META), 2)
    assert caught.value.hint == "--accelerator cpu"


def test_weights_that_do_not_fit_hint_at_the_cpu(student: Student, monkeypatch: pytest.MonkeyPatch):
    def full(self: Any, *where: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(KivfmError, match="out of memory: student on meta") as caught:
        on_device(student, META)
    assert caught.value.hint == "--accelerator cpu"


def test_prompts_and_decoders_are_the_models():
    logits = ClassLogits(torch.zeros(1, 2))
    model = Oracle(oracle_spec({"zero-shot": "open"}), lambda levels, prompt: logits)
    there = OnDevice(model, torch.device("cpu"))
    prompt = there.prompt("zero-shot", labels=["a", "b"])
    assert prompt == {"labels": ["a", "b"]}
    assert there.decode("zero-shot", run(there, 1), prompt) is logits


@pytest.mark.parametrize("gpu", [True, False])
def test_a_gpu_is_taken_if_there_is_one(gpu: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert find_device("auto").type == ("cuda" if gpu else "cpu")
    assert find_device("cpu").type == "cpu"


@pytest.mark.parametrize("accelerator", ["warp", "meta", "hpu", "cuda:99"])
def test_an_accelerator_that_is_not_here(accelerator: str):
    with pytest.raises(UsageError, match=f"no {accelerator} here: .") as caught:
        find_device(accelerator)
    assert caught.value.hint == "--accelerator auto"


@needs_gpu
def test_a_gpu_gives_the_cpus_levels(student: Student, toys: dict[str, str]):
    teacher = load_teacher(toy.PURPOSE, toys[toy.PURPOSE.name])
    for model in (teacher, student, student.stand_in("toypurpose")):
        here, there = run(model, 3), run(on_device(model, find_device("gpu")), 3)
        assert homes(there.values()) == {"cpu"}
        for name, level in here.items():
            assert torch.allclose(
                there[name], level, rtol=1e-2, atol=1e-2 * float(level.abs().max())
            )
