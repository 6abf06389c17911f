"""What a file, `--set` and flags become together, and what is refused rather than ignored."""

from pathlib import Path

import pytest

from kivfm_core.config import build_config
from kivfm_core.errors import UsageError


def test_every_mistake_is_named_at_once():
    with pytest.raises(UsageError) as caught:
        build_config(None, {"teachers": "a", "optim.lr": -1, "optim.stepz": 3})
    assert "optim.lr" in caught.value.message and "optim.stepz" in caught.value.message


def test_a_flag_beats_set_and_set_beats_a_file(tmp_path: Path):
    file = tmp_path / "run.toml"
    file.write_text('teachers = ["a", "b"]\n[optim]\nsteps = 1\nbatch_size = 2\nlr = 0.5\n')
    sets = ["optim.steps=3", "optim.batch_size=4"]
    config = build_config(file, {"optim.steps": 5, "optim.lr": None}, sets)
    assert (config.optim.steps, config.optim.batch_size, config.optim.lr) == (5, 4, 0.5)


@pytest.mark.parametrize(
    ("flag", "line"),
    [("teachers", "teachers.0.weight=0.2"), ("weights", "weights.b=b.pth")],
)
def test_a_setting_inside_of_what_a_flag_replaces_is_refused(flag: str, line: str):
    flags = {"teachers": "a,b", "weights": {"a": "a.pth"}}
    with pytest.raises(UsageError, match=f"{line}.*{flag}") as caught:
        build_config(None, flags, [line])
    assert "--config" in caught.value.hint


def test_a_setting_inside_of_a_list_is_refused(tmp_path: Path):
    file = tmp_path / "run.toml"
    file.write_text('teachers = ["a", "b"]\n')
    with pytest.raises(UsageError, match=r"teachers in teachers\.0\.weight"):
        build_config(file, {}, ["teachers.0.weight=0.2"])


def test_every_wrong_value_is_named_with_its_key():
    with pytest.raises(UsageError) as caught:
        build_config(None, {"teachers": "clip"}, ["optim.lr=-1", "data.colour=3"])
    _, *lines = str(caught.value).splitlines()
    assert sorted(line.strip() for line in lines) == [
        "data.colour: there is no such key (given: 3)",
        "optim.lr: must be greater than 0.0 (given: -1)",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("optim.lrr=1", "optim.lrr: there is no such key; did you mean optim.lr? (given: 1)"),
        ("lr=1", "lr: there is no such key; did you mean optim.lr? (given: 1)"),
        ("optim.batch-size=1", "optim.batch-size: there is no such key; did you mean optim.batch"),
        ("sed=1", "sed: there is no such key; did you mean seed? (given: 1)"),
        ("optim.steps=soon", "optim.steps: must be a whole number (given: 'soon')"),
        ("optim.steps=1.5", "optim.steps: must be a whole number (given: 1.5)"),
        ("optim.lr=fast", "optim.lr: must be a number (given: 'fast')"),
        ("optim.optimizer=sgd", "optim.optimizer: must be one of 'muon' or 'adamw' (given: 'sgd')"),
        ("optim=3", "optim: must be a table (given: 3)"),
        ("recipe=none", "recipe: no recipe 'none'; one of: kpu"),
        ("engine.activation_checkpointing=si", "must be true or false (given: 'si')"),
    ],
)
def test_what_is_wrong_is_said_in_our_words(given: str, said: str):
    with pytest.raises(UsageError) as caught:
        build_config(None, {"teachers": "clip"}, [given])
    assert said in str(caught.value)


def test_a_home_folder_is_found_in_every_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ann")
    paths = {"data.path": "~/a", "cache.path": "~/b", "student.start": "~/c", "data.views": 1}
    config = build_config(None, {"teachers": "clip", "weights": {"clip": "~/d"}, **paths})
    assert (config.data.path, config.cache.path) == ("/home/ann/a", "/home/ann/b")
    assert (config.student.start, config.weights["clip"]) == ("/home/ann/c", "/home/ann/d")
