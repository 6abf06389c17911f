"""A stored spec may name only what its installed teacher names, role by role."""

from __future__ import annotations

import subprocess
import sys

import pytest
import toy
from pydantic import ValidationError

from kivfm_core.errors import PluginError, WeightsError
from kivfm_core.registry.entry import Entry
from kivfm_core.registry.registry import Registry, get_registry
from kivfm_core.registry.stored import check_stored, obtain_weights
from kivfm_core.spec import References, TeacherProvider, TeacherSpec, Weights

FOREIGN = "antigravity:geohash"


def foreign(spec: TeacherSpec, role: str) -> TeacherSpec:
    """The spec with code of somebody else's in one role."""
    if role in ("split", "fetch"):
        weights = spec.weights.model_copy(update={role: FOREIGN})
        return spec.model_copy(update={"weights": weights})
    if role == "tokenizer":
        tasks = tuple(task.model_copy(update={"tokenizer": "run:/etc"}) for task in spec.tasks)
        return spec.model_copy(update={"tasks": tasks})
    if role == "decoder":
        tasks = tuple(task.model_copy(update={"decoder": FOREIGN}) for task in spec.tasks)
        return spec.model_copy(update={"tasks": tasks})
    return spec.model_copy(update={role: FOREIGN})


def installed(*specs: TeacherSpec) -> Registry:
    return Registry(tuple(Entry(spec.name, "kivfm", "1.0", spec=spec) for spec in specs))


ROLES = ("encoder", "decoder", "split", "fetch", "original")


@pytest.mark.parametrize("role", ROLES)
def test_foreign_code_is_refused_in_every_role_and_not_imported(role: str):
    spec, registry = toy.PURPOSE, installed(toy.PURPOSE)
    assert spec.tasks
    check_stored([spec], registry)
    with pytest.raises(PluginError, match=f"names {FOREIGN} as its {role}"):
        check_stored([foreign(spec, role)], registry)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("folder", ["/etc", "../..", "~/words", "student/decoders/../../.."])
def test_a_folder_of_this_machine_is_a_tokenizer_only_if_the_installed_teacher_says_so(folder: str):
    def with_tokenizer(source: str) -> TeacherSpec:
        first, *others = toy.PURPOSE.tasks
        tasks = (first.model_copy(update={"tokenizer": source}), *others)
        return toy.PURPOSE.model_copy(update={"tasks": tasks})

    local = with_tokenizer(f"run:{folder}")
    check_stored([local], installed(local))
    check_stored([with_tokenizer("hf:some/words")], installed(toy.PURPOSE))
    with pytest.raises(PluginError, match="as its tokenizer, which the installed"):
        check_stored([local], installed(toy.PURPOSE))


def test_code_of_the_right_teacher_in_the_wrong_role_is_refused():
    spec = toy.PURPOSE.model_copy(update={"encoder": toy.PURPOSE.weights.split})
    with pytest.raises(PluginError, match="as its encoder"):
        check_stored([spec], installed(toy.PURPOSE))


def test_a_teacher_that_is_not_installed_is_refused():
    with pytest.raises(PluginError, match="no installed plugin brings toypurpose/small"):
        check_stored([toy.PURPOSE], installed(toy.BASE))


@pytest.mark.parametrize("role", ROLES)
def test_a_provider_says_which_code_its_specs_may_name(role: str):
    spec = toy.PURPOSE.model_copy(update={"name": "lib/small"})
    references = References(
        encoder=(spec.encoder,),
        decoder=tuple({task.decoder for task in spec.tasks}),
        split=(spec.weights.split,),
    )
    provider = TeacherProvider(
        prefix="lib/", resolve="m:f", distribution="none", references=references
    )
    registry = Registry((Entry("lib/", "kivfm", "1.0", provider=provider),))
    check_stored([spec], registry)
    with pytest.raises(PluginError, match=f"as its {role}"):
        check_stored([foreign(spec, role)], registry)


def resolve(name: str) -> TeacherSpec:
    return toy.PURPOSE.model_copy(update={"name": name})


def test_without_references_a_provider_is_asked_for_the_name():
    provider = TeacherProvider(
        prefix="lib/", resolve=f"{__name__}:resolve", distribution="none", cached=False
    )
    sys.modules.setdefault(__name__, sys.modules[resolve.__module__])
    registry = Registry((Entry("lib/", "kivfm", "1.0", provider=provider),))
    check_stored([resolve("lib/small")], registry)
    with pytest.raises(PluginError, match="as its encoder"):
        check_stored([foreign(resolve("lib/small"), "encoder")], registry)


def test_weights_come_from_where_the_installed_teacher_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    elsewhere = toy.PURPOSE.weights.model_copy(update={"source": "hf:stranger/model/a.bin"})
    stored = toy.PURPOSE.model_copy(update={"weights": elsewhere})
    with pytest.raises(WeightsError) as caught:
        obtain_weights(stored, None, installed(toy.PURPOSE))
    assert toy.PURPOSE.weights.source in caught.value.message
    assert "stranger" not in caught.value.message


@pytest.mark.parametrize(
    "source",
    ["torch:/etc/passwd", "torch:../../a.pth", "torch:a/../../b", "package:os//etc/passwd",
     "package:os/../x", "hf:a/b//etc/passwd", "hf:a/b/../c"],
)  # fmt: skip
def test_sources_stay_in_their_place(source: str):
    with pytest.raises(ValidationError):
        Weights(source=source, split="m:f")
    assert Weights(source="torch:a..b/c.pth", split="m:f")


@pytest.mark.parametrize(
    "name",
    ["clip", "dino", "sam", "detector", "segmenter", "classifier", "timm/resnet18",
     "torchvision/resnet18", "torchvision/squeezenet1_0", "torchvision/maskrcnn_resnet50_fpn",
     "torchvision/fcn_resnet50", "open_clip/ViT-B-32/openai"],
)  # fmt: skip
def test_teachers_pass_their_own_check(name: str):
    check_stored([get_registry().resolve(name)], get_registry())


def test_the_check_is_light():
    code = "import sys, kivfm_core.registry.stored; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
