"""What a spec accepts and refuses."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kivfm_core.errors import UsageError
from kivfm_core.spec import (
    InputContract,
    Level,
    TaskSpec,
    TeacherProvider,
    TeacherSpec,
    Weights,
)

DENSE = Level(name="dense", kind="dense", channels=8, stride=16)
GLOBAL = Level(name="global", kind="global", channels=8)


def spec(**fields):
    return TeacherSpec.model_validate(
        {
            "name": "clip/vit-b-16",
            "encoder": "package.module:build",
            "levels": (GLOBAL, DENSE),
            "input": InputContract(policy="stretch", size=32),
            "weights": Weights(source="hf:org/name/file", split="m:split"),
            "parameters": 7,
            **fields,
        }
    )


def test_family_variant_and_lookups():
    task = TaskSpec(task="classification", levels=("global",), decoder="m:head")
    found = spec(tasks=(task,))
    assert (found.family, found.variant) == ("clip", "vit-b-16")
    assert (spec(name="timm/a/b.c").family, spec(name="timm/a/b.c").variant) == ("timm", "a/b.c")
    assert found.level("dense") is DENSE and found.task("classification") is task
    with pytest.raises(UsageError, match="clip/vit-b-16 has no level x"):
        found.level("x")
    with pytest.raises(UsageError, match="clip/vit-b-16 does not solve detection"):
        found.task("detection")


def test_a_spec_goes_through_json_unchanged():
    found = spec(
        tasks=(TaskSpec(task="detection", levels=("dense",), decoder="m:f", labels=("a", "b")),)
    )
    assert TeacherSpec.model_validate_json(found.model_dump_json()) == found
    assert TeacherSpec.model_validate(json.loads(found.model_dump_json())) == found


def test_a_spec_is_frozen():
    with pytest.raises(ValidationError):
        spec().parameters = 8


WRONG = {
    "unknown field": ({"wings": 2}, "wings"),
    "no level": ({"levels": ()}, "levels"),
    "levels of one name": ({"levels": (GLOBAL, GLOBAL)}, "level names repeat"),
    "name with a space": ({"name": "a b"}, "name"),
    "name that starts with a dot": ({"name": "../a"}, "name"),
    "name with a pin": ({"name": "a::b"}, "name"),
    "encoder without a function": ({"encoder": "package.module"}, "encoder"),
    "encoder with a call": ({"encoder": "os:system('ls')"}, "encoder"),
    "no parameters": ({"parameters": 0}, "parameters"),
    "other role": ({"role": "boss"}, "role"),
    "other api": ({"api_version": 3}, "api_version"),
    "task on no level": (
        {"tasks": [{"task": "detection", "levels": ["p3"], "decoder": "m:f"}]},
        "undeclared levels",
    ),
    "task that is no name": (
        {"tasks": [{"task": "Cook it", "levels": ["dense"], "decoder": "m:f"}]},
        "task",
    ),
    "one part, two decoders": (
        {
            "tasks": [
                {"task": "detection", "levels": ["dense"], "decoder": "m:f"},
                {"task": "instance-segmentation", "levels": ["dense"], "decoder": "m:g"},
            ]
        },
        "names two decoders",
    ),
    "weights from anywhere": ({"weights": {"source": "ftp:x", "split": "m:f"}}, "source"),
}


@pytest.mark.parametrize(("fields", "text"), WRONG.values(), ids=WRONG.keys())
def test_refused(fields, text):
    with pytest.raises(ValidationError, match=text):
        spec(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "dense"},
        {"kind": "global", "stride": 16},
        {"kind": "dense", "stride": 0},
        {"kind": "dense", "stride": 16, "channels": 0},
    ],
)
def test_levels_refused(fields):
    with pytest.raises(ValidationError):
        Level.model_validate({"name": "x", "channels": 8, **fields})


@given(
    st.integers(1, 64),
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.sampled_from(["ceil", "floor"]),
)
def test_a_grid_covers_the_canvas(stride, height, width, rounding):
    level = Level(name="x", kind="dense", channels=1, stride=stride, rounding=rounding)
    for side, cells in zip((height, width), level.grid((height, width)), strict=True):
        if rounding == "floor":
            assert cells * stride <= side < (cells + 1) * stride
        else:
            assert (cells - 1) * stride < side <= cells * stride


def test_a_global_level_has_no_grid():
    with pytest.raises(ValueError, match="no grid"):
        GLOBAL.grid((32, 32))


@pytest.mark.parametrize(
    "fields",
    [
        {"policy": "stretch", "size": 100, "multiple": 32},
        {"policy": "letterbox", "size": 64, "train_sizes": (64, 100), "multiple": 32},
        {"policy": "short-side-crop", "size": 64, "resize": 32},
        {"policy": "fold", "size": 64},
        {"policy": "stretch", "size": 64, "pad_value": (0, 0)},
    ],
)
def test_input_contracts_refused(fields):
    with pytest.raises(ValidationError):
        InputContract.model_validate(fields)


def test_a_short_side_need_not_be_a_multiple():
    assert InputContract(policy="short-side", size=800, multiple=32).size == 800


def test_a_provider():
    provider = TeacherProvider(prefix="timm/", resolve="m:f", distribution="timm")
    assert provider.api_version == 2
    with pytest.raises(ValidationError):
        TeacherProvider(prefix="timm", resolve="m:f", distribution="timm")


def test_nothing_is_divided_by_zero():
    with pytest.raises(ValidationError, match="std is divided by"):
        InputContract(policy="stretch", size=32, std=(1.0, 0.0, 1.0))
