"""Commands that are killed at any instant: nothing is torn, and the same command ends the work.

`test_kill.py` does so with `distill`. With the thirty kills there, these make a hundred and twenty.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

import pytest
from apart import command, start
from command import TINY, write_few_scenes
from PIL import Image

from kivfm_core.scenes.write import write_scenes

# One path for workers, whose first test makes the run that all of them use.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("kills")]

DISTILL = f"distill {TINY} --out runs/run"
BUILD = f"cache build {TINY} --set cache.path=cache"
EVALUATE = "evaluate runs/run --data scenes/val --tasks detection --limit 2 --accelerator cpu"
DELETE = "runs delete runs/run"
# Each writes to `drawn`: a file, or a folder of labels that a second call goes on with.
PREDICT = "predict runs/run scenes/val/images{} --task detection --threshold 0 --accelerator cpu -o"
ONE, MANY = PREDICT.format("/000003.jpg") + " drawn/one.png", PREDICT.format("") + " drawn --draw"

# Features for two protocols that read different images.
PROBE = (
    "probe dino/nano --train more/val --val scenes/val --protocol knn,dense-linear --size 64"
    " --steps 20 --accelerator cpu --out probes"
)


def run(words: str, cwd: Path, kill_at: int | None = None, after: float | None = None) -> bool:
    """Whether a command comes to its end before it is killed."""
    process = start(command, words.split(), str(cwd), kill_at)
    process.join(after)
    process.kill()
    process.join()
    code = process.exitcode
    process.close()
    assert code in (0, -9), (cwd / "said").read_text()
    return code == 0


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, without what a user never sees."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with images and a run."""
    place = tmp_path_factory.mktemp("made")
    write_few_scenes(place / "scenes")
    assert run(DISTILL, place)
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be harmed."""
    shutil.copytree(made, tmp_path / "place")
    return tmp_path / "place"


class Killer:
    """Kills a command again and again, by turns at one of its writes and at any time.

    Args:
        words: The command.
        place: Where it works; the first time it is left alone, and timed.
        writes: About as many writes as it makes.
    """

    def __init__(self, words: str, place: Path, writes: int) -> None:
        self.words, self.place, self.writes = words, place, writes
        began = time.monotonic()
        assert run(words, place)
        self.seconds, self.draw, self.kills = time.monotonic() - began, random.Random(0), 0

    def strike(self) -> bool:
        """Whether the command was killed, and not done before."""
        if self.kills % 2:
            done = run(self.words, self.place, after=self.seconds * self.draw.random())
        else:
            done = run(self.words, self.place, self.draw.randrange(self.writes))
        self.kills += not done
        return not done


def test_a_cache_is_built_in_spite_of_25_kills(place: Path):
    killer, cache = Killer(BUILD, place, 30), place / "cache"
    cache.rename(place / "whole")
    while killer.kills < 25:
        if not killer.strike():
            same_records(place)
            shutil.rmtree(cache)
        elif cache.exists() and list(cache.glob("*/meta.json")):
            # A record that was being written is none; all others are sound.
            assert run("cache info cache", place)
    assert run(BUILD, place)
    same_records(place)
    # A student that learns from the cache is the one that learns without.
    assert run(f"{DISTILL}-2 --set cache.path=cache", place)
    one, two = (place / "runs" / name / "student/student.safetensors" for name in ("run", "run-2"))
    assert one.read_bytes() == two.read_bytes()


def same_records(place: Path) -> None:
    """A cache that was built in many lives holds what one built in a single life holds."""
    found = []
    for cache in ("whole", "cache"):
        assert run(f"cache verify {cache} --json", place)
        stores = json.loads((place / "said").read_text())["stores"]
        assert all(store["status"] == "ok" and not store["bad"] for store in stores)
        found.append({store["store"]: store["records"] for store in stores})
    assert found[0] == found[1]


def test_a_run_is_measured_in_spite_of_20_kills(place: Path):
    killer, file = Killer(EVALUATE, place, 8), place / "runs/run/evaluation.json"
    whole, before = scores(file), contents(place / "runs/run")
    del before["evaluation.json"]
    file.unlink()
    while killer.kills < 20:
        done = not killer.strike()
        assert (not done and not file.exists()) or scores(file) == whole
        now = contents(place / "runs/run")
        now.pop("evaluation.json", None)
        assert now == before
    assert run(EVALUATE, place)
    assert scores(file) == whole
    assert not [path.name for path in (place / "runs/run").iterdir() if "partial" in path.name]


def scores(file: Path) -> dict:
    content = json.loads(file.read_text())
    del content["seconds"]
    return content


def test_a_run_is_deleted_in_spite_of_15_kills(place: Path):
    shutil.copytree(place / "runs/run", place / "kept")
    whole, run_folder = contents(place / "kept"), place / "runs/run"
    killer = Killer(DELETE, place, 40)
    assert not list((place / "runs").iterdir())
    while killer.kills < 15:
        if not list((place / "runs").iterdir()):
            shutil.copytree(place / "kept", run_folder)
        killer.strike()
        # All of it is there, or none; what is being removed passes for no run.
        assert not run_folder.exists() or contents(run_folder) == whole
        assert run("runs list --json", place)
        listed = json.loads((place / "said").read_text())["runs"]
        assert len(listed) == run_folder.exists()
    if list((place / "runs").iterdir()):
        assert run(DELETE, place)
    assert not list((place / "runs").iterdir())


def test_a_drawing_is_made_in_spite_of_10_kills(place: Path):
    killer, drawn, words = Killer(ONE, place, 6), place / "drawn", ONE
    whole = contents(drawn)
    while killer.kills < 10:
        shutil.rmtree(drawn, ignore_errors=True)
        done = not killer.strike()
        found = contents(drawn)
        assert found.items() <= whole.items() and (not done or found == whole)
    assert run(words, place)
    assert contents(drawn) == whole
    for name in whole:
        with Image.open(drawn / name) as image:
            image.load()


def test_a_folder_is_labeled_in_spite_of_10_kills(place: Path):
    killer, drawn = Killer(MANY, place, 30), place / "drawn"
    whole = contents(drawn)
    assert len(whole) == 9  # four images, four drawings, and their labels
    shutil.rmtree(drawn)
    while killer.kills < 10:
        if not killer.strike():  # it came to its end, in spite of all kills since it was begun
            assert contents(drawn) == whole
            shutil.rmtree(drawn)
            continue
        for name, content in contents(drawn).items():
            assert name.endswith(".json") or content == whole[name]
    assert run(MANY, place)
    assert contents(drawn) == whole


def test_features_are_probed_in_spite_of_10_kills(tmp_path: Path):
    for name, seed in (("more", 1), ("scenes", 0)):
        write_scenes(tmp_path / name, train=1, val=6, per_class=1, seed=seed)
    killer, probes = Killer(PROBE, tmp_path, 16), tmp_path / "probes"
    whole = probed(probes)
    assert {row["protocol"] for row in whole["probe.json"]} == {"knn", "dense-linear"}
    shutil.rmtree(probes)
    while killer.kills < 10:
        if not killer.strike():  # it came to its end, in spite of all kills since it was begun
            assert probed(probes) == whole
            shutil.rmtree(probes)
            continue
        found = probed(probes) if probes.exists() else {}
        for row in found.pop("probe.json", []):
            assert row in whole["probe.json"]
        assert found.items() <= whole.items()
    assert run(PROBE, tmp_path)
    assert probed(probes) == whole


def probed(folder: Path) -> dict:
    """What a probe has written: its features, and the rows of its record."""
    found: dict = contents(folder)
    if "probe.json" in found:
        found["probe.json"] = json.loads(found["probe.json"])["rows"]
    return found
