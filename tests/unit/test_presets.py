"""The presets of published numbers: each is read, parses, composes, and passes tensors through."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from kivfm_cli.app import app
from kivfm_core.config import build_config
from kivfm_core.data.canvas import normalize
from kivfm_core.planner.preview import compose
from kivfm_core.probing.table import PROTOCOLS
from kivfm_core.registry.registry import get_registry
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.student import Student
from kivfm_core.teacher import LoadedTeacher

PRESETS = Path(__file__).parents[2] / "presets/published"
RUNS = sorted(PRESETS.glob("*.run.toml"))
FILES = sorted(set(PRESETS.glob("*.toml")) - set(RUNS))
KEYS = {"command", "metric", "expected", "tolerance", "source"}
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
each_run = pytest.mark.parametrize("file", RUNS, ids=lambda file: file.stem)


def read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def parse(line: str) -> tuple[str, dict[str, Any]]:
    """The command of a line, and what it is given."""
    program, name, *words = shlex.split(line)
    assert program == "kivfm"
    group: Any = typer.main.get_command(app)
    command = group.get_command(typer.Context(group), name)
    return name, command.make_context(name, words).params


def shapes(spec: TeacherSpec, side: int) -> None:
    """An encoder without weights gives the levels that its spec declares."""
    with torch.device("meta"):
        encoder = LoadedTeacher(spec).encoder
        levels = encoder(normalize(torch.empty(2, 3, side, side), spec.input))
    for level in spec.levels:
        expected = () if level.kind == "global" else level.grid((side, side))
        assert tuple(levels[level.name].shape) == (2, level.channels, *expected)


@each_file
def test_a_file_says_what_is_expected_and_that_it_was_not_run(file: Path):
    preset = read(file)
    assert preset["schema"] == 1 and preset["run_here"] is False and preset["about"]
    assert set(preset) <= {"schema", "run_here", "about", "run", "figure"} and preset["figure"]
    for figure in preset["figure"]:
        assert set(figure) == KEYS and figure["source"] and figure["metric"]
        assert 0 < figure["tolerance"] < figure["expected"] < 1
    assert f"`{file.name}`" in (PRESETS / "README.md").read_text(encoding="utf-8")
    assert "Not run here." in file.read_text(encoding="utf-8").splitlines()[0]


@each_file
def test_its_commands_parse_and_name_what_there_is(file: Path):
    preset = read(file)
    for figure in preset["figure"]:
        if not figure["command"]:
            continue
        name, given = parse(figure["command"])
        assert given["model"].startswith("runs/") == ("run" in preset)
        if "run" not in preset:
            assert get_registry().resolve(given["model"]).name == given["model"]
        if name == "probe":
            assert given["protocol"] in PROTOCOLS
            assert given["train"] or not PROTOCOLS[given["protocol"]].trains


@each_file
def test_the_network_that_is_checked_gives_its_levels(file: Path):
    preset = read(file)
    if "run" not in preset:
        _, given = parse(preset["figure"][0]["command"])
        spec = get_registry().resolve(given["model"])
        shapes(spec, spec.input.size)


@each_run
def test_a_recipe_composes_and_a_step_has_the_right_shapes(file: Path):
    assert {read(f).get("run") for f in FILES} >= {file.name}
    config = build_config(file, {})
    plan = compose(config).composition
    for spec in plan.teachers:
        shapes(spec, spec.input.train_side(config.data.teacher_size))
    with torch.device("meta"):
        student = Student(plan)
        for side in plan.image_size:
            features = student(torch.empty(2, 3, side, side))
            for spec in plan.teachers:
                levels = student.stand_in(spec.name).levels(features, (side, side))
                for level in spec.levels:
                    assert levels[level.name].shape[:2] == (2, level.channels)
