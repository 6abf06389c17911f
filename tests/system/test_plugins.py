"""Real broken distributions on the path: whatever one plugin does, the rest goes on.

Each test starts a process of its own, in a folder outside the repository; the command lines of one
case share a process, since starting it is what takes time.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

KIVFM = """
import contextlib, io, json, sys
from kivfm_cli.app import main
done = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    done.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""
GOOD = """
@hookimpl
def kivfm_register_teachers():
    return [spec("good/small", aliases=("good",))]
"""
HOOK = "@hookimpl\ndef kivfm_register_teachers(): return "

# What is wrong: the module's text, the status, and what the list says of it.
CASES = {
    "raises at import": ("raise RuntimeError('no luck')", "broken", "no luck"),
    "hook raises": (HOOK + "1 / 0", "broken", "ZeroDivisionError"),
    "invalid spec": (HOOK + "[{'name': 'bad/one', 'parameters': 'many'}]", "broken", "parameters"),
    "missing requirement": (
        HOOK + "[spec('bad/one', requirements=('no-such-thing>=2',))]",
        "needs",
        "pip install 'no-such-thing>=2'",
    ),
    "heavy import": ("import open_clip\n" + HOOK + "[spec('bad/one')]", "ready", "open_clip"),
    "sleeping import": (
        "import time; time.sleep(0.5)\n" + HOOK + "[spec('bad/one')]",
        "ready",
        "bad/one",
    ),
    "misspelt hook": ("@hookimpl\ndef kivfm_register_teacher(): return []", "broken", "unknown"),
    "newer api": (HOOK + "[{'api_version': 9, 'name': 'bad/one'}]", "incompatible", "version is 9"),
    "its name is taken": (HOOK + "[spec('good/small')]", "conflict", "bad::good/small"),
    "entry point to nothing": (None, "broken", "pip install --force-reinstall bad"),
}


class Done(NamedTuple):
    """What a command line left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def kivfm(plugins, tmp_path) -> Callable[..., list[Done]]:
    """Runs command lines, one after another, in one new process."""
    (plugins / "open_clip.py").write_text("")  # heavy by name only

    def run(*lines: str, **env: str) -> list[Done]:
        text = subprocess.check_output(
            [sys.executable, "-c", KIVFM, json.dumps([line.split() for line in lines])],
            env={**os.environ, "PYTHONPATH": str(plugins), "KIVFM_OFFLINE": "1", **env},
            cwd=tmp_path, text=True,
        )  # fmt: skip
        return [Done(*done) for done in json.loads(text)]

    return run


@pytest.mark.parametrize(("body", "status", "says"), CASES.values(), ids=CASES.keys())
def test_one_bad_plugin(kivfm, install, body, status, says):
    install("good", GOOD)
    install("bad", body or "", target="bad" if body else "no_such_module")
    # Who did not select it does not notice.
    clean, listed, text, *others = kivfm(
        "--help", "teachers list --json", "teachers list", "teachers show dino",
        "compose --teachers dino,sam", "plugins list",
    )  # fmt: skip
    assert clean.code == 0
    (bad,) = [e for e in json.loads(listed.out)["teachers"] if e["distribution"] == "bad"]
    assert bad["status"] == status
    assert bad["heavy"] == ("open_clip" if says == "open_clip" else None)
    assert "sleep" not in (body or "") or bad["milliseconds"] > 500
    assert text.code == 0 and says in text.out and not text.err
    assert all(done.code == 0 and not done.err for done in others)
    # Who did is told, with the exit code for it; a conflict's pin picks one.
    expected = 0 if status in ("ready", "conflict") else 3
    (shown,) = kivfm(f"teachers show {bad['name']}")
    assert shown.code == expected, shown.err
    assert expected == 0 or "hint: pip install" in shown.err
    if status == "conflict":
        (bare,) = kivfm("compose --teachers dino,good/small")
        assert bare.code == 3 and "bad::good/small or good::good/small" in bare.err


def test_doctor_names_the_mending_command(kivfm, install):
    install("bad", "raise RuntimeError('no luck')")
    (found,) = kivfm("doctor")
    assert found.code == 1 and "pip install --upgrade bad" in found.out


def test_switches_apply_before_anything_is_imported(kivfm, install, plugins):
    install("good", GOOD)
    install("bad", f"open({str(plugins / 'seen')!r}, 'w')\nraise RuntimeError('no luck')")
    (strict,) = kivfm("teachers list", KIVFM_STRICT_PLUGINS="1")
    assert strict.code == 3 and "no luck" in strict.err
    (plugins / "seen").unlink()
    (only,) = kivfm("teachers list --json", KIVFM_PLUGINS="good", KIVFM_STRICT_PLUGINS="1")
    names = {entry["name"] for entry in json.loads(only.out)["teachers"]}
    assert {"good/small", "dino/vit-b-14"} <= names
    none, told = kivfm("--no-plugins teachers list --json", "teachers show clip/nano")
    names = {entry["distribution"] for entry in json.loads(none.out)["teachers"]}
    assert names == {"kivfm"} and not (plugins / "seen").exists()
    assert told.code == 3 and "hint: unset KIVFM_NO_PLUGINS" in told.err


def test_many_good_plugins_stay_quick(kivfm, install):
    for number in range(10):
        install(f"good-{number}", GOOD.replace("good", f"good{number}"))
    (listed,) = kivfm("teachers list --json")
    entries = json.loads(listed.out)["teachers"]
    times = [e["milliseconds"] for e in entries if e["distribution"].startswith("good-")]
    assert len(times) == 10 and max(times) < 50
