"""The mistakes that authors make, found without the original where that is possible."""

from __future__ import annotations

import broken
import pytest
from planted import NAMES, SEER

from kivfm_core.spec import TeacherSpec
from kivfm_core.testing.checks import Result, run_checks
from kivfm_core.testing.subject import Subject


def seer(decoder: str = "Seer", labels: tuple[str, ...] = NAMES, **fields) -> TeacherSpec:
    task = SEER.tasks[0].model_copy(update={"decoder": f"planted:{decoder}", "labels": labels})
    return SEER.model_copy(update={"tasks": (task,), **fields})


def contract(**fields) -> dict:
    return {"input": SEER.input.model_copy(update=fields)}


def results(spec: TeacherSpec) -> dict[str, Result]:
    return {result.name: result for result in run_checks(Subject(spec))}


def findings(spec: TeacherSpec) -> dict[str, Result]:
    return {name: r for name, r in results(spec).items() if r.status == "finding"}


# What each says, and what mends it.
WITHOUT = {
    "scaled twice": (seer("Doubled"), "beside a canvas of 96 x 96", "stride, and once only"),
    "xywh": (seer("Sized"), "end before they begin", "'xywh'"),
    "cxcywh": (seer("Centered"), "end before they begin", "box_convert(boxes, 'cxcywh', 'xyxy')"),
    "0..1": (seer("Fractional"), "lie in 0..1", "multiply x by the width"),
    "no numbers": (seer("Lost"), "not finite", "division by zero"),
    "logits as scores": (seer("Unsure"), "outside of 0..1", "decoders.md"),
    "labels from 1": (seer("Late"), "the label 5, more than the 5", "decoders.md"),
    "labels from -1": (seer("Early"), "the label -1", "decoders.md"),
    "labels with a point": (seer("Rough"), "labels are torch.float32", "decoders.md"),
    "a name too few": (seer(labels=NAMES[:4]), "the label 4, more than the 4", "labels"),
}


@pytest.mark.parametrize(("spec", "says", "mend"), WITHOUT.values(), ids=WITHOUT)
def test_what_shows_without_the_original(spec, says, mend):
    found = findings(spec.model_copy(update={"original": None}))
    assert list(found) == ["decoders"], found
    assert says in found["decoders"].message and mend in found["decoders"].fix


# With the original only: which check finds it, what it says, and what mends it.
WITH = {
    "offset": (seer("Shifted"), "original", "boxes is", "the decoder"),
    "stride": (seer("Shrunk"), "original", "boxes is", "the decoder"),
    "x for y": (seer("Exchanged"), "original", "boxes is", "the decoder"),
    "letterbox for stretch": (
        seer(**contract(policy="stretch")),
        "preprocess",
        "off what the original makes",
        "InputContract(policy='letterbox')",
    ),
    "RGB for BGR": (
        seer(**contract(channel_order="RGB")),
        "preprocess",
        "off what the original makes",
        "InputContract(channel_order='BGR')",
    ),
    "another size": (
        seer(**contract(size=112)),
        "preprocess",
        "of shape (3, 112, 112) and not (3, 96, 96)",
        "correct the input contract",
    ),
    "no task": (seer(original="planted:Mute"), "original", "gives NoneType", "{task: predictions}"),
}


@pytest.mark.parametrize(("spec", "check", "says", "mend"), WITH.values(), ids=WITH)
def test_what_shows_with_the_original_only(spec, check, says, mend):
    found = findings(spec)
    assert check in found and set(found) <= {check, "original"}, found
    assert says in found[check].message and mend in found[check].fix
    without = results(spec.model_copy(update={"original": None}))
    assert not [r for r in without.values() if r.status == "finding"]
    assert "channels and classes, and where boxes" in without["original"].message
    assert without["preprocess"].status == "not checked"


def test_a_good_detector_passes():
    assert not findings(SEER)
    found = results(SEER)
    assert found["original"].status == found["preprocess"].status == "ok"


def test_an_original_without_preprocessing_is_said():
    result = results(broken.GOOD)["preprocess"]
    assert result.status == "not checked" and "policy, sizes" in result.message


def test_predictions_that_never_change_are_found():
    task = broken.GOOD.tasks[0].model_copy(update={"decoder": "planted:Same"})
    found = findings(broken.GOOD.model_copy(update={"tasks": (task,), "original": None}))
    assert "classification is the same for two images" in found["responds"].message
    stuck = findings(seer("Stuck", original=None))
    assert "detection is the same for two images" in stuck["responds"].message
    assert list(stuck) == ["responds"]


def test_what_a_decoder_raises_is_shown_where_it_is():
    found = findings(seer("Raising"))
    assert list(found) == ["decoders"], found
    result = found["decoders"]
    assert "RuntimeError: no luck with boxes" in result.message
    assert "repair planted:Raising" in result.fix
    assert "in boxes" in result.traceback and "kivfm_core/testing" not in result.traceback
    tasks = broken.GOOD.tasks[0].model_copy(update={"decoder": "broken:Greedy"})
    found = findings(broken.GOOD.model_copy(update={"tasks": (tasks,), "original": None}))
    assert "add 'fine' to the task's levels" in found["decoders"].fix


def test_weights_that_are_not_in_the_package_are_found():
    weights = SEER.weights.model_copy(update={"source": "package:planted_away/weights.safetensors"})
    found = findings(SEER.model_copy(update={"weights": weights}))
    assert list(found) == ["packaged"]
    assert "not in the installed package" in found["packaged"].message


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (1.0012, "0.12% off"),
        (1.5, "50% off"),
        (1e9, "more than 100 times"),
        (float("nan"), "not fi"),
    ],
)
def test_differences_in_words(value, says):
    import torch

    from kivfm_core.testing.subject import off

    one = torch.ones(3)
    assert says in off(one * value, one, 1e-3, "the other")
    assert off(one[:2], one, 1e-3, "the other").startswith("of shape (2,) and not (3,)")
    assert not off(one * 1.0001, one, 1e-3, "the other")
