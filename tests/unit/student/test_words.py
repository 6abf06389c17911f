"""Words find places: by a zero-shot decoder that knows images alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F

from kivfm_core.aligners.joint import JointAligner
from kivfm_core.aligners.joint_plan import JointPlan
from kivfm_core.composition.compose import compose
from kivfm_core.composition.words import all_specs, is_words, word_source, word_specs
from kivfm_core.config import build_config
from kivfm_core.geometry import Frame
from kivfm_core.predictions import ClassLogits, Masks, SemanticLogits
from kivfm_core.spec import Level
from kivfm_core.student.student import Student
from kivfm_core.student.text_masks import AT_ONCE, MOST, TextMaskDecoders, peaks
from kivfm_core.student.words import FITS, NEUTRAL, WordDecoders
from kivfm_core.teacher import Decoders, Levels

TEACHERS = "dino/nano,clip/nano,segmenter/nano"
NAMES = {NEUTRAL: 0, "ring": 1, "star": 2, "moon": 3}


class Zero:
    """A decoder of words: cosines with a vector for each, times a temperature, plus a constant."""

    def __init__(self, constant: float) -> None:
        torch.manual_seed(0)
        self.constant, self.words = constant, F.normalize(torch.randn(4, 6) + 2, dim=1)

    def parameters(self):
        return iter([self.words])

    def prompt(self, task: str, labels: list[str]) -> torch.Tensor:
        return self.words[[NAMES[label] for label in labels]].T

    def decode(self, task: str, levels: Levels, prompt: torch.Tensor) -> ClassLogits:
        return ClassLogits(10 * F.normalize(levels["global"], dim=1) @ prompt + self.constant)


def aligner() -> JointAligner:
    level = Level(name="global", kind="global", channels=6)
    made = JointAligner(
        JointPlan(teacher="a/b", level=level, maps={"V": 4}, x_channels=4, hidden=4, latent=6,
                  target="direction", shared=5)
    )  # fmt: skip
    torch.manual_seed(1)
    made.shared_map.into.copy_(torch.randn(6, 5))
    return made


def decoders(constant: float) -> WordDecoders:
    zero = cast(Decoders, Zero(constant))
    return WordDecoders(cast(Any, SimpleNamespace(name="words/a")), zero, aligner(), "global")


@pytest.mark.parametrize("constant", [0.0, -8.0])
def test_a_place_of_a_word_is_found(constant: float):
    one, zero = decoders(constant), Zero(constant)
    prompt = one.prompt("open-vocabulary-segmentation", labels=["ring", "star", "moon"])
    wanted = (zero.words[1:] - zero.words[0]) @ one.aligner.shared_map.into
    assert torch.allclose(prompt, F.normalize(wanted, dim=1).T, atol=1e-5)
    z = torch.zeros(1, 5, 4, 4)
    z[0, :, 1, 2] = 3 * prompt[:, 1]
    found = one.decode("open-vocabulary-segmentation", Levels({"Z": z}, []), prompt).logits
    assert found.shape == (1, 3, 4, 4) and found[0, :, 1, 2].argmax() == 1
    assert found[0, 1, 1, 2] == pytest.approx(3 - FITS, abs=1e-5)
    assert (found[0, :, 0] < 0).all()


def test_scores_are_deviations_from_the_average_place():
    one = decoders(0.0)
    prompt = one.prompt("open-vocabulary-segmentation", labels=["ring", "star"])
    torch.manual_seed(2)
    z = torch.randn(1, 5, 60, 60)  # as shared coordinates are over many places
    scores = one.decode("open-vocabulary-segmentation", Levels({"Z": z}, []), prompt).logits
    assert torch.allclose((scores + FITS).std((0, 2, 3)), torch.ones(2), atol=0.05)


@pytest.mark.parametrize(
    ("recipe", "teachers", "offered"),
    [
        ("kpu-joint", TEACHERS, True),
        ("kpu", TEACHERS, False),
        ("kpu-joint", "dino/nano,segmenter/nano", False),
    ],
)
def test_it_is_offered_where_words_meet_the_rest(recipe: str, teachers: str, offered: bool):
    plan = compose(build_config(None, {"teachers": teachers, "recipe": recipe}))
    found = word_specs(plan)
    assert bool(found) == offered
    assert all_specs(plan)[: len(plan.teachers)] == plan.teachers
    if offered:
        (spec,) = found
        assert is_words(spec) and word_source(spec) == ("clip/nano", "global")
        assert [task.task for task in spec.tasks] == ["open-vocabulary-segmentation"]


def test_the_student_stands_in_for_it_and_stores_nothing_for_it():
    plan = compose(build_config(None, {"teachers": TEACHERS, "recipe": "kpu-joint"}))
    student = Student(plan).eval()
    student.decoders = {spec.name: Decoders(spec) for spec in plan.teachers}
    (spec,) = word_specs(plan)
    one = student.stand_in("words")
    assert one.spec == spec and spec.name not in student.decoders
    assert not any("words" in key for key in student.state_dict())
    features = student(torch.rand(1, 3, 96, 96))
    levels = one.levels(features, (96, 96))
    assert torch.equal(levels["Z"], features["Z"])
    prompt = one.prompt("open-vocabulary-segmentation", labels=["ring", "star"])
    assert prompt.shape == (64, 2)


class Squares:
    """A decoder of clicks: a square of 3 x 3 cells around each, of canvases of 32 x 32 pixels."""

    def prompt(self, task: str, points: list[torch.Tensor]) -> list[torch.Tensor]:
        return points

    def decode(self, task: str, levels: Levels, prompt: list[torch.Tensor]) -> Masks:
        logits = torch.full((len(prompt[0]), 8, 8), -5.0)
        for mask, (x, y) in zip(logits, (prompt[0] / 4).long().tolist(), strict=True):
            mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 5
        return Masks([logits])


def test_the_places_of_a_word_become_objects():
    words = decoders(0.0)
    task = "text-segmentation"
    prompt = words.prompt(task, labels=["ring", "star"])
    z = torch.zeros(2, 5, 8, 8)
    z[0, :, 2, 2], z[0, :, 6, 5] = 4 * prompt[:, 0], 3 * prompt[:, 1]
    frame = Frame((32, 32), (0, 0, 32, 32), (32, 32), (0, 0), (32, 32))
    levels = Levels({"Z": z, "dense": torch.zeros(2, 1, 8, 8)}, [frame, frame])
    both = TextMaskDecoders(words, cast(Decoders, Squares()))
    found = both.decode(task, levels, prompt)
    best = found.scores[0].argmax()
    assert found.labels[0][best] == 0 and found.boxes[0][best].tolist() == [4, 4, 16, 16]
    star = found.labels[0] == 1
    assert [16, 20, 28, 32] in found.boxes[0][star].tolist()
    assert (found.scores[0] > 0.5).all() and found.masks[0].shape[1:] == (8, 8)
    assert [len(part[1]) for part in (found.boxes, found.scores, found.labels)] == [0, 0, 0]
    assert found.to_original([frame, frame])[1]["masks"].shape == (0, 32, 32)


def test_peaks_are_the_highest_of_their_neighbors():
    fits = torch.full((2, 6, 6), -1.0)
    fits[0, 1, 1], fits[0, 1, 2], fits[0, 4, 4], fits[1, 0, 5] = 2.0, 1.0, 1.5, 0.1
    label, y, x = peaks(fits)
    assert list(zip(label.tolist(), y.tolist(), x.tolist(), strict=True)) == [
        (0, 1, 1), (0, 4, 4), (1, 0, 5),
    ]  # fmt: skip


def test_many_words_are_clicked_on_in_portions():
    given: list[int] = []

    class Counting(Squares):
        def prompt(self, task: str, points: list[torch.Tensor]) -> list[torch.Tensor]:
            given.append(len(points[0]))
            return points

    words = cast(Any, SimpleNamespace(spec=None, decode=lambda *_: SemanticLogits(fits)))
    fits = torch.full((100, 8, 8), -1.0)
    fits[:, ::4, ::2] = torch.rand(100, 2, 4) + 0.01  # eight places of each word
    fits[7, 4, 4] = 9.0
    frame = Frame((32, 32), (0, 0, 32, 32), (32, 32), (0, 0), (32, 32))
    fits = fits[None]
    levels = Levels({"Z": torch.zeros(1, 5, 8, 8), "dense": torch.zeros(1, 1, 8, 8)}, [frame])
    found = TextMaskDecoders(words, cast(Decoders, Counting())).decode("text-segmentation", levels)
    assert sum(given) == MOST and max(given) == AT_ONCE
    assert found.labels[0][0] == 7 and (found.scores[0].diff() <= 0).all()


def test_the_terms_of_what_the_trunk_started_from_are_its_too():
    plan = compose(build_config(None, {"teachers": TEACHERS, "recipe": "kpu-joint"}))
    weights = plan.trunk.weights.model_copy(update={"license": "AGPL-3.0"})
    trunk = plan.trunk.model_copy(update={"name": "other/small", "weights": weights})
    started = plan.model_copy(update={"trunk": trunk, "pretrained": True})
    assert word_specs(plan)[0].weights.license != "AGPL-3.0"
    assert word_specs(started)[0].weights.license == "AGPL-3.0"
