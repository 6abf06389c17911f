"""The families' static specs say what their libraries would say, and import nothing heavy."""

import subprocess
import sys
from importlib import import_module

import pytest

from kivfm_core.spec import TeacherSpec

FOLDERS = ("clip", "classifier", "detector", "dino", "dinov3", "sam", "segmenter", "siglip")
PROVIDERS = ("open_clip", "timm", "torchvision")
FAMILIES = (*FOLDERS, "eupe", "pe", "radio", "tipsv2")


def specs(family: str) -> list[TeacherSpec]:
    """The family's own plugin's, or those that come with a library."""
    plugins = [family] if family in FOLDERS else PROVIDERS
    found = [import_module(f"kivfm_teachers.{p}.plugin").kivfm_register_teachers() for p in plugins]
    return [s for of in found for s in of if isinstance(s, TeacherSpec) and s.family == family]


def described(spec: TeacherSpec) -> TeacherSpec:
    """The same network by its library's name."""
    tag = {"clip": "openai", "siglip": "webli", "pe": "meta"}.get(spec.family)
    if tag and spec.tasks:
        resolve, name = "open_clip", f"open_clip/{spec.config['model']}/{tag}"
    elif spec.family in ("detector", "segmenter"):
        resolve, name = "torchvision", f"torchvision/{spec.config['model']}"
    else:
        resolve, name = "timm", f"timm/{spec.config['model']}"
    return import_module(f"kivfm_teachers.{resolve}.resolve").resolve(name)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_spec_of_a_family_is_its_default(family):
    first, *others = specs(family)
    assert family in first.aliases
    assert all(family not in spec.aliases for spec in others)
    assert all(spec.family == family for spec in (first, *others))


def default_first() -> list:
    """The defaults always, the other variants in the long run."""
    marks = ([()] + [pytest.mark.slow] * 9 for _ in FAMILIES)
    pairs = zip(FAMILIES, marks, strict=True)
    return [
        pytest.param(spec, id=spec.name, marks=mark)
        for family, of in pairs
        for spec, mark in zip(specs(family), of, strict=False)
    ]


@pytest.mark.parametrize("spec", default_first())
def test_static_specs_agree_with_the_library(spec):
    other = described(spec)
    assert spec.parameters == other.parameters
    assert spec.code_license == other.code_license
    assert spec.weights.license == other.weights.license
    mine, theirs = spec.input, other.input
    assert (mine.mean, mine.std) == (theirs.mean, theirs.std)
    if spec.family == "sam":  # it has its own level and canvas
        assert spec.levels == tuple(v for v in other.levels if v.name == "dense")
        return
    assert set(spec.levels) == set(other.levels)
    assert spec.config == other.config
    if spec.family != "dino":  # which evaluates at 224
        assert mine.model_copy(update={"resize": None}) == theirs.model_copy(
            update={"resize": None}
        )
        assert (mine.resize or mine.size) == (theirs.resize or theirs.size)
    assert spec.weights.source == other.weights.source
    assert spec.requirements == other.requirements
    assert other.weights.bytes in (spec.weights.bytes, None)  # open_clip does not say it
    if spec.attachments:
        assert spec.attachments == other.attachments


def test_listing_imports_no_library():
    plugins = [f"kivfm_teachers.{name}.plugin" for name in (*FOLDERS, *PROVIDERS)]
    code = f"""
import sys
from importlib import import_module
for plugin in {plugins!r}:
    assert import_module(plugin).kivfm_register_teachers()
print([m for m in ("torch", "timm", "torchvision", "open_clip") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
