"""Three more nano teachers, so that there are eight.

The same architectures, trained by the same recipes from another seed, each mostly on another domain
than the first of its family.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.common import ROOT
from benchmarks.plugin import write_plugin
from kivfm_core.registry.registry import get_registry
from kivfm_core.spec import TeacherSpec

# The domain that each mostly saw in training, by family.
DOMAINS = {"detector": "paper", "segmenter": "flat", "clip": "painted"}
EXTRA_TEACHERS = tuple(f"{family}/nano-{domain}" for family, domain in DOMAINS.items())
NAME = "benchmark_extra_teachers"
SEED = 1


def provide_extra_teachers(root: Path) -> None:
    """Trains those that were not trained yet, and lets this process and its workers find them.

    Args:
        root: Where they are stored.
    """
    weights = root / NAME / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    for family, domain in DOMAINS.items():
        file = weights / _file(family)
        if file.is_file():
            continue
        aside = file.with_suffix(".part")
        words = ["--seed", str(SEED), "--favorite", domain, "--out", str(aside.resolve())]
        command = [sys.executable, "-m", f"training.{family}", *words]
        subprocess.run(command, cwd=ROOT / "plugins/kivfm-nano", check=True)
        aside.replace(file)
    write_plugin(root, NAME, extra_specs())
    sys.path.append(str(root.resolve()))
    get_registry.cache_clear()


def extra_specs() -> list[TeacherSpec]:
    """Their specs: those of the first of each family, with other weights."""
    return [_spec(family, name) for family, name in zip(DOMAINS, EXTRA_TEACHERS, strict=True)]


def _spec(family: str, name: str) -> TeacherSpec:
    first = get_registry().resolve(f"{family}/nano")
    source = f"package:{NAME}/weights/{_file(family)}"
    changed = {"source": source, "sha256": None, "bytes": None, "golden": {}}
    weights = first.weights.model_copy(update=changed)
    return first.model_copy(update={"name": name, "aliases": (), "weights": weights})


def _file(family: str) -> str:
    return f"{family}-{DOMAINS[family]}.safetensors"
