"""Environments for peers: each in one of its own, its libraries apart from ours."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

# Seconds that an installation may take.
LIMIT = 600


def cache_folder() -> Path:
    """Where environments are kept from one measurement to the next, outside the repository."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "kivfm-benchmarks"


def install(peer: str, folder: Path) -> str:
    """Makes an environment with a peer in it, unless it is there.

    What the peer does not bring itself, torch above all, it takes from ours.

    Args:
        peer: Name of its distribution.
        folder: Of the environment.

    Returns:
        Why it cannot be had; empty if it can.
    """
    done = folder / "installed"
    if done.is_file():
        return ""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "zz-ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    words = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", peer]
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=LIMIT)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"{peer} was left out: it could not be installed ({type(error).__name__})."
    done.touch()
    return ""
