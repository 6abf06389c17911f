"""A small finished run of toy teachers, as a stranger could send it, and what opens it."""

from __future__ import annotations

import json
import resource
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
import toy
from PIL import Image
from safetensors.torch import save_file
from toy_pictures import write_pictures

from kivfm_cli.app import main
from kivfm_core.config import build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.state.resume import plan_resume
from kivfm_core.errors import KivfmError
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.prediction.predict import predict
from kivfm_core.registry import registry
from kivfm_core.registry.entry import Entry
from kivfm_core.run_files import CHECKPOINTS
from kivfm_core.runs.run import open_run
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.bundle import load_student

SPECS = (toy.BASE, toy.PURPOSE)
# A module of the stranger's, which must never be imported.
FOREIGN = "marker_of_a_stranger:call"
# The folder of labeled images beside the folder of runs.
LABELS = "labels"

EVALUATION = {
    "schema": 1,
    "data": ["labels"],
    "rows": [
        {
            "teacher": "toypurpose/small", "task": "classification", "metric": "accuracy",
            "data": "labels", "pictures": 12, "bad": 0, "teacher_score": 0.5, "base_score": None,
            "untrained_score": 0.25, "student_score": 0.5, "bound_score": 0.5, "base": False,
            "retention": 1.0, "gain": 1.0,
        }
    ],
    "base": [
        {
            "metric": "k-NN", "data": "labels", "pictures": 12, "bad": 0, "base_score": 0.5,
            "student_score": 0.5,
        }
    ],
    "summary": {
        "retention_mean": 1.0, "retention_min": 1.0, "gain_mean": 1.0, "gain_min": 1.0,
    },
    "skipped": ["zero-shot: no data"],
    "seconds": 1.0,
}  # fmt: skip


@contextmanager
def toys_installed(specs: Sequence[TeacherSpec] = SPECS) -> Iterator[None]:
    """The toy teachers are the ones that are installed."""
    with pytest.MonkeyPatch.context() as patch:
        entries = [Entry(spec.name, "kivfm", "1.0", spec=spec) for spec in specs]
        patch.setattr(registry, "discover", lambda: entries)
        registry.get_registry.cache_clear()
        yield
    registry.get_registry.cache_clear()


def make_run(folder: Path) -> Path:
    """A finished run in a folder, evaluated, with a cache beside it."""
    weights = {}
    for spec in SPECS:
        weights[spec.name] = str(folder / f"{spec.family}.safetensors")
        toy.save(spec, weights[spec.name])
    flags = {
        "teachers": "toybase,toypurpose",
        "weights": weights,
        "data.path": str(write_pictures(folder / "pictures")),
        "data.views": 1,
        "cache.path": str(folder / "cache"),
        "engine.accelerator": "cpu",
        "optim.steps": 2,
        "optim.batch_size": 4,
        "optim.calibration": 8,
        "optim.warmup": 1,
        "checkpoint.every": 1,
    }
    with toys_installed():
        run = distill(build_config(None, flags), out=folder / "runs" / "a")
    (run / "evaluation.json").write_text(json.dumps(EVALUATION))
    return run


def write_labels(folder: Path) -> Path:
    """Four images of two of the toy classifier's classes."""
    for place, name in enumerate(("disc", "square")):
        (folder / name).mkdir(parents=True)
        for i in range(2):
            pixels = np.full((40, 48, 3), 60 + 90 * place + 20 * i, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a JSON record where it is."""
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))


def plan_of(record: dict[str, Any]) -> dict[str, Any]:
    """The composition in `composition.json` or `student.json`."""
    return record.get("composition", record)


def resume(run: Path) -> None:
    """Plans to go on with a run, and does not."""
    opened = open_run(run)
    plan_resume(opened, opened.config, False)


def latest(run: Path) -> Path:
    """The folder of a run's latest checkpoint."""
    return run / CHECKPOINTS / (run / CHECKPOINTS / "latest").read_text()


def see(run: Path) -> None:
    """Predicts an image with a run's student."""
    predict(run, run.parents[1] / LABELS / "disc/0.png", "classification", accelerator="cpu")


def measure(run: Path) -> None:
    """Evaluates a run, and leaves it as it is."""
    data, out = run.parents[1] / LABELS, run.parents[1] / "evaluation.json"
    out.unlink(missing_ok=True)
    evaluate(run, [str(data)], limit=2, accelerator="cpu", out=out)


def go_on(run: Path) -> None:
    """Goes on with a run that has made all of its two steps: all is loaded, none is made."""
    distill(resume=run, steps=2)


# What opens a run, and a second or so of work for those below.
OPENERS: dict[str, Callable[[Path], Any]] = {
    "load_student": load_student,
    "open_run": open_run,
    "resume": resume,
}
DEAR: dict[str, Callable[[Path], Any]] = {"predict": see, "evaluate": measure, "go on": go_on}
# Those of them that do not look into the student's folder.
NOT_OF_STUDENT = ("open_run", "resume", "go on")

# What a record may hold in place of a value. The first stands for its removal.
REMOVED = object()
JUNK: tuple[Any, ...] = (
    REMOVED, None, True, -1, 0, 3, 10**12, 10**400, 1.5, -1e308, float("nan"), float("inf"), "",
    "\x1b[31mred\x07", "a" * 5000, "../../etc/passwd", "\ud800", FOREIGN, [], {}, [[1], None, "a"],
    {"a": {"b": [{}]}, "\x1b]0;title": 1},
)  # fmt: skip

Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """The places of all values in a record."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*at, key)
        yield from places(item, (*at, key))


def mutated(record: Any, place: Place, junk: Any) -> Any:
    """A copy of a record, with something else in one place."""
    copy = json.loads(json.dumps(record))
    *path, last = place
    inner = copy
    for key in path:
        inner = inner[key]
    if junk is REMOVED:
        del inner[last]
    else:
        inner[last] = junk
    return copy


# What a JSON record, or any file, may hold in place of its content.
CONTENTS = {
    "empty": b"", "null": b"null", "list": b"[1, 2]", "number": b"7",
    "text": b'"a"', "record": b"{}",
    "deep": b'{"a":' * 100_000, "deep list": b"[" * 100_000 + b"]" * 100_000,
    "latin": b'{"a": "\xe9"}', "utf-16": '{"a": 1}'.encode("utf-16"), "cut": b'{"a": ',
    "zeros": bytes(100), "huge number": b'{"base": ' + b"9" * 10_000 + b"}",
}  # fmt: skip

SLOW_OPENING = 5.0


RECORDS = (
    "composition.json", "environment.json", "evaluation.json", "costs.json", "config.toml",
    "student/student.json",
)  # fmt: skip


STATES = ("student/student.safetensors", "student/decoders/toypurpose--small.safetensors")


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and all output of a command."""
    capsys.readouterr()
    code = main(words)
    out, err = capsys.readouterr()
    return code, out + err


def hostile(name: str, state: dict[str, torch.Tensor], file: Path) -> None:
    key = sorted(state)[0]
    if name == "terabytes":
        header = {key: {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}
        text = json.dumps(header).encode()
        with file.open("wb") as opened:
            opened.write(struct.pack("<Q", len(text)) + text)
            opened.truncate(8 + len(text) + 2**40)  # a hole: it takes no room on the disk
        return
    made = {
        "int64": lambda t: t.long(),
        "complex": lambda t: t.to(torch.complex64),
        "nan": lambda t: t * float("nan"),
        "shape": lambda t: t.flatten()[:1].repeat(5),
    }[name]
    save_file({**state, key: made(state[key]).contiguous()}, file)


def put(record: Any, place: str, value: Any) -> None:
    *path, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    for key in path:
        record = record[key] if isinstance(record, list) else record.setdefault(key, {})
    record[last] = value


def write(file: Path, record: Any) -> None:
    text = tomli_w.dumps(record) if file.suffix == ".toml" else json.dumps(record)
    file.write_text(text)


def check_opens_or_says(run: Path, file: str, capsys: Any) -> None:
    """Every cheap way to open a run that reads this file gives a result or a sentence, soon."""
    for name, opener in OPENERS.items():
        if file.startswith("student/") == (name == "load_student"):
            opens_or_says(opener, run)
    if not file.startswith("student/"):
        commands_say(run, capsys, ("show",), ("show", "--json"), ("list",))


def opens_or_says(opener: Callable[[Path], Any], run: Path) -> bool:
    """Whether a run is opened; if not, there is a sentence, soon."""
    began = time.process_time()
    try:
        opener(run)
        return True
    except KivfmError as error:
        assert error.message.replace("\n", "").isprintable()
        return False
    finally:
        assert time.process_time() - began < SLOW_OPENING


def commands_say(run: Path, capsys: Any, *commands: tuple[str, ...]) -> None:
    """What `kivfm runs` prints of a run holds no traceback and no terminal's command."""
    for words in commands:
        code, text = shown(capsys, "runs", *words, str(run.parent if "list" in words else run))
        assert code in (0, 1, 2, 3)
        assert "--debug" not in text and "\x1b" not in text, text


@contextmanager
def limited_memory(size: int) -> Iterator[None]:
    """This process gets at most so many bytes more: what asks for them fails, not the machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
