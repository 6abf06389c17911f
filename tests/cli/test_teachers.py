"""`kivfm teachers`: what is listed, shown and checked."""

import json
import re
import sys

import broken
import toy
from PIL import Image
from two_teachers import TWO

from kivfm_core.registry.registry import get_registry


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
