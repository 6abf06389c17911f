"""`kivfm runs`: runs are listed, shown and deleted."""

import json
import os
import re

from kivfm_core.files import only_writer


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
