"""`kivfm compose`: the plan, and which settings win."""

import json
import re

import pytest
from two_teachers import TWO

import kivfm_core
from kivfm_core.config import build_config
from kivfm_core.planner import placement
from kivfm_core.planner.placement import Machine
from kivfm_core.planner.rates import Rates, save_rates


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
