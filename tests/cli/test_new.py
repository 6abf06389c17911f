"""`kivfm teachers new`: names, and what is written."""

import math
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from safetensors.torch import load_file

import kivfm_core
from kivfm_cli.app import main
from kivfm_cli.commands.teachers.new import TEMPLATE, check_name, module_of, suggest, write_package
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


def test_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    assert main(["teachers", "new", "mine", "--out", "mine"]) == 2
    assert "hint: kivfm teachers new mine --out mine-2" in capsys.readouterr().err
    assert not list(Path("mine").iterdir())


def test_caches_are_not_copied(tmp_path, monkeypatch):
    (tmp_path / "template/kivfm_acme/__pycache__").mkdir(parents=True)
    (tmp_path / "template/kivfm_acme/__pycache__/plugin.pyc").write_bytes(b"\xff")
    (tmp_path / "template/kivfm_acme/plugin.py").write_text("")
    monkeypatch.setattr("kivfm_cli.commands.teachers.new.TEMPLATE", tmp_path / "template")
    write_package("mine", tmp_path / "made")
    assert [p.name for p in (tmp_path / "made/kivfm_mine").iterdir()] == ["plugin.py"]


def test_the_weights_are_a_cosine_transform_and_nine_colors():
    state = load_file(TEMPLATE / "kivfm_acme/weights.safetensors")
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
