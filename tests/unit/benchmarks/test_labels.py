"""The comparison with labels: which images have them, what a run makes, what the page says."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.method.data import SuiteImages, take
from benchmarks.method.equal_parameters import Size
from benchmarks.method.jobs import Job, Place, commands, is_finished
from benchmarks.method.labels import SHARES, TEACHERS, labeled, reached
from benchmarks.method.labels_page import labels_markdown
from benchmarks.method.learn import LOSSES, make_learner, part_of
from benchmarks.method.pool_labels import read_samples, write_labels
from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.data.unlabeled import find_images
from kivfm_core.scenes import DOMAINS
from kivfm_core.scenes.write import write_scenes
from kivfm_core.student.student import Student

NANO = "dino/nano,clip/nano,sam/nano,detector/nano,segmenter/nano"
PLAIN = Job("confirm", "kpu", 0, 2e-3, 0.02, 10, Size(128, 256), None)


def test_fewer_pictures_are_among_the_more_and_of_all_domains(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    for index in range(64):
        (pool / f"{index:06d}.jpg").touch()
    found = {s: {p.name for p in take(pool, tmp_path, s).iterdir()} for s in (8, 4, 2)}
    assert found[8] < found[4] < found[2]
    for share, names in found.items():
        domains = [int(name.partition(".")[0]) % len(DOMAINS) for name in names]
        assert [domains.count(d) for d in range(len(DOMAINS))] == [16 // share] * len(DOMAINS)
    assert {p.name for p in take(pool, tmp_path, 4).iterdir()} == found[4]


def test_labels_are_those_of_the_pictures(tmp_path: Path) -> None:
    write_scenes(tmp_path / "demo", train=5, val=0, seed=0, per_class=0)
    images = find_images(tmp_path / "demo/train/images")
    write_labels(images.path, tmp_path / "labels.npz")
    for sample in read_samples(images, tmp_path / "labels.npz"):
        assert sample.owners.shape[1:] == sample.image.shape[1:]
        assert 0 < int(sample.owners.max()) <= len(sample.words)
        # An object's color differs from its surroundings', if the mask is where the object is.
        image, inside = sample.image.float(), sample.owners[0] > 0
        edges = (image[:, 1:] - image[:, :-1]).abs().mean(0)
        border = inside[1:] != inside[:-1]
        assert edges[border].mean() > 2 * edges[~border].mean()


@pytest.mark.parametrize("teacher", TEACHERS)
def test_the_student_is_the_distilled_one_and_learns_but_for_its_base(teacher: str) -> None:
    config = build_config(None, {"teachers": NANO, "data.image_size": [96]}, ["student.width=32"])
    whole = compose(config)
    plan = part_of(whole, teacher)
    assert plan.adapter == whole.adapter and plan.of(teacher) == whole.of(teacher)
    torch.manual_seed(0)
    learner = make_learner(Student(plan), teacher).train()
    owners = torch.zeros(2, 96, 96, dtype=torch.long)
    owners[0, 20:70, 30:80] = 1
    sample: Any = type("Sample", (), {"words": [("circle", "red", "plain")]})()
    sample.words = [(learner.stand_in.spec.tasks[0].labels[-1], "", "")]
    judge = partial(LOSSES[teacher], owners=owners, samples=[sample, sample])
    learner(torch.rand(2, 3, 96, 96), judge).backward()
    given = {name for name, p in learner.named_parameters() if p.grad is not None and p.grad.any()}
    for part in ("student.adapter.", "student.aligners.", "decoder."):
        assert any(name.startswith(part) for name in given)
    assert not any(name.startswith("student.trunk.") for name in given)


def test_a_finished_job_is_one_with_the_same_commands(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    folder.mkdir()
    images = SuiteImages(folder, Path("v"), (Path("t"),), Path("u"), Path("c"))
    place = Place(images, tmp_path)
    jobs = list(labeled(PLAIN, "detector/nano", folder, tmp_path, SHARES))
    assert [job.share for job in jobs] == [8, 4, 2, 1] and len({j.name for j in jobs}) == 4
    (file := tmp_path / f"{jobs[0].name}.json").write_text('{"commands": []}')
    assert not is_finished(jobs[0], place)
    file.write_text(json.dumps({"commands": commands(jobs[0], place)}))
    assert is_finished(jobs[0], place)
    assert not is_finished(jobs[0], Place(images, tmp_path, ("engine.accelerator=cpu",)))


def test_where_a_score_is_reached() -> None:
    scores = {8: 0.1, 4: 0.2, 2: 0.4, 1: 0.6}
    assert reached(scores, 0.4) == pytest.approx(0.5)
    assert reached(scores, 0.3) == pytest.approx(2**-1.5)
    assert reached(scores, 0.05) == 1 / 8 and reached(scores, 0.7) is None


def row(job: Job, score: float) -> dict[str, Any]:
    tasks = [("detector/nano", "detection"), ("segmenter/nano", "semantic-segmentation")]
    entries = [
        {"teacher": teacher, "task": task, "teacher_score": 0.8, "student_score": score}
        for teacher, task in tasks
        if teacher in job.teachers
    ]
    return {
        **job.__dict__, "trainable": 1000, "commit": "abc", "machine": f"GPU {job.seed}",
        "retention_mean": score, "retention_min": score, "imbalance": 0.0, "per_task": entries,
    }  # fmt: skip


def test_the_page_says_at_which_fraction_the_distilled_student_is_reached(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    rows = []
    for seed in (0, 1):
        plain = Job("confirm", "kpu", seed, 2e-3, 0.02, 10, Size(128, 256), None)
        rows.append(row(plain, 0.5))
        for teacher, most in (("detector/nano", 0.6), ("segmenter/nano", 0.4)):
            jobs = labeled(plain, teacher, tmp_path / "pool", tmp_path, SHARES)
            rows += [row(job, most / job.share + 0.02 * seed - 0.01) for job in jobs]
    record = {
        "suite": "labels", "command": "c", "hours": 0.1, "rows": rows,
        "machine": {"processor": "P", "cores": 2, "load": 0.1, "torch": "2", "jobs": 1},
    }  # fmt: skip
    page = labels_markdown(record)
    assert "| detector/nano detection | 0.075 ± 0.010 | 0.150 ± 0.010 | 0.300 ± 0.010 |" in page
    assert "- detection: the distilled student is reached at 79% of the labels" in page
    assert "- semantic-segmentation: all labels do not reach" in page
    assert "- GPU 0: 9 runs" in page and "- GPU 1: 9 runs" in page
