"""What a stranger's run names, code, sources and addresses, is refused or harmless."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from safetensors.torch import save_file
from stranger import (
    FOREIGN,
    SPECS,
    go_on,
    measure,
    plan_of,
    resume,
    rewrite,
    see,
    toys_installed,
)
from toy import BASE, PURPOSE

from kivfm_core.errors import (
    ChangedTeacherWarning,
    KivfmError,
    PluginError,
    UsageError,
    WeightsError,
)
from kivfm_core.runs.remove_teacher import remove_teacher
from kivfm_core.runs.run import open_run
from kivfm_core.student.bundle import load_student

# A changed record often differs from what the installed plugin declares, which is no error.
pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ChangedTeacherWarning")


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
