"""The check of discovery, in a process of its own, since everything is imported already here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from kivfm_core.errors import KivfmError
from kivfm_core.registry.registry import get_registry
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject

# Milliseconds that a plugin may take in a process that has imported `kivfm_core.spec`.
LIMIT = 50.0
# The fastest try counts, since other work on the machine slows the others.
TRIES = 5
CODE = """
import json
from kivfm_core.registry.discovery import discover
print(json.dumps([[e.name, e.distribution, e.milliseconds, e.heavy] for e in discover()]))
"""


def discovery(subject: Subject) -> None:
    """Discovery imports nothing heavy and takes under 50 ms."""
    name = subject.spec.name
    try:
        spec, entry = get_registry().find(name)
    except KivfmError as error:
        raise NotChecked(f"{name} is not installed: {error.message}", "pip install -e .") from error
    if spec != subject.spec:
        raise NotChecked(f"what is installed as {name} is another spec", "pip install -e .")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                   "KIVFM_PLUGINS": entry.distribution}  # fmt: skip
    quickest = float("inf")
    for _ in range(TRIES):
        text = subprocess.check_output([sys.executable, "-c", CODE], env=environment, text=True)
        # The last line: what comes before it was printed by plugins.
        found = {(name, owner): rest for name, owner, *rest in json.loads(text.splitlines()[-1])}
        spent, heavy = found[entry.bare, entry.distribution]
        if heavy:
            raise Finding(
                f"discovery imports {heavy}",
                "keep plugin.py to data: move the import into the module that references name",
            )
        quickest = min(quickest, spent)
        if quickest < LIMIT:
            return
    raise Finding(
        f"discovery takes {quickest:.0f} ms, the limit is {LIMIT:.0f}",
        "keep plugin.py to data; python -X importtime -c 'import MODULE' says what takes the time",
    )
