"""Real broken distributions on the path: whatever one plugin does, the rest goes on.

Each test starts a process of its own, in a folder outside the repository; the command lines of one
case share a process, since starting it is what takes time.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

import pytest
from PIL import Image

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
TRUNK = """
from kivfm_core.spec import Attachment

@hookimpl
def kivfm_register_teachers():
    level = Level(name="v", kind="dense", channels=8, stride=16)
    point = Attachment(module="a", channels=8, layout="NLC", stride=16)
    more = {"role": "general", "levels": (level,), "attachments": (point,), "parameters": SIZE}
    return [spec("good/small", aliases=("good",)).model_copy(update=more)]
"""
HOOK = "@hookimpl\ndef kivfm_register_teachers(): return "


class Case(NamedTuple):
    """A plugin with something wrong.

    Attributes:
        body: The module's text; None if the entry point leads nowhere.
        status: What the list says it is.
        name: Under which it is listed.
        says: What the list tells of it.
    """

    body: str | None
    status: str
    name: str
    says: str


CASES = {
    "raises at import": Case("raise RuntimeError('no luck')", "broken", "bad", "no luck"),
    "hook raises": Case(HOOK + "1 / 0", "broken", "bad", "ZeroDivisionError"),
    "hook raises while iterating": Case(
        HOOK.replace("return ", "\n    yield spec('bad/one')\n    ") + "1 / 0",
        "broken",
        "bad",
        "ZeroDivisionError",
    ),
    "invalid spec": Case(
        HOOK + "[{'name': 'bad/one', 'parameters': 'many'}]", "broken", "bad/one", "parameters"
    ),
    "raises what is no exception": Case(
        "class Out(BaseException): pass\nraise Out('no luck')", "broken", "bad", "no luck"
    ),
    "weights that lie nowhere": Case(
        HOOK + "[{**spec('bad/one').model_dump(), 'weights': "
        "{'source': 'package:no.such/w', 'split': 'm:split'}}]",
        "broken",
        "bad/one",
        "source",
    ),
    "not a number": Case(
        HOOK + "[{**spec('bad/one').model_dump(), 'input': "
        "{'policy': 'stretch', 'size': 64, 'scale': float('nan')}}]",
        "broken",
        "bad/one",
        "scale",
    ),
    "missing requirement": Case(
        HOOK + "[spec('bad/one', requirements=('no-such-thing>=2',))]",
        "needs",
        "bad/one",
        "pip install 'no-such-thing>=2'",
    ),
    "heavy import": Case(
        "import open_clip\n" + HOOK + "[spec('bad/one')]",
        "ready",
        "bad/one",
        "imports open_clip at discovery",
    ),
    "sleeping import": Case(
        "import time; time.sleep(0.5)\n" + HOOK + "[spec('bad/one')]", "ready", "bad/one", ""
    ),
    "misspelt hook": Case(
        "@hookimpl\ndef kivfm_register_teacher(): return []", "broken", "bad", "unknown hook"
    ),
    "newer api": Case(
        HOOK + "[{'api_version': 9, 'name': 'bad/one'}]", "incompatible", "bad/one", "version is 9"
    ),
    "its name is taken": Case(
        HOOK + "[spec('good/small')]", "conflict", "bad::good/small", "both give good/small"
    ),
    "entry point to nothing": Case(None, "broken", "bad", "pip install --force-reinstall bad"),
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


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_one_bad_plugin(kivfm, install, case):
    install("good", GOOD)
    install("bad", case.body or "", target="bad" if case.body else "no_such_module")
    listed, text, shown, *others = kivfm(
        "teachers list --json", "teachers list", f"teachers show {case.name}", "--help",
        "teachers show good::good", "compose --teachers dino,sam", "plugins list",
    )  # fmt: skip
    # It is listed with its origin, what is wrong, and what mends it.
    (bad,) = [e for e in json.loads(listed.out)["teachers"] if e["distribution"] == "bad"]
    assert (bad["name"], bad["status"], bad["version"]) == (case.name, case.status, "1.0")
    assert bad["heavy"] == ("open_clip" if "open_clip" in case.says else None)
    assert bad["milliseconds"] > 500 or "sleep" not in (case.body or "")
    assert re.search(rf"^{case.name} .*bad 1\.0 +{case.status}$", text.out, re.M)
    assert case.says in text.out and bad["hint"] in text.out and "\n" not in bad["cause"]
    # Who did not select it does not notice.
    assert all(done.code == 0 and not done.err for done in (listed, text, *others))
    # Who did is told, with the exit code for it; a pinned name works in a conflict.
    works = case.status in ("ready", "conflict")
    assert shown.code == (0 if works else 3), shown.err
    assert works or f"hint: {bad['hint']}" in shown.err
    (strict,) = kivfm("teachers list", KIVFM_STRICT_PLUGINS="1")
    fails = case.status in ("broken", "incompatible")
    assert strict.code == (3 if fails else 0) and (bad["cause"] in strict.err or not fails)


def test_all_bad_plugins_together(kivfm, install, tmp_path):
    install("good", GOOD)
    for number, case in enumerate(CASES.values()):
        body = (case.body or "").replace("bad/", f"bad-{number}/")
        install(f"bad-{number}", body, target="" if case.body else "no_such_module")
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        color = (60 * number, 128, 255 - 60 * number)
        Image.new("RGB", (120, 100), color).save(tmp_path / "pictures" / f"{number}.png")
    helped, listed, found, distilled = kivfm(
        "--help", "teachers list", "doctor --json",
        "distill --teachers dino/nano,segmenter/nano --data pictures --out run --steps 1 "
        "--batch-size 2 --set optim.calibration=4",
    )  # fmt: skip
    assert helped.code == listed.code == 0
    assert distilled.code == 0, distilled.err
    card = json.loads((tmp_path / "run" / "student" / "student.json").read_text())
    assert card["distributions"] == {"kivfm-nano": version("kivfm-nano")}
    # The doctor has findings, each with what mends it.
    assert found.code == 1
    checks = {check["what"]: check for check in json.loads(found.out)["checks"]}
    for number, case in enumerate(CASES.values()):
        name = case.name.replace("bad/", f"bad-{number}/").replace("bad:", f"bad-{number}:")
        name = f"bad_{number}" if name == "bad" else name  # the entry point's
        check = checks[f"plugin bad-{number}" if case.status == "ready" else f"teacher {name}"]
        harmless = case.status == "needs" or "sleep" in (case.body or "")
        assert check["status"] == ("ok" if harmless else "wrong"), check
        assert check["hint"] or "sleep" in (case.body or "")


def test_damaged_distributions(kivfm, install, plugins):
    install("good", GOOD)
    install("bad", "raise RuntimeError('no luck')", requires="foo (>=1.0.*)")
    install("half", GOOD.replace("good", "half"))
    (plugins / "half-1.0.dist-info" / "METADATA").unlink()  # half removed
    (listed,) = kivfm("teachers list --json")
    found = {e["name"]: e for e in json.loads(listed.out)["teachers"]}
    assert found["good/small"]["status"] == "ready"
    assert (found["bad"]["status"], "no luck" in found["bad"]["cause"]) == ("broken", True)
    assert found["half/small"]["distribution"] == "unknown"


def test_a_conflict_is_settled_by_the_configuration(kivfm, install, tmp_path):
    install("one", TRUNK.replace("SIZE", "1000"))
    install("two", TRUNK.replace("SIZE", "2000"))
    (tmp_path / "run.toml").write_text('teachers = ["two::good", "sam"]\n')
    bare, flag, file, based = kivfm(
        "compose --teachers good/small,sam",
        "compose --teachers two::good/small,sam --json",
        "compose --config run.toml --json",
        "compose --teachers two::good/small,sam --base two::good --json",
    )
    assert bare.code == 3 and "one::good/small or two::good/small" in bare.err
    assert json.loads(flag.out) == json.loads(file.out) == json.loads(based.out)
    assert json.loads(flag.out)["trunk"] == {
        "name": "good/small",
        "parameters": 2000,
        "pretrained": True,
    }


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
