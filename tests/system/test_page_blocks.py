"""Tutorials and how-to pages work as they stand there: every block, in order, as a reader would.

Each page gets a folder with what its commands name: images, labels, a run of four nano teachers.
Teachers are replaced by their nano variants, and trainings are cut to two steps. A block that needs
what is not here has a comment before it, `<!-- not run: WHY -->`, and is counted here.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from toy_pictures import write_pictures
from toy_rooms import write_rooms

import kivfm_nano
from kivfm_cli.app import main
from kivfm_core.scenes.write import write_scenes

# supervision says so as it is imported.
pytestmark = [
    pytest.mark.filterwarnings("ignore:OpenCV:UserWarning"),
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).parents[2]
# Their blocks are files that belong together, and have a test of their own.
ELSEWHERE = {
    "docs/tutorial/publish-a-teacher.md": "tests/system/test_publish.py",
    "docs/how-to/extend-kivfm.md": "tests/unit/test_extend_page.py",
}
# Blocks that are not run: another number here is a decision.
NOT_RUN = {
    "docs/how-to/data-at-urls.md": 2,
    "docs/how-to/distill-on-several-gpus.md": 3,
    "docs/how-to/explore-your-images.md": 2,
    "docs/how-to/export-a-model.md": 5,
    "docs/how-to/maintain-a-teacher.md": 1,
    "docs/how-to/play-with-a-model.md": 2,
    "docs/how-to/resume-a-run.md": 1,
    "docs/how-to/see-a-run.md": 1,
    "docs/how-to/share-a-student.md": 2,
    "docs/how-to/work-on-several-devices.md": 2,
}
# What sets up the environment that the tests run in.
SETUP = ("pip install ", "make ", "source ")
# Minutes, most of them for ONNX, the demo's images of classes, and intervals.
SLOW = ("export-a-model", "first-student", "evaluate-on-your-data", "use-weights-offline")
NANO = r"(clip|dino|sam|detector|segmenter)(/[\w-]+)?"
TINY = {
    "distill": "--steps 2 --batch-size 2 --image-size 64 --set optim.calibration=4"
    " --set engine.accelerator=cpu --set data.workers=0",
    "cache build": "--image-size 64 --set engine.accelerator=cpu",
    "scenes": "--train 8 --val 4",
    "head": "--steps 2 --batch-size 2",
}


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    title: str
    code: str
    not_run: str  # why, or nothing


def blocks(page: Path) -> list[Block]:
    found = re.findall(
        r'^(?:<!-- not run: (.+?) -->\n\n?)?```(\w+)(?: title="(.+?)")?\n(.*?)^```',
        page.read_text("utf-8"),
        re.M | re.S,
    )
    return [Block(language, title, code, why) for why, language, title, code in found]


def is_run(block: Block) -> bool:
    """Whether it is run where it stands: a block with a title is a file, written beforehand."""
    return block.language in ("sh", "bash", "python") and not (block.not_run or block.title)


PAGES = [
    pytest.param(page, marks=[pytest.mark.slow] if page.stem in SLOW else [], id=page.stem)
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs/tutorial").glob("*.md")),
        *sorted((ROOT / "docs/how-to").glob("*.md")),
        ROOT / "docs/explanation/what-it-costs.md",
    )
    if any(is_run(block) for block in blocks(page))
    and page.relative_to(ROOT).as_posix() not in ELSEWHERE
]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages name: images, labels, weights, and a run of four teachers in `run`."""
    folder = tmp_path_factory.mktemp("world")
    write_pictures(folder / "photos")
    Image.radial_gradient("L").convert("RGB").resize((640, 480)).save(folder / "photo.jpg")
    for name in ("a.jpg", "b.jpg", "holiday/beach.jpg", "held-out/a.jpg", "my-own-photos/a.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "photo.jpg", folder / name)
    (folder / "shards").mkdir()
    with tarfile.open(folder / "shards/train-0000.tar", "w") as tar:
        for image in sorted(folder.glob("photos/*.png")):
            tar.add(image, image.name)
    for name in ("pets/cat", "pets/dog", *(f"animals/{part}/{kind}" for part in ("train", "val")
                                           for kind in ("cat", "dog"))):  # fmt: skip
        write_pictures(folder / name)
    write_scenes(folder / "scenes", train=4, val=4, per_class=0)
    for name in ("val", "coco", "tools/train", "tools/val"):
        shutil.copytree(folder / "scenes/val", folder / name)
    for seed, name in enumerate(("rooms/train", "rooms/val")):
        write_rooms(folder / name, 4, seed)
    shutil.copytree(folder / "val/images", folder / "images")
    shutil.copy(folder / "val/instances.json", folder / "annotations.json")
    (folder / "weights").mkdir()
    for name, file in (
        ("detector", "mine.safetensors"),
        ("clip", "weights/open_clip_model.safetensors"),
        ("dino", "weights/model.safetensors"),
        ("sam", "weights/sam_vit_b_01ec64.pth"),
    ):
        write_weights(name, folder / file)
    run = f"distill --teachers clip,dino,sam,detector --variant nano --data {folder / 'photos'}"
    assert main([*shlex.split(f"{run} {TINY['distill']}"), "--out", str(folder / "run")]) == 0
    shutil.copytree(folder / "run/student", folder / "copies/student")
    return folder


def write_weights(name: str, file: Path) -> None:
    """Writes a nano teacher's weights, in the format of the file's suffix."""
    weights = Path(kivfm_nano.__file__).parent / f"weights/{name}.safetensors"
    if file.suffix == ".pth":
        torch.save(load_file(weights), file)
    else:
        shutil.copy(weights, file)


def prepare(page: str, world: Path, folder: Path) -> None:
    """Copies the world, with a run wherever the page has one that it does not make itself."""
    shutil.copytree(world, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("run"))
    made = set(re.findall(r"(?:--out|kivfm scenes) runs/([\w-]+)", page))
    for name in set(re.findall(r"\bruns/([\w-]+)(?![\w.-])", page)) - made:
        shutil.copytree(world / "run", folder / "runs" / name)


def words(line: str) -> list[str]:
    """A command line of a page, with nano teachers and a short training."""
    # The run has clip already.
    line = line.replace("--add-teacher clip", "--add-teacher segmenter")
    given = [
        ",".join(re.sub(f"^{NANO}(?=$|=)", r"\1/nano", part) for part in word.split(","))
        for word in shlex.split(line, comments=True)
    ]
    more = (flags for command, flags in TINY.items() if " ".join(given).startswith(command))
    return [*given, *shlex.split(next(more, ""))]


def run_commands(code: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for line in code.replace("\\\n", " ").splitlines():
        found = re.match(r"((?:[A-Z_]+=\S+ )*)kivfm (.+)", line)
        if not found:
            assert not line or line.startswith(SETUP), f"mark it as not run, with why: {line}"
            continue
        with monkeypatch.context() as patch:
            for name, _, value in (pair.partition("=") for pair in found[1].split()):
                patch.setenv(name, value)
            assert main(words(found[2])) == 0, line
        yield line


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page: Path, world: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    prepare(page.read_text("utf-8"), world, tmp_path)
    for block in blocks(page):
        if block.title:
            (tmp_path / block.title).write_text(block.code)
    names: dict[str, object] = {"__name__": "page"}
    done = 0
    for block in filter(is_run, blocks(page)):
        if block.language == "python":
            exec(compile(block.code, page.name, "exec"), names)
            done += 1
        else:
            done += len([*run_commands(block.code, monkeypatch)])
    assert done
    out = capsys.readouterr().out
    if page.stem == "explore-your-images":
        assert "written: photos.parquet: 12 images" in out and "photos/00.png" in out
    if page.stem == "use-a-student-from-python":
        assert (tmp_path / "drawn.png").is_file()


def test_blocks_that_are_not_run_are_known():
    counts = {
        page.relative_to(ROOT).as_posix(): sum(bool(block.not_run) for block in blocks(page))
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    }
    assert {page: count for page, count in counts.items() if count} == NOT_RUN


def test_pages_that_are_tested_elsewhere_are():
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8")
