"""Every teacher that is installed and quick enough passes the conformance kit."""

import pytest

from kivfm_core.registry.registry import get_registry, list_teachers
from kivfm_core.testing.checks import run_checks
from kivfm_core.testing.subject import Subject

# Beyond these, encoders take minutes on a processor; `kivfm teachers check` takes any.
LARGEST = 4_000_000
PLUGINS = sorted(
    entry.name
    for entry in list_teachers()
    if entry.distribution != "kivfm" and entry.spec and entry.spec.parameters <= LARGEST
)
BUILT_IN = (
    "timm/vit_tiny_patch16_224",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("timm/resnet18", "dino/vit-s-14", "segmenter/deeplabv3-mnv3")
    ),
)


@pytest.mark.parametrize("name", (*PLUGINS, *BUILT_IN))
def test_teachers_conform(name):
    results = list(run_checks(Subject(get_registry().resolve(name))))
    assert not [result for result in results if result.status == "finding"]
    assert sum(result.status == "ok" for result in results) >= 13


def test_the_plugins_of_this_repository_are_here():
    assert {"dino/nano", "clip/nano", "sam/nano", "detector/nano", "segmenter/nano",
            "yolox/nano", "yolov8/n-seg", "deeplab/mnv2-voc"} <= set(PLUGINS)  # fmt: skip
