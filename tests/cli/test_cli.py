"""The command line: answers, exit codes, and what goes to which stream."""

import json
import os
import re
import socket
import subprocess
import sys
import time

import broken
import pytest
import toy
from PIL import Image

import kivfm_core
from kivfm_cli import app, options
from kivfm_core.config import RunConfig, build_config
from kivfm_core.errors import DataError
from kivfm_core.files import only_writer
from kivfm_core.planner import placement
from kivfm_core.planner.placement import Machine
from kivfm_core.planner.rates import Rates, save_rates
from kivfm_core.registry.registry import get_registry


@pytest.fixture
def kivfm(capsys, monkeypatch, tmp_path):
    """Runs a command line in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = app.main(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


TWO = """
@hookimpl
def kivfm_register_teachers():
    trunk = dict(
        role="general",
        levels=(Level(name="x", kind="global", channels=8), V),
        attachments=(Attachment(module="a", channels=8, layout="NLC", stride=16),),
    )
    return [
        spec("base/small", aliases=("base",), **trunk),
        spec("base/tiny", **trunk),
        spec("other/small", aliases=("other",)),
    ]
from kivfm_core.spec import Attachment
V = Level(name="v", kind="dense", channels=8, stride=16)
def spec(name, levels=(V,), **more):
    return TeacherSpec(
        name=name, encoder="m:build", levels=levels, parameters=1000, code_license="MIT",
        input=InputContract(policy="stretch", size=32),
        weights=Weights(source="run:/no-such", split="m:split", license="CC-BY-NC-4.0"), **more,
    )
"""


def test_help_and_version(kivfm):
    code, out, _ = kivfm()
    assert code == 0 and "distill" in out
    assert kivfm("--help")[1] == out
    assert re.match(r"kivfm \d+\.\d+", kivfm("--version")[1])


def test_list_as_json(kivfm, install):
    install("two", TWO)
    install("bad", "raise RuntimeError('no luck')")
    code, out, _ = kivfm("teachers", "list", "--json")
    listed = json.loads(out)
    assert code == 0 and listed["schema"] == 1
    teachers = {teacher["name"]: teacher for teacher in listed["teachers"]}
    assert teachers["bad"]["status"] == "broken" and "no luck" in teachers["bad"]["cause"]
    base = teachers["base/small"]
    assert base["status"] == "ready" and base["distribution"] == "two" and base["version"] == "1.0"
    assert base["weights"]["here"] is False and base["levels"][1]["channels"] == 8
    assert {provider["prefix"] for provider in listed["providers"]} >= {"timm/"}


def test_list_as_text(kivfm, install):
    install("two", TWO)
    install("bad", "raise RuntimeError('no luck')")
    code, out, _ = kivfm("teachers", "list")
    assert code == 0 and "\x1b" not in out
    assert re.search(r"^base/small \(base\) +general +- +8, 8/16 +1\.0 k +size unknown", out, re.M)
    assert "bad (bad): RuntimeError: no luck\n  pip install --upgrade bad" in out


def test_the_list_fits_a_terminal(kivfm, monkeypatch):
    monkeypatch.setenv("KIVFM_PLUGINS", "kivfm-nano")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    code, out, _ = kivfm("teachers", "list")
    lines = [line.rstrip() for line in re.sub(r"\x1b\[\d+m", "", out).splitlines()]
    listed = json.loads(kivfm("teachers", "list", "--json")[1])["teachers"]
    assert code == 0 and max(map(len, lines)) <= 80
    for teacher in listed:  # a line each: nothing is folded
        (line,) = [line for line in lines if line.split(" ")[0] == teacher["name"]]
        assert (" * " in line) == (teacher["name"].split("/")[0] in teacher["aliases"])
        license = teacher["weights"]["license"]  # a long one is cut, so that the others fit
        assert f" {license if len(license) <= 14 else license[:11] + '...'} " in line
    assert re.search(r"^clip/nano +zero-shot +616\.5 k +here +Apache-2\.0 +ready *$", out, re.M)
    monkeypatch.setenv("COLUMNS", "250")
    assert "short-side-crop 224" in kivfm("teachers", "list", "--wide")[1]


def test_show(kivfm, install):
    install("two", TWO)
    code, out, _ = kivfm("teachers", "show", "base")
    assert code == 0 and "[B, 8, 2, 2]" in out and "commercial use: no" in out
    record = json.loads(kivfm("teachers", "show", "base", "--json")[1])
    assert record["teacher"]["name"] == "base/small"
    assert record["license"]["commercial_use"] == "no"


def test_unknown_teacher(kivfm, install):
    install("two", TWO)
    for words in (
        ("teachers", "show", "bsae"),
        ("compose", "--teachers", "bsae"),
        ("distill", "--teachers", "other,bsae"),
    ):
        code, out, err = kivfm(*words)
        assert code == 2 and not out
        assert "error: no teacher is named 'bsae'" in err and "hint: did you mean base" in err


def test_broken_teacher(kivfm, install):
    install("bad", "raise RuntimeError('no luck')")
    code, _, err = kivfm("compose", "--teachers", "bad,dino")
    assert code == 3 and "no luck" in err and "hint: pip install --upgrade bad" in err


def test_authors_are_not_sent_to_upgrade_their_own_package(kivfm, install):
    origin = {"url": "file:///home/me/my%20bad", "dir_info": {"editable": True}}
    folder = install("bad", "raise RuntimeError('no luck')")
    record = folder / "bad-1.0.dist-info/direct_url.json"
    for text, hint in (
        (json.dumps(origin), "repair it in /home/me/my bad"),
        ("[1]", "pip install --upgrade bad"),
        ('{"dir_info": {}}', "pip install --upgrade bad"),
    ):
        record.write_text(text)
        get_registry.cache_clear()
        code, _, err = kivfm("teachers", "check", "bad")
        assert code == 3 and f"hint: {hint}\n" in err


WRONG = """
@hookimpl
def kivfm_register_teachers(): return [TeacherSpec.model_validate_json({spec!r})]
"""


def test_check(kivfm, install):
    half = {"name": "half/small", "aliases": (), "encoder": "broken:Half", "original": None}
    for distribution, fields in (("good", {}), ("half", half)):
        spec = broken.GOOD.model_copy(update=fields)
        install(distribution, WRONG.format(spec=spec.model_dump_json()))
    code, out, _ = kivfm("teachers", "check", "half/small")
    assert code == 1 and "levels, finding: level 'coarse' is torch.float16" in out
    code, out, _ = kivfm("teachers", "check", "half/small", "--json")
    found = json.loads(out)
    statuses = {check["name"]: check["status"] for check in found["checks"]}
    assert code == 1 and found["teacher"] == "half/small" and found["ok"] is False
    assert statuses["levels"] == "finding" and statuses["checksum"] == "not checked"
    code, out, _ = kivfm("teachers", "check", "good", "--json")
    assert code == 0 and json.loads(out)["ok"] is True


def test_weights_that_a_package_lacks_are_missing(kivfm, install):
    weights = broken.GOOD.weights.model_copy(update={"source": "package:good/w.safetensors"})
    spec = broken.GOOD.model_copy(update={"weights": weights})
    install("good", WRONG.format(spec=spec.model_dump_json()))
    (row,) = [r for r in kivfm("teachers", "list")[1].splitlines() if r.startswith("good/small")]
    assert "size unknown, missing" in row
    assert "missing in the installed package" in kivfm("teachers", "show", "good")[1]
    code, out, _ = kivfm("teachers", "check", "good")
    assert code == 1 and "packaged, finding: package:good/w.safetensors is not in" in out


LOUD = """
print("discovered")
@hookimpl
def kivfm_register_teachers(): return [TeacherSpec.model_validate_json({spec!r})]
"""


def test_check_is_json_whatever_a_plugin_prints(kivfm, install, tmp_path):
    spec = broken.GOOD.model_copy(update={"encoder": "broken:Talking"})
    install("good", LOUD.format(spec=spec.model_dump_json()))
    code, out, err = kivfm("teachers", "check", "good", "--json", "--out", str(tmp_path / "drawn"))
    found = json.loads(out)
    assert code == 0 and "I see" in err
    assert {check["name"]: check["status"] for check in found["checks"]}["discovery"] == "ok"
    assert set(found["drawings"]) == {"classification", "semantic-segmentation"}
    for file in found["drawings"].values():
        with Image.open(file) as drawing:
            assert drawing.width >= 640 and drawing.height > 480


def test_check_shows_where_a_decoder_raises(kivfm, install, tmp_path):
    task = broken.GOOD.tasks[0].model_copy(update={"decoder": "broken:Falling"})
    spec = broken.GOOD.model_copy(update={"tasks": (task,), "original": None})
    install("good", WRONG.format(spec=spec.model_dump_json()))
    code, out, _ = kivfm("teachers", "check", "good", "--out", str(tmp_path / "drawn"))
    assert code == 1 and "the decoder of classification raises RuntimeError: no luck" in out
    assert "repair broken:Falling" in out and "Traceback" in out and "broken.py" in out
    assert not list(tmp_path.glob("drawn/*"))


def test_check_with_weights(kivfm, install, tmp_path):
    install("good", WRONG.format(spec=broken.GOOD.model_dump_json()))
    file = tmp_path / "good.safetensors"
    words = ("teachers", "check", "good", "--json", "--weights", str(file))
    code, out, err = kivfm(*words)
    assert code == 2 and not out and f"there is no file {file}" in err
    toy.save(broken.GOOD, file)
    code, out, _ = kivfm(*words)
    found = json.loads(out)
    checks = {check["name"]: check for check in found["checks"]}
    assert code == 0 and found["weights"] == str(file)
    assert checks["weights-fit"]["status"] == "ok" and "sha256=" in checks["checksum"]["fix"]


def test_compose(kivfm, install, tmp_path):
    install("two", TWO)
    words = ("compose", "--teachers", "base,other", "--steps", "7", "--weights", "base=a=b.pt")
    code, out, _ = kivfm(*words, "-o", "plans/run.toml")
    assert code == 0
    for text in ("base/small, other/small", "warning: ", "no commercial use", "at least"):
        assert text in out
    assert re.findall(r"^to download: (\S+)", out, re.M) == ["other/small"]
    written = (tmp_path / "plans" / "run.toml").read_text()
    assert "steps = 7" in written and 'base = "a=b.pt"' in written
    again = kivfm("compose", "--config", "plans/run.toml", "--json")[1]
    plan = json.loads(again)
    assert plan == json.loads(kivfm(*words, "--json")[1])
    assert plan["schema"] == 1 and plan["base"] == "base/small"
    tiny = kivfm("compose", "--config", "plans/run.toml", "--variant", "tiny", "--json")
    assert tiny[0] == 2 and "other has no variant 'tiny'" in tiny[2]


def test_python_gets_the_report_that_the_command_prints(kivfm, install):
    install("two", TWO)
    words = ("compose", "--teachers", "base,other")
    printed, as_json = kivfm(*words)[1], json.loads(kivfm(*words, "--json")[1])
    preview = kivfm_core.compose(build_config(None, {"teachers": "base,other"}))
    assert str(preview.summary()) == preview.summary().as_text() == printed.rstrip("\n")
    assert preview.summary().as_dict() == as_json
    assert [spec.name for spec in preview.composition.teachers] == as_json["teachers"]


def test_compose_plans_what_is_kept_and_what_it_takes(kivfm, install, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(placement, "DRIVERS", ("/dev/null",))
    install("two", TWO)
    words = ("compose", "--teachers", "base,other", "--set", "data.views=1", "--steps", "1000")
    out = kivfm(*words)[1]
    assert re.search(r"^other/small +cached +- +- +- +64 B +188 KiB +3008 +-$", out, re.M)
    assert "time: not predicted; not measured here yet: canvas@32, other/small" in out
    assert re.search(r"about [.\d]+ MiB of activations \(views at once: 16\)", out)
    out = kivfm(*words, "--set", "data.memory=0.0005")[1]
    assert re.search(r"^canvas@32 +online ", out, re.M) and "of 524 KiB" in out
    plan = json.loads(kivfm(*words, "--json")[1])["plan"]
    assert plan["predicted_seconds"] is None
    assert {cost["batch"] for cost in plan["costs"]} == {None, 0}
    out = kivfm(*words, "--set", "engine.accelerator=cpu")[1]
    assert re.search(r"^other/small +cached +16 +cpu +[.\d]+ MiB ", out, re.M)
    seconds = {cost["rate"]: 0.01 for cost in plan["costs"]}
    save_rates(Rates("a device", seconds, machine=Machine("cuda", 2**33)))
    views = sum(cost["views"] for cost in plan["costs"])
    plan = json.loads(kivfm(*words, "--json")[1])["plan"]
    assert plan["predicted_seconds"] == pytest.approx(0.01 * views)
    placed = {cost["name"]: (cost["batch"], cost["device"]) for cost in plan["costs"]}
    assert placed["other/small"] == (16, "cuda") and placed["canvas@32"] == (0, "")
    assert all(cost["memory"] for cost in plan["costs"] if cost["batch"])
    out = kivfm(*words)[1]
    assert "min on a device" in out
    assert re.search(r"^other/small +cached +16 +cuda +[.\d]+ MiB +64 B ", out, re.M)
    out = kivfm(*words, "--set", "engine.memory=0.001")[1]
    assert re.search(r"^other/small +cached +\d+ +cpu ", out, re.M)
    assert re.search(r"^trunk@32 +cached +\d+ +cuda ", out, re.M)
    (tmp_path / "cache").mkdir()
    assert "note: what cache has" in kivfm(*words, "--set", "cache.path=cache")[1]
    out = kivfm(*words, "--data", "nowhere")[1]
    assert "time: not predicted; the number of images is not known" in out
    assert "several devices" in kivfm(*words, "--devices", "2")[1]


def test_a_flag_beats_set_beats_file(kivfm, install, tmp_path):
    install("two", TWO)
    (tmp_path / "a.toml").write_text('teachers = ["base"]\nseed = 1\n[data]\nimage_size = 32\n')

    def seed(*words: str) -> str:
        assert kivfm("compose", "--config", "a.toml", *words, "-o", "b.toml")[0] == 0
        return next(x for x in (tmp_path / "b.toml").read_text().splitlines() if "seed" in x)

    assert seed() == "seed = 1"
    assert seed("--set", "seed=2") == "seed = 2"
    assert seed("--set", "seed=2", "--seed", "3") == "seed = 3"


USAGE = {
    "no teachers": (["compose"], "no teachers are selected"),
    "unknown flag": (["compose", "--techers", "a"], "No such option"),
    "unknown command": (["distil"], "no command is named 'distil'"),
    "missing argument": (["predict", "runs/x"], "Missing argument"),
    "not a number": (["distill", "--teachers", "a", "--steps", "many"], "valid int"),
    "not a size": (["compose", "--teachers", "a", "--image-size", "big"], "not a whole number"),
    "not a pair": (["compose", "--teachers", "a", "--weights", "x.pt"], "is not NAME=FILE"),
    "not a setting": (["compose", "--teachers", "a", "--set", "seed"], "not key=value"),
    "no such file": (["distill", "--config", "no.toml"], "cannot read no.toml"),
    "not a click": (["predict", "r", "i", "--task", "t", "--points", "1"], "is not X,Y"),
    "a sign before a click": (
        ["predict", "r", "i", "--task", "t", "--points", "1,2;!3,4"],
        "'!3,4' is not X,Y.*\n.*not 40,40",
    ),
    "not a box": (["predict", "r", "i", "--task", "t", "--box", "1,2,3"], "is not X0,Y0,X1,Y1"),
    "no grid": (
        ["predict", "r", "i", "--task", "t", "--everything", "0"],
        "--everything.*equal to 1",
    ),
    "resume elsewhere": (["distill", "--resume", "r", "--out", "s"], "leave out --out"),
    "resume what": (["distill", "--resume", "r", "--seed", "1"], "r is no run folder"),
    "not a run": (["runs", "show", "r"], "r is no run folder"),
    "all at once": (
        ["compose", "--teachers", "a", "--set", "sede=1", "--set", "optim.lr=-1"],
        "optim.lr: .*\n.*sede: ",
    ),
}


@pytest.mark.parametrize(("words", "text"), USAGE.values(), ids=USAGE.keys())
def test_usage_errors(kivfm, words, text):
    code, out, err = kivfm(*words)
    assert code == 2 and not out and err.startswith("error: ")
    assert re.search(text, err)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("no pictures", "look elsewhere"), 1, "error: no pictures\nhint: look elsewhere"),
        (RuntimeError("oh"), 1, "error: RuntimeError: oh\nhint: run it again with --debug"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_the_error_boundary(kivfm, monkeypatch, error, code, text):
    def fail() -> None:
        raise error

    monkeypatch.setattr("kivfm_core.registry.registry.list_teachers", fail)
    found, out, err = kivfm("teachers", "list")
    assert (found, out) == (code, "") and text in err


@pytest.mark.parametrize("command", ["evaluate RUN --data D", "predict RUN a.jpg --task detection"])
def test_an_accelerator_that_is_not_here(kivfm, command):
    code, out, err = kivfm(*command.split(), "--accelerator", "warp")
    assert (code, out) == (2, "")
    assert "error: no warp here: " in err and "hint: --accelerator auto" in err


def test_debug_shows_the_traceback(monkeypatch, capsys):
    monkeypatch.setattr("kivfm_core.registry.registry.list_teachers", lambda: 1 / 0)
    assert app.main(["teachers", "list", "--debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and err.endswith(
        "hint: run it again with --debug for the traceback\n"
    )


def test_no_plugins(kivfm, install, monkeypatch):
    monkeypatch.setenv("KIVFM_NO_PLUGINS", "0")  # so that it is put back
    install("two", TWO)
    listed = json.loads(kivfm("teachers", "list", "--json", "--no-plugins")[1])
    assert {teacher["distribution"] for teacher in listed["teachers"]} == {"kivfm"}


def test_plugins_and_doctor(kivfm, install, monkeypatch):
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    install("two", TWO)
    assert "two" in kivfm("plugins", "list")[1]
    install("bad", "raise RuntimeError('no luck')")
    from kivfm_core.registry.registry import get_registry

    get_registry.cache_clear()
    plugins = {
        p["distribution"]: p for p in json.loads(kivfm("plugins", "list", "--json")[1])["plugins"]
    }
    assert plugins["two"]["names"] == ["base/small", "base/tiny", "other/small"]
    assert plugins["bad"]["problems"][0]["status"] == "broken"
    code, out, _ = kivfm("doctor", "--json")
    checks = {check["what"]: check for check in json.loads(out)["checks"]}
    assert {"python", "torch", "devices", "disk", "cache", "hub", "plugin two"} <= checks.keys()
    assert code == 1 and checks["teacher bad"]["hint"] == "pip install --upgrade bad"
    assert "not contacted" in checks["hub"]["found"]
    assert re.search(r"1.0, loaded in \d+ ms", checks["plugin two"]["found"])


def test_doctor_never_waits_for_the_hub(kivfm, hub, monkeypatch):
    def found() -> str:
        checks = json.loads(kivfm("doctor", "--json")[1])["checks"]
        return next(check["found"] for check in checks if check["what"] == "hub")

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("kivfm_core.weights.hub.TIMEOUT", 1.0)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    assert found() == "reachable"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert found().startswith("out of reach: ")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert found().startswith("out of reach: ") and time.monotonic() - start < 20


def test_runs(kivfm, tmp_path):
    assert kivfm("runs", "list")[1].startswith("no runs in runs")
    run = tmp_path / "runs" / "one"
    (run / "checkpoints" / "step-000020").mkdir(parents=True)
    (run / "checkpoints" / "step-000100").mkdir()
    plan = {"teachers": [{"name": "a/b"}, {"name": "c/d"}], "base": "a/b"}
    (run / "composition.json").write_text(json.dumps(plan))
    (run / "config.toml").write_text("[optim]\nsteps = 200\n")
    row = {"teacher": "c/d", "task": "detection", "metric": "AP", "retention": 0.8, "gain": None,
           "teacher_score": 0.5, "untrained_score": 0.0, "student_score": 0.4}  # fmt: skip
    summary = {"retention_mean": 0.8, "retention_min": 0.8, "gain_mean": None, "gain_min": None}
    evaluation = {"schema": 1, "rows": [row], "base": [], "summary": summary}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    costs = {"schema": 1, "predicted_seconds": 90.0, "took_seconds": 99.5, "costs": []}
    (run / "costs.json").write_text(json.dumps(costs))
    (found,) = json.loads(kivfm("runs", "list", "--json")[1])["runs"]
    assert (found["step"], found["steps"], found["student"]) == (100, 200, False)
    listed = kivfm("runs", "list")[1]
    assert "a/b, c/d" in listed and "80.0 %" in listed
    # What was measured on a part of the images is no result of the run.
    part = {**evaluation, "summary": {**summary, "retention_mean": 1.449, "limit": 3}}
    (run / "evaluation.json").write_text(json.dumps(part))
    assert "144.9" not in kivfm("runs", "list")[1]
    assert json.loads(kivfm("runs", "list", "--json")[1])["runs"][0]["summary"] is None
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    shown = kivfm("runs", "show", str(run))[1]
    assert re.search(r"c/d +detection +AP +0.500 +0.000 +0.400 +80.0 %", shown)
    assert "predicted 90 s, took 99.5 s" in shown
    assert "shared latent" not in shown and "bound" not in shown  # an older run does not say

    trips = {"a/b:dense": 1.0, "c/d:p8": 0.987, "c/d:p16": 0.99999}
    (run / "environment.json").write_text(json.dumps({"round_trip": trips}))
    evaluation["rows"] = [row | {"bound_score": 0.48}, row | {"task": "segmentation"}]
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    shown = kivfm("runs", "show", str(run))[1]
    assert re.search(r"shared latent +keeps 98.7% of c/d:p8, all of the others", shown)
    assert re.search(r"detection +AP .* 0.480", shown)
    assert "bound: the teacher's own score after its levels pass through" in shown
    assert "what they share" not in shown

    table = {"a/b": {"a/b": 0.9, "c/d": 0.25}, "c/d": {"a/b": 0.5, "c/d": 0.8}}
    shared = {"eigenvalues": [1.8], "teachers": table, "others": {"a/b": 0.51, "c/d": 0.26}}
    (run / "environment.json").write_text(json.dumps({"shared": shared}))
    shown = kivfm("runs", "show", str(run))[1]
    assert re.search(r"what they share: by +of a/b +of c/d\n.*\n?a/b +25.0 %", shown)
    assert re.search(r"all others +51.0 % +26.0 %", shown)
    assert json.loads(kivfm("runs", "show", str(run), "--json")[1])["shared"] == shared


def begun(run):
    """A folder as of a run that was begun."""
    run.mkdir(parents=True)
    plan = {"teachers": [{"name": "a/b"}], "base": "a/b"}
    (run / "composition.json").write_text(json.dumps(plan))
    (run / "config.toml").write_text("[optim]\nsteps = 200\n")
    return run


def test_runs_that_cannot_be_read_are_listed_beside_the_rest(kivfm, tmp_path):
    runs = tmp_path / "runs"
    for name in ("fine", os.fsdecode(b"caf\xe9"), "torn", "listed", "toml"):
        begun(runs / name)
    (runs / "torn/composition.json").write_text('{"teachers": [')
    (runs / "listed/composition.json").write_text('{"teachers": ["a"]}')
    (runs / "toml/config.toml").write_bytes(b"\xff")
    (runs / ".gone.0123456789ab.partial").mkdir()
    (runs / ".gone.0123456789ab.partial/composition.json").write_text("{}")
    code, out, _ = kivfm("runs", "list")
    assert code == 0 and out.encode("utf-8") and "gone" not in out
    assert re.search(r"runs/fine +a/b +0/200 +unfinished", out)
    assert re.search(r"'runs/caf\\udce9' +a/b +0/200 +unfinished", out)
    assert len(re.findall(r" unreadable  ", out)) == 3
    assert "runs/torn is unreadable: runs/torn/composition.json is damaged" in out
    found = json.loads(kivfm("runs", "list", "--json")[1])["runs"]
    assert {r["run"].strip("'"): bool(r["cause"]) for r in found} == {
        "runs/fine": False, r"runs/caf\udce9": False, "runs/torn": True, "runs/listed": True,
        "runs/toml": True,
    }  # fmt: skip


def test_runs_delete(kivfm, tmp_path):
    runs = tmp_path / "runs"
    one, two, held = (begun(runs / name) for name in ("one", "two", "held"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_text("")
    (one / "tensorboard").symlink_to(tmp_path / "photos")
    (runs / "link").symlink_to(held)
    for name, why in (("photos", "is no run folder"), ("runs/link", "is a link")):
        code, _, err = kivfm("runs", "delete", name)
        assert code == 2 and why in err
    with only_writer(held, ""):
        code, _, err = kivfm("runs", "delete", "runs/held")
    assert code == 2 and "another process is writing to runs/held" in err
    assert (held / "config.toml").exists() and (tmp_path / "photos/a.jpg").exists()
    code, out, _ = kivfm("runs", "delete", "runs/one", str(two))
    assert code == 0 and "deleted: runs/one" in out
    assert {path.name for path in runs.iterdir()} == {"held", "link"}
    assert (tmp_path / "photos/a.jpg").exists()


def test_scenes(kivfm, tmp_path):
    words = ("scenes", "pictures", "--train", "2", "--val", "1")
    code, out, err = kivfm(*words)
    assert code == 0 and "pictures/train/images" in out
    assert re.search(r"\d+/\d+  ETA 0:00  drawing", err)
    assert len(list((tmp_path / "pictures" / "train" / "images").iterdir())) == 2
    # Few were asked for, so there are few of single objects as well.
    assert len(list((tmp_path / "pictures" / "val").rglob("*.jpg"))) < 60
    assert kivfm(*words)[0] == 0
    code, _, err = kivfm("scenes", "pictures", "--train", "3")
    assert code == 2 and "hint: kivfm scenes pictures-2" in err


def test_json_survives_what_plugins_print(install, plugins):
    install("loud", "print('hello')\n" + TWO)
    code = "import sys; from kivfm_cli.app import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "teachers", "list", "--json"],
        env={"PYTHONPATH": str(plugins), "PATH": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["schema"] == 1 and "hello" in done.stderr


def test_help_names_the_defaults_of_the_configuration():
    for flag, (key, annotation) in options.SETTINGS.items():
        *tables, name = key.split(".")
        kind = RunConfig
        for table in tables:
            kind = kind.model_fields[table].annotation
        (info,) = [item for item in annotation.__metadata__ if hasattr(item, "help")]
        told = re.search(r"Default: ([\w-]+)\.$", info.help)
        if told:
            assert told[1] == str(kind.model_fields[name].default), flag
