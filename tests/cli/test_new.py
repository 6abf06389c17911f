"""`kivfm teachers new`: names, and what is written."""

import math
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from safetensors.torch import load_file

import kivfm_core
from kivfm_cli.app import main
from kivfm_cli.commands.teachers.new import (
    TEMPLATES,
    Task,
    check_name,
    module_of,
    suggest,
    write_package,
)
from kivfm_core.data.canvas import make_canvases
from kivfm_core.errors import UsageError
from kivfm_core.spec import NAME
from kivfm_core.teacher import load_teacher

NEARLY = st.from_regex(r"(kivfm-?)*[a-z0-9 -]{0,45}", fullmatch=True)


@settings(deadline=None)  # the first look discovers all plugins
@given(st.one_of(st.text(max_size=60), NEARLY))
def test_every_name_is_taken_or_answered_with_one_that_will_do(name):
    try:
        check_name(name)
    except UsageError as error:
        words = error.hint.split(" ")
        assert words[:3] == ["kivfm", "teachers", "new"] and len(words) == 4
        check_name(words[3])
    else:
        assert module_of(name).isidentifier() and re.fullmatch(NAME, f"{name}/tiny")
        assert re.fullmatch(r"[a-z0-9-]+", name)


@pytest.mark.parametrize(
    ("name", "better"),
    [("My Net", "my-net"), ("kivfm-mine", "mine"), ("3d", "my-3d"), ("a--b", "a-b"), ("", "my")],
)
def test_a_name_that_will_not_do(name, better):
    assert suggest(name) == better
    with pytest.raises(UsageError, match="no name for a family") as caught:
        check_name(name)
    assert caught.value.hint == f"kivfm teachers new {better}"


@pytest.mark.parametrize("name", ["clip", "timm", "core", "nano"])
def test_a_name_that_is_taken(name):
    with pytest.raises(UsageError, match="is taken"):
        check_name(name)


def test_what_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["teachers", "new", "my-acme"]) == 0
    assert "pip install -e 'kivfm-my-acme[test]'; pytest kivfm-my-acme" in capsys.readouterr().out
    folder = tmp_path / "kivfm-my-acme"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        *("pyproject.toml", "README.md", "LICENSE", "tests/test_teacher.py"),
        ".github/workflows/test.yml",
        *(f"kivfm_my_acme/{f}" for f in ("__init__.py", "plugin.py", "model.py")),
        "kivfm_my_acme/weights.safetensors",
    }
    assert not (folder / "kivfm_my_acme/__init__.py").read_text()
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "kivfm-my-acme"
    assert project["entry-points"] == {"kivfm": {"my-acme": "kivfm_my_acme.plugin"}}
    kivfm = Requirement(project["dependencies"][0])
    assert kivfm.name == "kivfm" and kivfm.specifier.contains(kivfm_core.__version__)
    assert any(part.operator == "<" for part in kivfm.specifier)


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """What a package teaches as it was written."""
    write_package("my-acme", tmp_path / "made")
    monkeypatch.syspath_prepend(str(tmp_path / "made"))
    plugin = import_module("kivfm_my_acme.plugin")
    (spec,) = plugin.kivfm_register_teachers()
    yield load_teacher(spec)
    for name in [name for name in sys.modules if name.startswith("kivfm_my_acme")]:
        del sys.modules[name]


def test_it_teaches_as_it_is(teacher):
    assert (teacher.spec.name, teacher.spec.aliases) == ("my-acme/tiny", ("my-acme",))
    picture = torch.zeros(3, 60, 80, dtype=torch.uint8)
    picture[0, :, :40] = 250  # red, and black on the right
    x, frames = make_canvases([picture], teacher.spec.input)
    found = teacher.decode("semantic-segmentation", teacher.encode(x, frames))
    names, (logits,) = teacher.spec.tasks[0].labels, found.to_original(frames)
    assert logits.shape[1:] == (60, 80)
    assert {names[i] for i in logits.argmax(0)[:, :32].unique()} == {"red"}
    assert {names[i] for i in logits.argmax(0)[:, 48:].unique()} == {"black"}


@pytest.mark.parametrize("task", Task)
def test_each_kind_passes_its_own_tests_as_it_is_written(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["teachers", "new", "my-net", "--task", task.value]) == 0
    folder = tmp_path / "kivfm-my-net"
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=folder, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    left = {"discovery"}  # it is not installed here
    left |= {"decoders", "readouts", "original", "preprocess"} if task is Task.FEATURES else set()
    left |= set() if task is Task.FEATURES else {"attachments"}
    assert set(re.findall(r"::test_conforms\[([a-z0-9-]+)\]: ", done.stdout)) == left
    for file in (path for path in folder.rglob("*") if path.is_file()):
        assert file.suffix == ".safetensors" or "acme" not in file.read_text()


def test_its_tests_run_where_it_is_published():
    workflow = yaml.safe_load((TEMPLATES / "common/.github/workflows/test.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["test"]["steps"]]
    assert "pytest" in steps and any("kivfm teachers check acme" in step for step in steps)


def written(task, folder, monkeypatch):
    """The teacher of a package as it is written."""
    write_package("my-net", folder, task)
    monkeypatch.syspath_prepend(str(folder))
    (spec,) = import_module("kivfm_my_net.plugin").kivfm_register_teachers()
    return load_teacher(spec)


@pytest.fixture
def forgotten():
    """Forgets the package that a test has imported."""
    yield
    for name in [name for name in sys.modules if name.startswith("kivfm_my_net")]:
        del sys.modules[name]


def test_a_new_detector_finds_a_red_square(tmp_path, monkeypatch, forgotten):
    teacher = written(Task.DETECTION, tmp_path / "made", monkeypatch)
    picture = torch.zeros(3, 96, 96, dtype=torch.uint8)
    picture[0, 40:56, 24:40] = 250
    x, frames = make_canvases([picture], teacher.spec.input)
    (found,) = teacher.decode("detection", teacher.encode(x, frames)).to_original(frames)
    names = teacher.spec.tasks[0].labels
    assert {names[i] for i in found["labels"]} == {"red"} and found["scores"][0] > 0.5
    best = found["boxes"][0]
    assert (best[:2] < torch.tensor([40, 56])).all() and (best[2:] > torch.tensor([24, 40])).all()


def test_a_new_classifier_names_a_color(tmp_path, monkeypatch, forgotten):
    teacher = written(Task.CLASSIFICATION, tmp_path / "made", monkeypatch)
    picture = torch.zeros(3, 60, 80, dtype=torch.uint8)
    picture[2] = 250
    x, frames = make_canvases([picture], teacher.spec.input)
    logits = teacher.decode("classification", teacher.encode(x, frames)).logits
    assert teacher.spec.tasks[0].labels[int(logits.argmax())] == "blue"


def test_new_features_can_be_a_base(tmp_path, monkeypatch, forgotten):
    spec = written(Task.FEATURES, tmp_path / "made", monkeypatch).spec
    assert spec.role == "general" and spec.attachments and not spec.tasks


def test_another_task_is_refused(capsys):
    assert main(["teachers", "new", "mine", "--task", "cooking"]) == 2
    assert "'features'" in capsys.readouterr().err
    assert {p.name for p in TEMPLATES.iterdir()} == {"common", *(task.value for task in Task)}


def test_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    assert main(["teachers", "new", "mine", "--out", "mine"]) == 2
    assert "hint: kivfm teachers new mine --out mine-2" in capsys.readouterr().err
    assert not list(Path("mine").iterdir())


def test_caches_are_not_copied(tmp_path, monkeypatch):
    (tmp_path / "common/kivfm_acme/__pycache__").mkdir(parents=True)
    (tmp_path / "common/kivfm_acme/__pycache__/plugin.pyc").write_bytes(b"\xff")
    (tmp_path / "common/kivfm_acme/plugin.py").write_text("")
    monkeypatch.setattr("kivfm_cli.commands.teachers.new.TEMPLATES", tmp_path)
    write_package("mine", tmp_path / "made")
    assert [p.name for p in (tmp_path / "made/kivfm_mine").iterdir()] == ["plugin.py"]


def test_the_weights_are_a_cosine_transform_and_nine_colors():
    state = load_file(TEMPLATES / "semantic-segmentation/kivfm_acme/weights.safetensors")
    angles = (2 * torch.arange(8) + 1) * math.pi / 16
    waves = [torch.cos(k * angles) * (2 if k else 1) for k in range(3)]
    for channel in range(3):
        cells = state["cells.weight"][6 * channel : 6 * channel + 6]
        assert not cells[:, [c for c in range(3) if c != channel]].any()
        torch.testing.assert_close(cells[0, channel], torch.full((8, 8), 1 / 64))
        torch.testing.assert_close(cells[1, channel][0], waves[1] / 64)
        torch.testing.assert_close(cells[5, channel][:, 0], waves[2] / 64)
    # The nearest color c to x is the one with the largest 2 c x - c c.
    colors = state["names.weight"][:, ::6, 0, 0] / 2
    assert {tuple(c) for c in colors.tolist()} >= {(-1.0, -1.0, -1.0), (1.0, -1.0, -1.0)}
    torch.testing.assert_close(state["names.bias"], -colors.square().sum(1))
