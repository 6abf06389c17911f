"""`kivfm doctor`: what is installed, what is missing, and the command that repairs it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer

from kivfm_cli.commands.plugins import describe_plugins
from kivfm_cli.lazy import make_app
from kivfm_cli.output import Json, print_json, print_table
from kivfm_core.registry.requirements import repair
from kivfm_core.text import size

app = make_app()
PACKAGES = ("kivfm", "torch", "torchvision", "timm", "open_clip_torch", "lightning-fabric")
Check = dict[str, Any]


@app.command()
def doctor(json: Json = False) -> None:
    """Check Python, packages, devices, disk, caches, the model hub and the plugins.

    The exit code is 1 if anything is wrong.
    """
    checks = [*_packages(), *_devices(), *_disk(), _hub(), *_plugins()]
    wrong = any(check["status"] == "wrong" for check in checks)
    if json:
        print_json({"ok": not wrong, "checks": checks})
    else:
        rows = [(check["what"], check["status"], check["found"]) for check in checks]
        print_table(("what", "status", "found"), rows)
        for check in checks:
            if check["hint"]:
                print(f"\n{check['what']}: {check['hint']}")
    raise typer.Exit(1 if wrong else 0)


def _check(what: str, found: str, hint: str = "", wrong: bool = False) -> Check:
    return {"what": what, "status": "wrong" if wrong else "ok", "found": found, "hint": hint}


def _packages() -> Iterator[Check]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield _check("python", found)
    for name in PACKAGES:
        try:
            yield _check(name, version(name))
        except PackageNotFoundError:
            yield _check(name, "not installed", f"pip install {name}", wrong=True)


def _devices() -> Iterator[Check]:
    yield _check("processors", str(os.cpu_count()))
    try:
        import torch
    except Exception as error:
        yield _check("devices", str(error), "pip install --force-reinstall torch", wrong=True)
        return
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    yield _check("devices", ", ".join(names) or "cpu only")


def _disk() -> Iterator[Check]:
    import platformdirs

    from kivfm_core.files import hub_cache
    from kivfm_core.weights.locate import torch_cache

    caches = {"cache": platformdirs.user_cache_path("kivfm"), "hub cache": hub_cache(),
              "torch cache": torch_cache()}  # fmt: skip
    for what, folder in caches.items():
        files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
        yield _check(what, f"{folder} ({size(sum(file.stat().st_size for file in files))})")
    free = shutil.disk_usage(Path.cwd()).free
    full = free < 2e9
    hint = f"free some space on the disk of {Path.cwd()}" if full else ""
    yield _check("disk", f"{size(free)} free here", hint, wrong=full)


def _hub() -> Check:
    from kivfm_core.weights import hub

    if hub.offline():
        return _check("hub", "not contacted: KIVFM_OFFLINE=1")
    reason = hub.why_unreachable()
    if reason is None:
        return _check("hub", "reachable")
    # Not an error: everything that is on this machine works without the hub.
    return _check("hub", f"out of reach: {reason}", "use --weights A=FILE, or the nano variants")


def _plugins() -> Iterator[Check]:
    for plugin in describe_plugins():
        name, spent = plugin["distribution"], f"loaded in {plugin['milliseconds']:.0f} ms"
        if plugin["heavy"]:
            hint = repair(name)
            found = f"{spent}; imports {plugin['heavy']} at discovery"
            yield _check(f"plugin {name}", found, hint, wrong=True)
        else:
            yield _check(f"plugin {name}", f"{plugin['version']}, {spent}")
        for problem in plugin["problems"]:
            # A missing optional package is no error: that teacher only cannot be selected.
            yield _check(f"teacher {problem['name']}", f"{problem['status']}: {problem['cause']}",
                         problem["hint"], wrong=problem["status"] != "needs")  # fmt: skip
