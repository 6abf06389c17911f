"""A bundle names the packages that it needs."""

from __future__ import annotations

import json
import shutil

import pytest

from kivfm_core.composition.composition import Composition
from kivfm_core.errors import PluginError, UsageError
from kivfm_core.registry.entry import Entry
from kivfm_core.registry.registry import Registry
from kivfm_core.spec import TeacherProvider
from kivfm_core.student import bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders
from kivfm_core.weights.tokenizer import obtain_tokenizer


def test_a_package_that_is_missing_is_named_with_its_command(
    composition: Composition, tmp_path, monkeypatch
):
    """Whether its teachers are its own, or a library's that it gives under a prefix."""
    first, second = composition.teachers
    second = second.model_copy(update={"requirements": ("no-such>=2",)})
    provider = TeacherProvider(prefix="toypurpose/", resolve="m:f", distribution="no-library")
    entries = (
        Entry(first.name, "kivfm-hue", "1.5", spec=first),
        Entry("toypurpose/", "kivfm-many", "2.0", provider=provider),
    )
    monkeypatch.setattr(bundle, "get_registry", lambda: Registry(entries))
    plan = composition.model_copy(update={"teachers": (first, second)})
    bundle.write_bundle(Student(plan), tmp_path / "student")
    card = json.loads((tmp_path / "student/student.json").read_text())
    assert card["distributions"] == {"kivfm-hue": "1.5", "kivfm-many": "2.0"}
    with pytest.raises(PluginError) as caught:
        bundle.read_bundle(tmp_path / "student")
    command = "pip install 'kivfm-hue' 'kivfm-many' 'no-library' 'no-such>=2'"
    assert caught.value.exit_code == 3 and caught.value.hint == command


def test_of_two_that_give_a_name_the_one_that_was_taken_is_stored(composition: Composition):
    spec = composition.teachers[0]
    other = spec.model_copy(update={"summary": "another"})
    entries = [
        Entry(f"{of}::{spec.name}", of, "1", "conflict", spec=given)
        for of, given in (("one", other), ("two", spec))
    ]
    origin = Registry(tuple(entries)).origin(spec)
    assert origin is not None and origin.distribution == "two"


def test_it_carries_the_tokenizers_that_are_here(composition: Composition, register, tmp_path):
    words, gone = tmp_path / "words", "hf:no-one/nothing"
    words.mkdir()
    for file in ("tokenizer.json", "vocab.txt", "model.safetensors"):
        (words / file).write_text(file)
    first, second = composition.teachers
    tasks = [task.model_copy(update={"tokenizer": gone}) for task in second.tasks]
    tasks[0] = tasks[0].model_copy(update={"tokenizer": f"run:{words}"})
    second = second.model_copy(update={"tasks": tuple(tasks)})
    register(first, second)
    student = Student(composition.model_copy(update={"teachers": (first, second)}))
    student.decoders = {spec.name: Decoders(spec) for spec in (first, second)}
    bundle.write_bundle(student, tmp_path / "a/student")
    shutil.rmtree(words)
    # A student that is read and written again has it, too, wherever its folder is then.
    bundle.write_bundle(bundle.read_bundle(tmp_path / "a/student"), tmp_path / "b/student")
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "b").rename(tmp_path / "c")
    spec = bundle.read_bundle(tmp_path / "c/student").stand_in(second.name).decoders.spec
    found = obtain_tokenizer(spec, tasks[0].task)
    assert found is not None and found.is_relative_to(tmp_path / "c/student/decoders")
    assert {file.name for file in found.iterdir()} == {"tokenizer.json", "vocab.txt"}
    assert spec.tasks[1].tokenizer == gone


def test_anothers_checkpoint_says_what_to_do(composition: Composition, tmp_path):
    folder = tmp_path / "run/checkpoints/step-000001"
    folder.mkdir(parents=True)
    bundle.save_tensors({"no": Student(composition).state_dict()["readout_units"]},
                        folder / "student.safetensors")  # fmt: skip
    with pytest.raises(UsageError) as caught:
        bundle.load_trained(Student(composition), folder)
    run = tmp_path / "run"
    assert caught.value.hint == f"kivfm distill --config {run}/config.toml --out {run}-2"
