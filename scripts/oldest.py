"""Runs tests with the oldest versions that pyproject.toml allows, in a throwaway environment.

    python scripts/oldest.py [--venv /tmp/oldest] [--keep] [--list] [PYTEST ARGUMENTS]

Of every requirement with a lower bound (dependencies, the extras below, and those of the plugins)
exactly that version is installed; what these need besides is what pip chooses. Without arguments
the fast unit tests run. `--keep` uses an environment that is there; `--list` prints the versions.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from pathlib import Path
from shutil import rmtree

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
# Without onnx, which needs a newer torch.
EXTRAS = ("faiss", "mlflow", "parquet", "probe", "report", "sam", "urls", "wandb")
# It needs a newer huggingface_hub than kivfm does, since transformers 5 does.
APART = ("kivfm-transformers",)
# What runs the tests is no promise to users: its newest versions do.
BUILD = ("editables", "hatchling")
TOOLS = ("hypothesis", "pytest", "pytest-timeout", "pycocotools")
# An old library uses what the newest version of another one deprecates.
QUIET = ("-W", "ignore::DeprecationWarning")
TESTS = ("tests/unit", "--ignore", "tests/unit/exports", "-m", "not slow", "-q", "--timeout", "600")


def main() -> int:
    """Installs and tests."""
    parser = argparse.ArgumentParser(prog="python scripts/oldest.py", description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path("/tmp/oldest"))
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--list", action="store_true")
    args, tests = parser.parse_known_args()
    oldest = bounds()
    if args.list:
        print("\n".join(oldest))
        return 0
    if not args.keep:
        venv.create(args.venv, clear=True, with_pip=True)
        install(args.venv, oldest)
    run = [str(args.venv / "bin/python"), "-m", "pytest", *QUIET, *(tests or TESTS)]
    return subprocess.run(run, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode


def projects() -> list[Path]:
    """The folders of kivfm and its plugins."""
    found = sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))
    return [ROOT, *(folder for folder in found if folder.name not in APART)]


def bounds() -> list[str]:
    """The oldest versions, as pip takes them for constraints."""
    texts: list[str] = []
    for folder in projects():
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        extras = project.get("optional-dependencies", {})
        texts += project["dependencies"]
        texts += [text for name in EXTRAS for text in extras.get(name, ())]
    found: dict[str, Version] = {}
    for requirement in map(Requirement, texts):
        name, lower = requirement.name, [x for x in requirement.specifier if x.operator == ">="]
        if lower and not name.startswith("kivfm"):  # ours are those of the clone
            asked = Version(lower[0].version)
            found[name] = max(found.get(name, asked), asked)  # they share one environment
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def install(place: Path, oldest: Iterable[str]) -> None:
    """Installs kivfm, its plugins and the tools, at the oldest versions."""
    constraints = place / "oldest.txt"
    constraints.write_text("\n".join(oldest) + "\n")
    extras = f"[{','.join(EXTRAS)}]"
    ours = [part for i, folder in enumerate(projects())
            for part in ("-e", f"{folder}{'' if i else extras}")]  # fmt: skip
    pip = [str(place / "bin/python"), "-m", "pip", "install", "-q", "-c", str(constraints)]
    subprocess.run([*pip, *BUILD], check=True)
    subprocess.run([*pip, "--no-build-isolation", *ours, *TOOLS], check=True)
    for folder in place.glob("lib/*/site-packages/benchmarks"):  # another package's, by mistake
        rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
