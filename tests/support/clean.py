"""An environment as on a clean machine: it sees this one's packages, but none of ours.

So installing and removing is real, and takes seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

SHIM = '#!/bin/sh\nexec "{python}" -m {module} "$@"\n'
SHIMS = ("pip", "pytest")  # `kivfm` is there once it is installed


def make_environment(home: Path) -> dict[str, str]:
    """Makes a virtual environment in a folder.

    Returns:
        Environment variables under which a shell finds the environment's own commands.
    """
    venv.EnvBuilder(symlinks=True).create(home)
    python = home / "bin/python"
    others = home / "others"
    others.mkdir()
    for folder in (path for path in sys.path if path.endswith("site-packages")):
        for entry in Path(folder).iterdir():
            # A `.pth` file here is not read, so no editable package is seen either.
            if not entry.name.startswith("kivfm"):
                (others / entry.name).symlink_to(entry)
    (site,) = home.glob("lib/python3*/site-packages")
    (site / "others.pth").write_text(f"{others}\n")
    for name in SHIMS:
        (home / "bin" / name).write_text(SHIM.format(python=python, module=name))
        (home / "bin" / name).chmod(0o755)
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("PY")},
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        # What a package needs is here; to pip, 0 means that it is not to isolate builds.
        **{"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"},
        **{"KIVFM_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    }


def run(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Runs a command line that must succeed; returns what it printed."""
    found = subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True, capture_output=True
    )
    assert found.returncode == 0, f"{command}\n{found.stdout}\n{found.stderr}"
    return found.stdout
