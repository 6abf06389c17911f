"""The conformance kit checks what the spec declares; what only you can know is tested here."""

import torch

from kivfm_acme.plugin import COLORS, TINY
from kivfm_core.data.canvas import make_canvases
from kivfm_core.teacher import load_teacher
from kivfm_core.testing import TeacherConformance


class TestTiny(TeacherConformance):
    spec = TINY


def test_halves_have_their_colors():
    picture = torch.zeros(3, 60, 80, dtype=torch.uint8)
    picture[0, :, :40] = 250  # red, and black on the right
    teacher = load_teacher(TINY)
    x, frames = make_canvases([picture], TINY.input)
    found = teacher.decode("semantic-segmentation", teacher.encode(x, frames))
    (logits,) = found.to_original(frames)
    best = logits.argmax(0)
    assert best.shape == (60, 80)
    assert {COLORS[i] for i in best[:, :32].unique()} == {"red"}
    assert {COLORS[i] for i in best[:, 48:].unique()} == {"black"}
