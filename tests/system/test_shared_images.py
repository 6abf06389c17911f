"""Commands whose images several processes share: what two make equals what one makes."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from apart import command, free_port, start, together
from command import start as start_command
from PIL import Image

from kivfm_core.processes.team import BLOCK

SHAPES = [(64, 64), (96, 64), (64, 80)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two blocks, of three shapes; one is broken, and two differ by their ending."""
    folder = tmp_path_factory.mktemp("work") / "photos"
    folder.mkdir()
    for number in range(BLOCK - 1):
        image = Image.effect_noise(SHAPES[number % 3], 90).convert("RGB")
        image.paste((200, number, 30), (8, 8, 40, 20 + number % 30))
        image.save(folder / f"{number:03d}.png")
    image.save(folder / "a.jpg")  # the last image of the first block
    for name in ("a.png", "b.png", "c.png", "d.png"):
        image.save(folder / name)
    (folder / "e.png").write_bytes(b"no image")
    return folder


def alone(words: list[str], cwd: Path, kill_at: int | None = None) -> tuple[int | None, str]:
    """The exit code of a command in one process, and what it says."""
    process = start(command, words, str(cwd), kill_at)
    process.join()
    return process.exitcode, (cwd / "said").read_text()


def read_json(said: str) -> dict[str, Any]:
    """What a command printed after its progress."""
    return json.loads(said[said.index("{\n") :])


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder of labels, but its journal."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def predict(save: str, out: str) -> list[str]:
    return [
        "predict", "detector/nano", "photos", "--task", "detection", "--save", save, "-o", out,
        "--threshold", "0.05", "--accelerator", "cpu", "--json",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("save", ["coco", "yolo"])
def test_labels_of_two_processes_are_those_of_one(photos: Path, save: str):
    cwd, (one, two) = photos.parent, (f"{save}-one", f"{save}-two")
    code, said = alone(predict(save, one), cwd)
    assert code == 0, said
    together(command, [*predict(save, two), "--devices", "2"], str(cwd), None, "both")
    assert "schema" not in (cwd / "both-1").read_text()  # the first one alone reports
    expected, found = read_json(said), read_json((cwd / "both-0").read_text())
    different = {"out", "seconds", "images_per_second"}
    assert {k for k in expected if expected[k] != found[k]} == different
    assert len(found["broken"]) == (2 if save == "yolo" else 1)
    assert files(cwd / two) == files(cwd / one)
    assert [path.name for path in (cwd / two).glob(".labels*")] == [".labels.jsonl"]


def test_features_of_two_processes_are_those_of_one(photos: Path):
    words, cwd = ["embed", "dino/nano", "photos", "--accelerator", "cpu", "-o"], photos.parent
    assert alone([*words, "one.npz"], cwd)[0] == 0
    together(command, [*words, "two.npz", "--devices", "2"], str(cwd), None, "both")
    assert (cwd / "two.npz").read_bytes() == (cwd / "one.npz").read_bytes()
    assert not [*cwd.glob(".*.parts")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_agents_of_torchrun(photos: Path):
    cwd, words = photos.parent, ["embed", "dino/nano", "photos", "--accelerator", "cpu", "-o"]
    assert alone([*words, "alone.npz"], cwd)[0] == 0
    meet = ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}"]
    node = ["torchrun", "--nnodes=2", "--nproc-per-node=1", *meet, "-m", "kivfm_cli.app"]
    shared = [*node, *words, "agents.npz", "--nodes", "2"]
    agents = [start_command(*shared, cwd=cwd) for _ in range(2)]
    said = [agent.communicate() for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said
    assert sum(out.count("written: agents.npz") for out, _ in said) == 1
    assert (cwd / "agents.npz").read_bytes() == (cwd / "alone.npz").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", [0, 1])
def test_one_is_lost_and_the_others_work_is_kept(photos: Path, which: int):
    cwd, out = photos.parent, f"lost-{which}"
    words = [*predict("coco", out), "--devices", "2"]
    process = start_command("kivfm", *words, cwd=cwd)
    journal = cwd / out / ".labels-1.jsonl"
    while process.poll() is None and not (
        journal.exists() and journal.read_bytes().count(b"\n") > 2
    ):
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill([process.pid, *map(int, children)][which], signal.SIGKILL)
    _, err = process.communicate(timeout=120)  # until every process has closed them: no orphan
    assert process.returncode == (1 if which else -signal.SIGKILL)
    assert f"error: process {which + 1} of 2 was lost" in err and "Traceback" not in err
    assert "hint: run the same command again: it goes on" in err

    code, said = alone(predict("coco", out), cwd)
    assert code == 0 and read_json(said)["before"] > 0, said
    assert alone(predict("coco", "whole"), cwd)[0] == 0
    assert files(cwd / out).keys() == files(cwd / "whole").keys()
    lists = [json.loads((cwd / o / "instances.json").read_text()) for o in (out, "whole")]
    assert lists[0]["images"] == lists[1]["images"]
    # The batches that are left are others than at first, and so are last digits.
    assert len(lists[0]["annotations"]) == pytest.approx(len(lists[1]["annotations"]), rel=0.01)
