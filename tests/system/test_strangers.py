"""Runs and bundles from strangers: opening them is refused with a sentence, or does no harm."""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from stranger import (
    DEAR,
    FOREIGN,
    JUNK,
    LABELS,
    OPENERS,
    SPECS,
    go_on,
    latest,
    make_run,
    measure,
    mutated,
    places,
    plan_of,
    resume,
    rewrite,
    see,
    toys_installed,
    write_labels,
)  # fmt: skip
from toy import BASE, PURPOSE

from kivfm_cli.app import main
from kivfm_core.cache.index import make_entries
from kivfm_core.cache.key import StoreKey
from kivfm_core.cache.store import Store
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.state.checkpoint import latest_checkpoint
from kivfm_core.errors import (
    ChangedTeacherWarning,
    DataError,
    KivfmError,
    PluginError,
    UsageError,
    WeightsError,
)
from kivfm_core.runs.remove_teacher import remove_teacher
from kivfm_core.runs.run import open_run
from kivfm_core.student.bundle import load_student, read_bundle

# A changed record often differs from what the installed plugin declares, which is no error.
pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ChangedTeacherWarning")

SLOW_OPENING = 5.0
RECORDS = (
    "composition.json", "environment.json", "evaluation.json", "costs.json", "config.toml",
    "student/student.json",
)  # fmt: skip
STATES = ("student/student.safetensors", "student/decoders/toypurpose--small.safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that no test changes."""
    return make_run(tmp_path_factory.mktemp("strangers"))


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy of a finished run, with the stranger's module where Python would find it."""
    (tmp_path / "foreign").mkdir()
    module = FOREIGN.partition(":")[0]
    marker = tmp_path / "executed"
    code = f"open({str(marker)!r}, 'w').close()\ndef call(*a, **k): open({str(marker)!r}, 'w')\n"
    (tmp_path / "foreign" / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "foreign"))
    copy = Path(shutil.copytree(made, tmp_path / "runs" / "a"))
    write_labels(tmp_path / LABELS)
    with toys_installed():
        yield copy
    assert module not in sys.modules and not marker.exists()


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and all output of a command."""
    capsys.readouterr()
    code = main(words)
    out, err = capsys.readouterr()
    return code, out + err


def foreign_encoder(spec: dict[str, Any]) -> None:
    spec["encoder"] = FOREIGN


def foreign_decoder(spec: dict[str, Any]) -> None:
    spec["tasks"][0]["decoder"] = FOREIGN


def foreign_split(spec: dict[str, Any]) -> None:
    spec["weights"]["split"] = FOREIGN


def foreign_fetch(spec: dict[str, Any]) -> None:
    spec["weights"]["fetch"] = FOREIGN


def foreign_original(spec: dict[str, Any]) -> None:
    spec["original"] = FOREIGN


ROLES = (foreign_encoder, foreign_decoder, foreign_split, foreign_fetch, foreign_original)


@pytest.mark.parametrize("file", ["composition.json", "student/student.json"])
@pytest.mark.parametrize("whose", [0, 1, "trunk"])
@pytest.mark.parametrize("role", ROLES)
def test_foreign_code_is_refused(run: Path, file: str, whose: Any, role: Callable[..., None]):
    def change(record: dict[str, Any]) -> None:
        plan = plan_of(record)
        spec = plan["trunk"] if whose == "trunk" else plan["teachers"][whose]
        if role is foreign_decoder and not spec["tasks"]:
            tasks = json.loads(json.dumps(plan["teachers"][1]["tasks"][:1]))
            spec["tasks"] = [{**tasks[0], "levels": ["dense"]}]
        role(spec)

    rewrite(run / file, change)
    opener = open_run if file == "composition.json" else load_student
    with pytest.raises(PluginError, match=FOREIGN):
        opener(run)
    if file == "composition.json":
        with pytest.raises(PluginError, match=FOREIGN):
            resume(run)


@pytest.mark.parametrize("part", ["adapter", "aligners"])
@pytest.mark.parametrize("kind", [FOREIGN, "no-such-kind", "os:system"])
def test_kinds_are_names_in_our_tables(run: Path, part: str, kind: str):
    def change(record: dict[str, Any]) -> None:
        plan = plan_of(record)
        (plan[part] if part == "adapter" else plan[part][0])["kind"] = kind

    for file, opener in (("composition.json", open_run), ("student/student.json", load_student)):
        rewrite(run / file, change)
        with pytest.raises(UsageError, match="no a"):
            opener(run)


@pytest.mark.parametrize(
    "source", ["torch:/etc/passwd", "torch:../../x.pth", "hf:a/b/../../x", "file:///etc/passwd",
               "data:,x", "package:os/../x"],
)  # fmt: skip
def test_sources_stay_inside(run: Path, source: str):
    for file, opener in (("composition.json", open_run), ("student/student.json", load_student)):
        rewrite(run / file, lambda r: plan_of(r)["teachers"][1]["weights"].update(source=source))
        with pytest.raises(UsageError, match="is damaged"):
            opener(run)


def test_a_folder_of_this_machine_is_no_source_because_a_stranger_says_so(
    run: Path, tmp_path: Path
):
    secret = tmp_path / "secret.safetensors"
    save_file({"encoder.x": torch.ones(1)}, secret)
    for file in (run / "composition.json", run / "config.toml"):
        if file.suffix == ".json":
            rewrite(file, lambda r: plan_of(r)["teachers"][1]["weights"].update(
                source=f"run:{secret}"))  # fmt: skip
        else:
            config = tomllib.loads(file.read_text())
            del config["weights"]["toypurpose/small"]
            file.write_text(tomli_w.dumps(config))
    with pytest.raises(WeightsError) as caught:
        open_run(run).load_teacher("toypurpose/small")
    assert str(secret) not in caught.value.message


@pytest.mark.parametrize("opener", [load_student, see, measure, resume, go_on])
@pytest.mark.parametrize("folder", ["/etc", "../..", "runs/a/student/decoders/../../../.."])
def test_a_tokenizer_is_not_read_where_a_stranger_says(
    run: Path, folder: str, opener: Callable[[Path], Any]
):
    for file in ("composition.json", "student/student.json"):
        rewrite(run / file, lambda r: plan_of(r)["teachers"][1]["tasks"][0].update(
            tokenizer=f"run:{folder}"))  # fmt: skip
    with pytest.raises(PluginError, match="as its tokenizer, which the installed"):
        opener(run)


@pytest.mark.parametrize("linked", ["classification", "classification/vocab.txt", ""])
def test_a_bundles_own_tokenizer_is_no_link(run: Path, linked: str, tmp_path: Path):
    kept = run / "student/decoders/toypurpose--small"
    (tmp_path / "elsewhere/classification").mkdir(parents=True)
    (tmp_path / "elsewhere/classification/vocab.txt").write_text("word")
    (kept / linked).parent.mkdir(parents=True, exist_ok=True)
    (kept / linked).symlink_to(tmp_path / "elsewhere" / linked)
    with pytest.raises(WeightsError, match="is a link, and not followed"):
        load_student(run)


URLS = ("data:application/octet-stream;base64,AAAA", "file:///etc/passwd", "http://127.0.0.1:9/x")


@pytest.mark.parametrize("url", URLS)
def test_an_address_that_a_stranger_names_is_not_fetched(
    run: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Not even where the stranger claims that nothing is here, and names kivfm's own fetcher."""

    def change(record: dict[str, Any]) -> None:
        for spec in (*plan_of(record)["teachers"], plan_of(record)["trunk"]):
            spec["config"] = {"url": url}
            spec["weights"].update(source="torch:none.pth", fetch="kivfm_teachers.fetch:from_url")

    def fetch(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("it was fetched")

    # The library's own comes last: a module that is imported meanwhile would keep this one.
    for target in ("kivfm_teachers.fetch.urlopen", "torch.hub.download_url_to_file",
                   "urllib.request.urlopen"):  # fmt: skip
        monkeypatch.setattr(target, fetch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for file in ("composition.json", "student/student.json"):
        rewrite(run / file, change)
    config = tomllib.loads((run / "config.toml").read_text())
    (run / "config.toml").write_text(tomli_w.dumps({**config, "weights": {}}))
    for opener in (load_student, see, measure, resume, go_on):
        with pytest.raises(PluginError, match="fetch:from_url as its fetch"):
            opener(run)
    assert not (tmp_path / "torch").exists()


@pytest.mark.parametrize("url", URLS)
def test_an_address_of_a_library_is_the_librarys_whatever_a_stranger_says(
    run: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A teacher that may fetch: its weights come from where the installed plugin says."""
    fetch = {"fetch": "kivfm_teachers.fetch:from_url", "source": "torch:none.pth"}
    told: list[str] = []

    def refuse(request: Any, *args: Any, **kwargs: Any) -> None:
        told.append(request.full_url)
        raise OSError("no network")

    monkeypatch.setattr("kivfm_teachers.fetch.urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    specs = [s.model_copy(update={
        "config": {"url": "https://example.org/x"},
        "weights": s.weights.model_copy(update=fetch)}) for s in SPECS]  # fmt: skip

    def change(record: dict[str, Any]) -> None:
        for spec in (*plan_of(record)["teachers"], plan_of(record)["trunk"]):
            spec["config"] = {"url": url}
            spec["weights"].update(fetch)

    for file in ("composition.json", "student/student.json"):
        rewrite(run / file, change)
    config = tomllib.loads((run / "config.toml").read_text())
    (run / "config.toml").write_text(tomli_w.dumps({**config, "weights": {}}))
    with toys_installed(specs):
        load_student(run)
        see(run)  # neither takes weights other than the bundle's own
        with pytest.raises(WeightsError, match="cannot fetch the weights"):
            measure(run)
        with pytest.raises(KivfmError):
            go_on(run)
    assert told and set(told) == {"https://example.org/x"}
    assert not [file for file in (tmp_path / "torch").rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    "requirement",
    ["x' ; touch /tmp/x ; '", "nothing @ https://evil.example/a.whl", "$(touch x)", "`id`",
     "--index-url https://evil.example", "nothing==1; rm -rf /", "nothing-such[$(id)]"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["requirements", "distributions"])
def test_hints_hold_names_and_versions(run: Path, field: str, requirement: str):
    value = [requirement] if field == "requirements" else {requirement: "1.0"}
    rewrite(run / "student/student.json", lambda r: r.update({field: value}))
    with pytest.raises((UsageError, PluginError)) as caught:
        load_student(run)
    assert caught.value.hint in ("", "pip install 'nothing'")


def test_python_is_warned_of_a_changed_plugin(run: Path):
    """And goes on with what the run stored."""
    first, *others = PURPOSE.tasks
    tasks = (first.model_copy(update={"labels": ("one", "two", "three")}), *others)
    with toys_installed((BASE, PURPOSE.model_copy(update={"tasks": tasks}))):
        for opener in (see, measure):
            with pytest.warns(ChangedTeacherWarning, match="toypurpose/small declares tasks"):
                opener(run)


@pytest.mark.parametrize("records", ["student", "environment", "none"])
def test_a_plugin_that_was_uninstalled_is_named_with_its_command(
    run: Path, records: str, tmp_path: Path
):
    """By the run's own records, of which an unfinished run has one only."""
    packages = {"kivfm": "1.0", "kivfm-gone": "2.0"}
    rewrite(run / "student/student.json", lambda r: r.update(distributions=packages))
    rewrite(run / "environment.json", lambda r: r.update(distributions=packages))
    if records != "student":
        shutil.rmtree(run / "student")
    if records == "none":
        rewrite(run / "environment.json", lambda r: r.pop("distributions"))
    removing = lambda run: remove_teacher(run, "toypurpose/small", tmp_path / "out")  # noqa: E731
    with toys_installed((BASE,)):
        for opener in (go_on, removing, measure, see):
            with pytest.raises(
                PluginError, match="no installed plugin brings toypurpose"
            ) as caught:
                opener(run)
            if records == "none":
                assert "kivfm plugins list" in caught.value.hint
            else:
                assert caught.value.hint == "pip install 'kivfm-gone'"
                assert "kivfm-gone" in caught.value.message


@pytest.mark.parametrize("file", [*RECORDS, *STATES])
@pytest.mark.parametrize("plant", ["link", "pipe", "folder"])
@pytest.mark.timeout(30)
def test_links_and_pipes_are_not_followed(run: Path, file: str, plant: str, tmp_path: Path, capsys):
    path = run / file
    away = Path(shutil.move(path, tmp_path / "elsewhere"))
    if plant == "link":
        path.symlink_to(away)
    elif plant == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    if file.startswith("student/"):
        with pytest.raises(KivfmError):
            load_student(run)
    for words in (("runs", "show", str(run)), ("runs", "list", str(run.parent))):
        code, text = shown(capsys, *words)
        assert code in (0, 1, 2) and "--debug" not in text
    assert away.exists()


@pytest.mark.parametrize("inside", [True, False])
def test_a_bundle_in_the_hubs_cache_is_made_of_links(
    run: Path, inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As the hub's library stores it; the same folder anywhere else is refused."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / ("hub" if inside else "another")))
    repository = tmp_path / "hub/models--some-one--student"
    snapshot = repository / "snapshots/1234"
    (repository / "blobs").mkdir(parents=True)
    for number, file in enumerate(sorted(p for p in (run / "student").rglob("*") if p.is_file())):
        shutil.copyfile(file, repository / "blobs" / str(number))
        link = snapshot / file.relative_to(run / "student")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(repository / "blobs" / str(number), link.parent))
    if inside:
        assert read_bundle(snapshot).composition == load_student(run).composition
        (snapshot / "student.safetensors").unlink()
        (snapshot / "student.safetensors").symlink_to(run / "student/student.safetensors")
    with pytest.raises(KivfmError):
        read_bundle(snapshot)


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


@pytest.mark.parametrize("file", STATES)
@pytest.mark.parametrize("name", ["int64", "complex", "nan", "shape", "terabytes"])
def test_hostile_tensors(run: Path, file: str, name: str):
    hostile(name, load_file(run / file), run / file)
    with pytest.raises(KivfmError):
        load_student(run)


# What a configuration and a plan can ask for, by the file and place that asks.
GREEDY = (
    ("config.toml", "optim.batch_size", 10**12), ("config.toml", "data.workers", 10**6),
    ("config.toml", "engine.devices", 10**6), ("config.toml", "student.hidden", 10**12),
    ("config.toml", "data.image_size", [10**7]),
    ("config.toml", "student.width", 10**7), ("config.toml", "data.teacher_size", 10**8),
    ("composition.json", "image_size", [10**7]), ("composition.json", "aligners.2.hidden", 10**9),
    ("composition.json", "aligners.3.latent", 10**9),
    ("composition.json", "adapter.widths.0", 10**6),
    ("composition.json", "adapter.v_channels", 10**9), ("composition.json", "teacher_size", 10**8),
    ("composition.json", "trunk.parameters", 10**15),
)  # fmt: skip


# The teachers' own sizes are the limit of these.
CAPPED = ("data.teacher_size", "teacher_size", "student.hidden")


def put(record: Any, place: str, value: Any) -> None:
    *path, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    for key in path:
        record = record[key] if isinstance(record, list) else record.setdefault(key, {})
    record[last] = value


@pytest.mark.parametrize(("file", "place", "value"), GREEDY)
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
@pytest.mark.timeout(60)
def test_a_resumed_run_asks_for_no_memory_that_is_not_there(
    run: Path, file: str, place: str, value: Any, begun: bool
):
    """Its records agree with each other: the stranger wrote them all."""
    if not begun:
        shutil.rmtree(run / "checkpoints")
        shutil.rmtree(run / "student")
    if file == "config.toml":
        config = tomllib.loads((run / file).read_text())
        put(config, place, value)
        (run / file).write_text(tomli_w.dumps(config))
        rewrite(run / "environment.json", lambda r: put(r["configuration"], place, value))
    else:
        rewrite(run / file, lambda r: put(r, place, value))
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        go_on(run)
        refused = False
    except (UsageError, WeightsError) as error:
        refused = True
        assert error.message.replace("\n", "").isprintable()
    # A run that begins again does so by a plan of its own; what a plan says is not read elsewhere.
    unread = (file == "composition.json") if not begun else place.startswith(("student", "data.im"))
    assert refused == (place not in CAPPED and not unread)
    assert time.monotonic() - began < 2 * SLOW_OPENING
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # a GiB, in KiB


def test_an_encoder_asks_for_no_more_than_its_weights_hold(run: Path, monkeypatch):
    """Of a spec that a run stores; the plugin's builder takes its width from there."""

    def wide(spec: Any) -> Any:
        return torch.nn.Linear(spec.config.get("width", 1), 10**6)

    monkeypatch.setattr("toy.purpose", wide)
    rewrite(run / "composition.json",
            lambda r: plan_of(r)["teachers"][1].update(config={"width": 10**6}))  # fmt: skip
    with pytest.raises(UsageError, match="do not agree: the networks would be far larger"):
        measure(run)
    with pytest.raises(UsageError, match="toypurpose/small declares config"):
        go_on(run)
    monkeypatch.setattr("kivfm_core.distillation.state.resume.redeclared", lambda *_: [])
    with pytest.raises(UsageError, match="do not agree: the networks would be far larger"):
        go_on(run)


@pytest.mark.parametrize("stride", [90, 1145, 10**9])
def test_a_plan_that_its_networks_do_not_keep_is_a_sentence(run: Path, stride: int):
    """Found by the fuzz test: canvases were enlarged to a cell, and a map had no cell."""
    rewrite(run / "student/student.json",
            lambda r: plan_of(r)["trunk"]["levels"][1].update(stride=stride))  # fmt: skip
    for opener in (see, measure):
        with pytest.raises(UsageError, match=r"is damaged|as its plan says"):
            opener(run)


HUGE = (10**6, 10**9, 10**12, 10**30)


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize(
    "place",
    ["adapter.widths.0", "adapter.widths.2", "adapter.x_channels", "adapter.v_channels",
     "aligners.2.hidden", "aligners.3.latent", "aligners.3.level.channels", "aligners.4.maps.V",
     "aligners.4.x_channels", "adapter.taps.0.channels"],
)  # fmt: skip
def test_sizes_that_the_weights_do_not_justify(run: Path, place: str, size: int):
    def change(record: dict[str, Any]) -> None:
        inner: Any = plan_of(record)
        *path, last = [int(key) if key.isdigit() else key for key in place.split(".")]
        for key in path:
            inner = inner[key]
        inner[last] = size

    rewrite(run / "student/student.json", change)
    began = time.monotonic()
    with pytest.raises((UsageError, WeightsError)):
        load_student(run)
    assert time.monotonic() - began < SLOW_OPENING


ESCAPE = "\x1b]0;owned\x07\x1b[31mred\nfake: line"


def test_escape_sequences_are_shown_as_text(run: Path, capsys):
    rewrite(run / "environment.json",
            lambda r: r["weights"]["toybase/small"].update(source=ESCAPE))  # fmt: skip

    def change(record: dict[str, Any]) -> None:
        record["rows"][0].update(teacher=ESCAPE, metric=ESCAPE, data=ESCAPE, bad=1)
        record["base"][0].update(metric=ESCAPE)
        record["skipped"] = [ESCAPE]

    rewrite(run / "evaluation.json", change)
    code, text = shown(capsys, "runs", "show", str(run))
    assert code == 0 and "\x1b" not in text and "\x07" not in text and r"\x1b[31mred" in text
    rewrite(run / "composition.json", lambda r: plan_of(r)["teachers"][0].update(name=ESCAPE))
    code, text = shown(capsys, "runs", "list", str(run.parent))
    assert code == 0 and "\x1b" not in text and r"\x1b[31mred" in text
    with pytest.raises(KivfmError) as caught:
        open_run(run)
    assert "\x1b" not in str(caught.value) + caught.value.message


CONTENTS = {
    "empty": b"", "null": b"null", "list": b"[1, 2]", "number": b"7",
    "text": b'"a"', "record": b"{}",
    "deep": b'{"a":' * 100_000, "deep list": b"[" * 100_000 + b"]" * 100_000,
    "latin": b'{"a": "\xe9"}', "utf-16": '{"a": 1}'.encode("utf-16"), "cut": b'{"a": ',
    "zeros": bytes(100), "huge number": b'{"base": ' + b"9" * 10_000 + b"}",
}  # fmt: skip


@pytest.mark.parametrize("file", RECORDS)
@pytest.mark.parametrize("name", CONTENTS)
def test_damaged_records(run: Path, file: str, name: str, capsys):
    (run / file).write_bytes(CONTENTS[name])
    check_opens_or_says(run, file, capsys)


@pytest.mark.parametrize("file", RECORDS)
def test_records_that_lack_a_field(run: Path, file: str, capsys):
    text = (run / file).read_text()
    record = tomllib.loads(text) if file.endswith(".toml") else json.loads(text)
    for key in record:
        less = {name: value for name, value in record.items() if name != key}
        write(run / file, less)
        check_opens_or_says(run, file, capsys)


CHECKPOINT_FILES = ("student.safetensors", "optimizer.safetensors", "rng.safetensors", "state.json")


@pytest.mark.parametrize("file", CHECKPOINT_FILES)
@pytest.mark.parametrize("plant", ["link", "pipe", "empty", "zeros", "nothing"])
@pytest.mark.timeout(60)
def test_planted_checkpoints(run: Path, file: str, plant: str, tmp_path: Path):
    path = latest(run) / file
    away = Path(shutil.move(path, tmp_path / "elsewhere"))
    if plant == "link":
        path.symlink_to(away)
    elif plant == "pipe":
        os.mkfifo(path)
    elif plant != "nothing":
        path.write_bytes(bytes(100 if plant == "zeros" else 0))
    if plant in ("pipe", "nothing"):  # not whole any more: an earlier one is taken
        assert latest_checkpoint(run / "checkpoints") not in (None, path.parent)
        return
    with pytest.raises(KivfmError):
        distill(resume=run)


@pytest.mark.parametrize("file", CHECKPOINT_FILES[:3])
@pytest.mark.parametrize("name", ["int64", "complex", "nan", "shape", "terabytes"])
def test_hostile_checkpoints(run: Path, file: str, name: str):
    path = latest(run) / file
    state = load_file(path)
    if file == "optimizer.safetensors":
        state = {key: value for key, value in state.items() if value.ndim and value.numel() > 1}
        if name == "int64":
            pytest.skip("steps are whole numbers")
    hostile(name, state, path)
    with pytest.raises(KivfmError):
        distill(resume=run)


@pytest.mark.parametrize(
    "named", [b"", b"../../../etc", b"/etc", b"step-000009", b"step-", b"\xff", b"step-\x1b[31m"]
)
def test_latest_names_a_checkpoint_of_this_run(run: Path, named: bytes):
    newest = latest(run)
    (run / "checkpoints" / "latest").write_bytes(named)
    assert latest_checkpoint(run / "checkpoints") == newest


@pytest.mark.parametrize("step", [None, -1, "2", 1.5, [], 10**400])
def test_steps_of_a_checkpoint(run: Path, step: Any):
    card = {"schema": 1, "step": step, "precision": {}}
    (latest(run) / "state.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match="damaged"):
        distill(resume=run)


def test_folders_that_are_named_as_checkpoints(run: Path, capsys):
    for name in ("step-x", "step-", "step-1e9", "step-\u00b2\u00b2\u00b2\u00b2\u00b2\u00b2"):
        (run / "checkpoints" / name).mkdir()
    code, text = shown(capsys, "runs", "show", str(run))
    assert code == 0 and "2 of 2" in text


@pytest.fixture
def cache(made: Path, tmp_path: Path) -> Path:
    """A copy of a cache."""
    return Path(shutil.copytree(made.parents[1] / "cache", tmp_path / "cache"))


def check_cache_says(cache: Path, capsys: Any) -> None:
    for words in (("cache", "info"), ("cache", "verify"), ("cache", "verify", "--json")):
        code, text = shown(capsys, *words, str(cache))
        assert code in (0, 1) and "--debug" not in text and "\x1b" not in text, text


@pytest.mark.parametrize(
    "name", ["index.bin", "records-0000.bin", "meta.json", "lock", ".x.partial"]
)
@pytest.mark.parametrize("plant", ["link", "pipe", "broken link"])
@pytest.mark.timeout(30)
def test_links_in_a_cache_are_not_written_through(
    cache: Path, name: str, plant: str, tmp_path: Path, capsys
):
    store = next(cache.iterdir())
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (store / name).unlink(missing_ok=True)
    if plant == "pipe":
        os.mkfifo(store / name)
    else:
        (store / name).symlink_to(victim if plant == "link" else tmp_path / "nowhere")
    _, text = shown(capsys, "cache", "info", str(cache))
    assert "broken" in text
    check_cache_says(cache, capsys)
    with pytest.raises(DataError):
        Store(store, StoreKey("a", {"pictures": {"number": 1}}), {"x": (2,)})
    assert victim.read_bytes() == b"mine" and not (tmp_path / "nowhere").exists()


def test_a_forged_index_asks_for_no_memory(cache: Path, capsys):
    for store in cache.iterdir():
        entries = make_entries([0], [2**32 - 1], [0], [0])
        (store / "index.bin").write_bytes(entries.tobytes())
    check_cache_says(cache, capsys)


def test_a_damaged_store_is_listed_with_its_cause_beside_the_rest(cache: Path, capsys):
    first, *others = sorted(cache.iterdir())
    (first / "meta.json").write_text("[")
    code, text = shown(capsys, "cache", "info", str(cache))
    assert code == 0 and f"{first.name} is broken: {first}/meta.json is damaged" in text
    assert others and all(other.name in text for other in others)
    code, text = shown(capsys, "cache", "info", str(cache), "--json")
    statuses = {store["store"]: store["status"] for store in json.loads(text)["stores"]}
    assert code == 0 and statuses == {first.name: "broken"} | {o.name: "ok" for o in others}


@pytest.mark.parametrize("file", ["composition.json", "config.toml", "environment.json"])
def test_a_damaged_run_is_a_row_with_its_cause_beside_the_rest(run: Path, file: str, capsys):
    """Listing is no finding; the run itself, if asked for, is one."""
    shutil.copytree(run, run.parent / "b")
    (run / file).write_bytes(b"\xff")
    code, text = shown(capsys, "runs", "list", str(run.parent))
    assert code == 0 and f"{run} is unreadable: {run / file} is damaged: " in text
    assert f"{run.parent / 'b'} " in text and "Traceback" not in text
    code, text = shown(capsys, "runs", "list", str(run.parent), "--json")
    causes = {record["run"]: record["cause"] for record in json.loads(text)["runs"]}
    assert code == 0 and causes[str(run.parent / "b")] is None
    assert causes[str(run)].startswith(f"{run / file} is damaged: ")
    code, text = shown(capsys, "runs", "show", str(run))
    assert code == 2 and f"{run / file} is damaged" in text


def test_fuzzed_caches(cache: Path, capsys):
    file = next(cache.iterdir()) / "meta.json"
    text = file.read_text()
    record = json.loads(text)
    for place in places(record):
        for junk in JUNK[::3]:
            file.write_text(json.dumps(mutated(record, place, junk)))
            code, told = shown(capsys, "cache", "verify", str(cache))
            assert code in (0, 1) and "--debug" not in told, told
    for content in CONTENTS.values():
        file.write_bytes(content)
        check_cache_says(cache, capsys)


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


COMMANDS = (("show",), ("list",), ("show", "--json"), ("list", "--json"))


class Fuzz:
    """Opens a run of which one value of one record is changed, by all ways.

    What is refused at once costs little. A change that nobody refuses is tried by the ways that
    compute something only each `EACH`-th time, and by one of them.
    """

    EACH = 30

    def __init__(self, run: Path, capsys: Any) -> None:
        self.run, self.capsys = run, capsys
        self.texts = {file: (run / file).read_text() for file in RECORDS}
        self.records = {
            file: tomllib.loads(text) if file.endswith(".toml") else json.loads(text)
            for file, text in self.texts.items()
        }
        self.places = {file: list(places(record)) for file, record in self.records.items()}
        self.opened = self.refused = 0

    def change(self, data: st.DataObject) -> str:
        """Writes a changed record, and returns its file; empty if TOML cannot hold it."""
        file = data.draw(st.sampled_from(RECORDS))
        place = data.draw(st.sampled_from(self.places[file]))
        junk = data.draw(st.sampled_from(JUNK) | st.text() | st.integers() | st.floats())
        try:
            write(self.run / file, mutated(self.records[file], place, junk))
        except (TypeError, ValueError, AttributeError):
            return ""
        return file

    def check(self, data: st.DataObject) -> None:
        file = self.change(data)
        try:
            if file:
                self.open(file)
        finally:
            for changed in RECORDS if file else ():
                (self.run / changed).write_text(self.texts[changed])

    def open(self, file: str) -> None:
        student = file.startswith("student/")
        ways = [way for name, way in OPENERS.items() if student == (name == "load_student")]
        results = [opens_or_says(way, self.run) for way in ways]
        if all(results):
            self.opened += 1
            number, rest = divmod(self.opened, self.EACH)
        else:
            self.refused += 1
            number, rest = self.refused, 0
        if not rest:
            name = list(DEAR)[number % len(DEAR)]
            opens_or_says(DEAR[name], self.copy() if name == "go on" else self.run)
        if not student:
            commands_say(self.run, self.capsys, COMMANDS[(self.opened + self.refused) % 4])

    def copy(self) -> Path:
        """A copy of the run, which going on with it changes."""
        folder = self.run.parents[1] / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.run, folder / "a"))


def fuzz(run: Path, capsys: Any, count: int) -> Fuzz:
    """Changes one value of one record, in so many ways."""
    fuzzed = Fuzz(run, capsys)

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def check(data: st.DataObject) -> None:
        fuzzed.check(data)

    check()
    return fuzzed


@pytest.mark.timeout(600)
def test_fuzzed_records(run: Path, capsys):
    fuzzed = fuzz(run, capsys, 2_000)
    assert min(fuzzed.opened, fuzzed.refused) > 200


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_fuzzed_records(run: Path, capsys):
    fuzz(run, capsys, 50_000)
