"""A head for depth, by the real commands: trained on rooms of known depth, and used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from nano_student import Captured, answer, distill
from PIL import Image
from toy_rooms import write_rooms

from kivfm_cli.app import main

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rooms to learn from and to validate on, and a student of two nano teachers."""
    folder = tmp_path_factory.mktemp("depth")
    write_rooms(folder / "train", 24, seed=1)
    write_rooms(folder / "val", 8, seed=2)
    distill(folder / "train/images", folder / "run")
    return folder


@pytest.fixture(scope="module")
def rooms(place: Path) -> str:
    """A run whose student has a head for depth."""
    data = ("--data", str(place / "train"), "--val", str(place / "val"))
    flags = ("--steps", "60", "--batch-size", "8", "--every", "20")
    words = ["head", str(place / "run"), "--task", "depth", *data, *flags]
    assert main([*words, "--out", str(place / "rooms")]) == 0
    return str(place / "rooms")


def test_a_head_beats_the_best_single_distance(place: Path, rooms: str, capsys: Captured):
    found = answer(capsys, "evaluate", rooms, "--data", str(place / "val"), "--tasks", "depth")
    (row,) = (row for row in found["rows"] if row["task"] == "depth")
    assert (row["teacher"], row["metric"], row["pictures"]) == ("head/depth", "delta 1", 8)
    assert 0.1 < row["chance_score"] < 0.6
    assert row["student_score"] > row["chance_score"] + 0.2
    low, high = row["student_interval"]
    assert low < row["student_score"] < high
    record = json.loads((Path(rooms) / "heads/head--depth.json").read_text())
    assert record["classes"] == [] and record["score"] == pytest.approx(row["student_score"])


def test_an_image_is_predicted_and_drawn(place: Path, rooms: str, capsys: Captured):
    image, drawn = str(place / "val/images/00.png"), place / "drawn.png"
    found = answer(capsys, "predict", rooms, image, "--task", "depth", "-o", str(drawn))
    low, middle, high = (row["meters"] for row in found["depths"])
    assert 1 < low < middle < high < 20
    with Image.open(drawn) as opened:
        colors = np.asarray(opened)
    assert (colors[..., 0] != colors[..., 2]).any()  # near is red, far is blue


def test_it_is_exported_and_measured_as_its_file(place: Path, rooms: str, capsys: Captured):
    file = place / "depth.pt2"
    words = ("export", rooms, "--format", "torch-export", "--task", "depth", "-o", str(file))
    assert main([*words, "--data", str(place / "val")]) == 0
    card = json.loads(file.with_name("depth.pt2.json").read_text())
    assert card["depth"] == {"kind": "metric"} and "depth" in card["outputs"]


def test_data_check_says_what_the_maps_hold(place: Path, capsys: Captured):
    sheet = place / "sheet.png"
    words = ("data", "check", str(place / "val"), "--out", str(sheet))
    (found,) = answer(capsys, *words)["formats"]
    assert found["format"] == "depth" and found["tasks"] == ["depth"] and found["images"] == 8
    assert found["notes"] == ["depth: 2 to 10 m, measured at 100.0% of the pixels"]
    with Image.open(sheet) as opened:
        top = np.asarray(opened)[2, 2].astype(int)
    assert top[2] > top[0]  # far is blue


def test_a_head_has_no_teacher_to_agree_with(place: Path, rooms: str, capsys: Captured):
    words = ("evaluate", rooms, "--agreement", "--data", str(place / "val/images"))
    assert main([*words, "--tasks", "depth"]) == 1
    assert "head/depth: it is a head, with no teacher to agree with" in capsys.readouterr().err
    found = answer(capsys, *words, "--tasks", "detection", "--limit", "4")
    assert found["skipped"] == []
