"""`kivfm doctor`: what is here, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer

from kivfm_cli.group import make_app
from kivfm_cli.output import Json, print_json, print_table, size

app = make_app()
PACKAGES = ("kivfm", "torch", "torchvision", "timm", "open_clip_torch", "lightning-fabric")
HUB = ("huggingface.co", 443)


@app.command()
def doctor(json: Json = False) -> None:
    """Check Python, packages, devices, disk, caches, the hub and the plugins.

    Exit code 1 if anything is wrong.
    """
    checks = [*_python(), *_packages(), *_devices(), *_disk(), *_hub(), *_plugins()]
    wrong = [check for check in checks if check["status"] == "wrong"]
    if json:
        print_json({"ok": not wrong, "checks": checks})
    else:
        rows = [(c["what"], c["status"], c["found"]) for c in checks]
        print_table(("what", "status", "found"), rows)
        for check in wrong:
            print(f"\n{check['what']}: {check['hint']}")
    raise typer.Exit(1 if wrong else 0)


def _check(what: str, found: str, hint: str = "", ok: bool = True) -> dict[str, Any]:
    return {"what": what, "status": "ok" if ok else "wrong", "found": found, "hint": hint}


def _python() -> Iterator[dict[str, Any]]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield _check("python", found, "install Python 3.11 or newer", sys.version_info >= (3, 11))


def _packages() -> Iterator[dict[str, Any]]:
    for name in PACKAGES:
        try:
            yield _check(name, version(name))
        except PackageNotFoundError:
            yield _check(name, "not installed", f"pip install {name}", ok=False)


def _devices() -> Iterator[dict[str, Any]]:
    yield _check("processors", str(os.cpu_count()))
    try:
        import torch
    except Exception as error:
        yield _check("devices", str(error), "pip install --force-reinstall torch", ok=False)
        return
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    yield _check("devices", ", ".join(names) or "cpu only")


def _disk() -> Iterator[dict[str, Any]]:
    import platformdirs

    from kivfm_core.locate import hub_cache, torch_cache

    caches = {"cache": platformdirs.user_cache_path("kivfm"), "hub cache": hub_cache(),
              "torch cache": torch_cache()}  # fmt: skip
    for what, folder in caches.items():
        files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
        yield _check(what, f"{folder} ({size(sum(file.stat().st_size for file in files))})")
    free = shutil.disk_usage(Path.cwd()).free
    hint = f"free some space on the disk of {Path.cwd()}"
    yield _check("disk", f"{size(free)} free here", hint, ok=free > 2e9)


def _hub() -> Iterator[dict[str, Any]]:
    if os.environ.get("KIVFM_OFFLINE") == "1":
        yield _check("hub", "not asked: KIVFM_OFFLINE=1")
        return
    try:
        socket.create_connection(HUB, timeout=3).close()
        yield _check("hub", "reachable")
    except OSError as error:
        # Not wrong: everything that is here works without it.
        yield _check("hub", f"out of reach ({error}); use --weights A=FILE, or the nano variants")


def _plugins() -> Iterator[dict[str, Any]]:
    from kivfm_core.registry import list_teachers

    for entry in list_teachers():
        if entry.cause:
            yield _check(f"teacher {entry.name}", f"{entry.status}: {entry.cause}", entry.hint,
                         ok=entry.status == "needs")  # fmt: skip
        elif entry.heavy:
            yield _check(f"teacher {entry.name}", f"imports {entry.heavy} at discovery",
                         f"pip install --upgrade {entry.distribution}", ok=False)  # fmt: skip
    slow: dict[str, float] = {}
    for entry in list_teachers():
        slow[entry.distribution] = max(slow.get(entry.distribution, 0), entry.milliseconds)
    for name, milliseconds in slow.items():
        yield _check(f"plugin {name}", f"slowest entry point {milliseconds:.0f} ms")
