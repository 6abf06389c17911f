"""The command line: answers, exit codes, and what goes to which stream."""

import json
import re
import subprocess
import sys

import pytest
from two_teachers import TWO

from kivfm_cli import app, options
from kivfm_core.config import RunConfig
from kivfm_core.errors import DataError


def test_help_and_version(kivfm):
    code, out, _ = kivfm()
    assert code == 0 and "distill" in out
    assert kivfm("--help")[1] == out
    assert re.match(r"kivfm \d+\.\d+", kivfm("--version")[1])


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
