"""A finished student is used and measured without any of the training engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from apart import distill_toys, start

SUPPORT = Path(__file__).parents[1] / "support"
ENGINE = ("kivfm_core.distillation", "lightning_fabric", "torch.utils.tensorboard")
SPY = f"""
import sys, toy
from kivfm_core.registry import registry
from kivfm_core.registry.entry import Entry
specs = (toy.BASE, toy.PURPOSE)
registry.discover = lambda: [Entry(spec.name, "kivfm", "1.0", spec=spec) for spec in specs]
from kivfm_cli.app import main
code = main(sys.argv[1:])
print("ENGINE", *[name for name in sys.modules if name.startswith({ENGINE!r})], file=sys.stderr)
sys.exit(code)
"""


def used(*words: str) -> str:
    """Runs a command in a process of its own; gives what it prints on stdout."""
    path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SPY, *words],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "ENGINE"
    return done.stdout


def test_predicting_and_evaluating_import_no_engine(values: dict, tmp_path: Path):
    run, images = tmp_path / "run", Path(values["data"]["path"])
    values["optim"]["steps"] = 1
    process = start(distill_toys, values, str(run))
    process.join()
    assert process.exitcode == 0
    labeled = tmp_path / "labeled"
    for name, file in (("disc", "00.png"), ("square", "02.png")):
        (labeled / name).mkdir(parents=True)
        (images / file).rename(labeled / name / file)
    image = str(images / "04.png")
    assert "toypurpose/small" in used(
        "predict", str(run), image, "--task", "classification", "--json"
    )
    told = used("evaluate", str(run), "--data", f"classification={labeled}")
    assert "top-1" in told and (run / "evaluation.json").is_file()
