"""Another plugin version is noticed by what it declares: classes and their order, levels."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import toy

from kivfm_cli.changed_teachers import warn_of_changed_teachers
from kivfm_core.composition.composition import Composition
from kivfm_core.config import build_config
from kivfm_core.errors import ChangedTeacherWarning
from kivfm_core.registry.entry import Entry
from kivfm_core.registry.redeclared import redeclared
from kivfm_core.registry.registry import Registry
from kivfm_core.runs.changed_teachers import warn_of_changed_teachers as warn
from kivfm_core.runs.run import Run, open_run
from kivfm_core.spec import TeacherSpec

NAMES = ("cat", "dog", "owl", "fox", "emu")


def with_labels(*labels: str) -> TeacherSpec:
    first, *others = toy.PURPOSE.tasks
    tasks = (first.model_copy(update={"labels": labels}), *others)
    return toy.PURPOSE.model_copy(update={"tasks": tasks})


def installed(*specs: TeacherSpec) -> Registry:
    return Registry(tuple(Entry(spec.name, "kivfm", "2.0", spec=spec) for spec in specs))


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (("cat", "dog", "fox", "owl", "emu"), "labels[2]: owl, now fox"),
        (NAMES[:4], "labels: 5 entries, now 4"),
    ],
)
def test_other_classes_are_noticed(labels: tuple[str, ...], line: str):
    assert redeclared([with_labels(*NAMES)], installed(with_labels(*NAMES))) == []
    (found,) = redeclared([with_labels(*NAMES)], installed(with_labels(*labels)))
    assert found.startswith("toypurpose/small declares tasks.") and found.endswith(line)


def test_other_levels_are_noticed_and_a_missing_plugin_is_not_this_ones_business():
    level, *others = toy.PURPOSE.levels
    levels = (level.model_copy(update={"name": "other"}), *others)
    newer = toy.PURPOSE.model_copy(update={"levels": levels})
    assert any("declares levels" in line for line in redeclared([toy.PURPOSE], installed(newer)))
    assert redeclared([toy.PURPOSE], installed()) == []


def test_a_run_is_used_as_it_was_stored_and_the_command_warns(
    composition: Composition, register, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    Run(tmp_path / "run").write_plan(build_config(None, {"teachers": "toybase"}), composition)
    warn_of_changed_teachers(tmp_path / "run")
    assert capsys.readouterr().err == ""
    register(toy.BASE, with_labels(*NAMES))
    with pytest.warns(ChangedTeacherWarning, match="toypurpose/small declares"):
        warn(open_run(tmp_path / "run"))
    warn_of_changed_teachers(tmp_path / "run")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", ChangedTeacherWarning)
        warn(open_run(tmp_path / "run"))
        warn("a teacher")
    assert caught == []
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("warning: not as ") and "toypurpose/small declares" in err
