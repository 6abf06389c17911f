"""The ways to get every teacher's levels of an image: programs that can be exported."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.use.one_pass import STUDENTS
from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.exports.program import Program
from kivfm_core.geometry import Frame, Size, plan_frame
from kivfm_core.spec import InputContract, TeacherSpec
from kivfm_core.student.one_pass import groups
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders, Encoder, LoadedTeacher

TEACHERS, ALONE, TOGETHER, FEATURES = (
    "teachers, one after the other",
    "stand-ins, one after the other",
    "all stand-ins, one pass",
    "the student's features",
)


class _Levels(nn.Module):
    """One encoder's levels of canvases."""

    def __init__(self, encoder: Encoder, network: nn.Module) -> None:
        super().__init__()
        self.encoder, self.network = encoder, network

    def forward(self, canvas: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.encoder.encode(canvas, []).values())


class _Together(nn.Module):
    """All stand-ins' levels of shared canvases, which show images of one size."""

    def __init__(self, stand_ins: list[Any], student: Student, frame: Frame) -> None:
        super().__init__()
        self.stand_ins, self.network, self.frames = stand_ins, student, [frame]

    def forward(self, canvas: Tensor) -> tuple[Tensor, ...]:
        features = self.stand_ins[0].look(canvas, [])
        size = (canvas.shape[-2], canvas.shape[-1])
        read = [one.read(features, self.frames, size) for one in self.stand_ins]
        return tuple(level for levels in read for level in levels.values())


def make_ways(name: str) -> dict[str, list[Program]]:
    """The programs of each way, to be run one after the other; weights are random.

    Args:
        name: A key of `benchmarks.use.one_pass.STUDENTS`.
    """
    teachers, settings, size = STUDENTS[name]
    torch.manual_seed(0)
    plan = compose(build_config(None, {"teachers": teachers, **settings}))
    student = _shaken(Student(plan).eval())
    student.decoders = {spec.name: Decoders(spec).eval() for spec in plan.teachers}
    names = [spec.name for spec in plan.teachers]
    (shared,) = groups(student, names, None)
    contract = shared[0].spec.input
    frame = plan_frame(size, contract)
    together = _Together(list(shared), student, frame)
    return {
        TEACHERS: [_levels(LoadedTeacher(spec), spec, size) for spec in plan.teachers],
        ALONE: [_levels(student.stand_in(s.name), s, size, student) for s in plan.teachers],
        TOGETHER: [_program(together, student.spec, contract, frame.canvas)],
        FEATURES: [_program(_Levels(student, student), student.spec, contract, frame.canvas)],
    }


def _shaken(student: Student) -> Student:
    """A student that has learned something: one that begins with zeros gives constants."""
    with torch.no_grad():
        for tensor in (*student.parameters(), *student.buffers()):
            if tensor.is_floating_point() and not tensor.any():
                tensor.normal_(std=0.02)
    return student


def _levels(
    encoder: Any, spec: TeacherSpec, size: Size, network: nn.Module | None = None
) -> Program:
    module = _Levels(encoder, network or encoder)
    return _program(module, spec, spec.input, plan_frame(size, spec.input).canvas)


def _program(module: nn.Module, spec: TeacherSpec, contract: InputContract, size: Size) -> Program:
    module = module.eval()
    with torch.no_grad():  # also computes what is constant, before anything is traced
        count = len(module(torch.rand(1, 3, *size)))
    names = tuple(f"level{number}" for number in range(count))
    return Program(module, module.network, spec, names, contract, size)
