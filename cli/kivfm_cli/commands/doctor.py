"""`kivfm doctor`: what is here, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Thread
from typing import Any

import typer

from kivfm_cli.commands.plugins import describe_plugins
from kivfm_cli.lazy import make_app
from kivfm_cli.output import Json, print_json, print_table
from kivfm_core.text import size

app = make_app()
PACKAGES = ("kivfm", "torch", "torchvision", "timm", "open_clip_torch", "lightning-fabric")
PATIENCE = 5.0  # seconds that the hub gets to answer
Check = dict[str, Any]


@app.command()
def doctor(json: Json = False) -> None:
    """Check Python, packages, devices, disk, caches, the hub and the plugins.

    Exit code 1 if anything is wrong.
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

    from kivfm_core.weights.locate import hub_cache, torch_cache

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
    from kivfm_core.weights.fetch import offline

    if offline():
        return _check("hub", "not asked: KIVFM_OFFLINE=1")
    answers: list[str] = []
    # In a thread, since looking up a name has no time limit of its own.
    asking = Thread(target=lambda: answers.append(_ask_hub()), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    found = answers[0] if answers else f"no answer in {PATIENCE:.0f} s"
    if found == "reachable":
        return _check("hub", found)
    # Not wrong: everything that is here works without it.
    return _check("hub", f"out of reach: {found}", "use --weights A=FILE, or the nano variants")


def _ask_hub() -> str:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    # The hub library's own variable: a mirror, for example.
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with urlopen(Request(address, method="HEAD"), timeout=PATIENCE):
            return "reachable"
    except HTTPError:
        return "reachable"  # it answers, if only that it minds the question
    except (OSError, ValueError) as error:
        return str(error)


def _plugins() -> Iterator[Check]:
    for plugin in describe_plugins():
        name, spent = plugin["distribution"], f"loaded in {plugin['milliseconds']:.0f} ms"
        if plugin["heavy"]:
            hint = f"pip install --upgrade {name}"
            found = f"{spent}; imports {plugin['heavy']} at discovery"
            yield _check(f"plugin {name}", found, hint, wrong=True)
        else:
            yield _check(f"plugin {name}", f"{plugin['version']}, {spent}")
        for problem in plugin["problems"]:
            # What lacks an optional package is not wrong; it only cannot be selected.
            yield _check(f"teacher {problem['name']}", f"{problem['status']}: {problem['cause']}",
                         problem["hint"], wrong=problem["status"] != "needs")  # fmt: skip
