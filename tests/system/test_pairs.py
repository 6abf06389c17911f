"""Two of everything at once on one run and one cache: each is right, or refused with a sentence."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest
from apart import command, start
from command import TINY, write_few_scenes

CACHED = f"{TINY} --set cache.path=cache"
DISTILL = f"distill {CACHED} --out runs/run"
WORKS = {
    "distill": DISTILL,
    "resume": "distill --resume runs/run --steps 6",
    "evaluate": "evaluate runs/run --data scenes/val --tasks detection --limit 2 --accelerator cpu",
    "delete": "runs delete runs/run",
    "prune": "cache prune cache --all",
    "build": f"cache build {CACHED}",
}
# Pairs that are begun at the same instant are too slow for each change; these few are not.
FAST = {("delete", "delete"), ("delete", "prune"), ("prune", "build")}
REFUSED = (
    "another process is writing", "is not empty", "is no run", "is there already", "cannot read",
)  # fmt: skip
STUDENT = "student/student.safetensors"


def run_both(place: Path, *words: str) -> list[tuple[int, str]]:
    """Exit codes, and what was said, of commands that run at once."""
    processes = []
    for number, line in enumerate(words):
        home = place / f"said-{number}"
        processes.append(start(command, line.split(), str(place), None, str(home)))
    found = []
    for number, process in enumerate(processes):
        process.join(240)
        assert process.exitcode is not None, f"{words[number]} does not end"
        found.append((process.exitcode, (place / f"said-{number}").read_text()))
        process.close()
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with images, a cache and a run; and what its student becomes when it is resumed."""
    place = tmp_path_factory.mktemp("made")
    write_few_scenes(place / "scenes")
    assert run_both(place, DISTILL)[0][0] == 0
    shutil.copytree(place / "runs", place / "resumed")
    words = WORKS["resume"].replace("runs/", "resumed/")
    assert run_both(place, words)[0][0] == 0
    return place


PAIRS = [
    pytest.param(*pair, marks=() if pair in FAST else (pytest.mark.slow,))
    for pair in itertools.combinations_with_replacement(WORKS, 2)
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_each_is_right_or_refused(made: Path, tmp_path: Path, one: str, two: str):
    place = tmp_path / "place"
    shutil.copytree(made, place)
    if "distill" in (one, two):
        shutil.rmtree(place / "runs/run")  # so that there is something to begin
    ends = run_both(place, WORKS[one], WORKS[two])
    for name, (code, said) in zip((one, two), ends, strict=True):
        assert "Traceback" not in said, said
        # A sentence that says what stands in the way, or success.
        assert code == 0 or (code == 2 and any(words in said for words in REFUSED)), (name, said)
    if {one, two} != {"delete", "distill"}:
        assert any(code == 0 for code, _ in ends), ends
    check_what_is_there(made, place)


def check_what_is_there(made: Path, place: Path) -> None:
    """A student is that of the run, or of the run resumed; a cache has no bad record."""
    run = place / "runs/run"
    if (run / STUDENT).exists():
        known = [made / name / "run" / STUDENT for name in ("runs", "resumed")]
        assert (run / STUDENT).read_bytes() in [file.read_bytes() for file in known]
    if (run / "evaluation.json").exists():
        assert json.loads((run / "evaluation.json").read_text())["rows"]
    for folder in (place / "runs", run):
        files = folder.iterdir() if folder.exists() else ()
        assert not [path.name for path in files if path.name.endswith(".partial")]
    if list(place.glob("cache/*/meta.json")):
        ((code, said),) = run_both(place, "cache verify cache --json")
        stores = json.loads(said)["stores"]
        assert code == 0, stores
