"""Toy runs in processes of their own, which can be killed; and that several make together."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

# Imported once, and not by every process.
PRELOADED = [
    "kivfm_core.distillation.engine",
    "kivfm_core.distillation.cache_build.build",
    "kivfm_core.evaluation.evaluate",
    "kivfm_core.prediction.predict",
    "kivfm_cli.app",
    "torch.utils.tensorboard.writer",
]

WRITES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")


def distill_toys(
    values: dict[str, Any],
    run: str,
    kill_at: int | None = None,
    place: tuple[int, int] = (0, 0),
) -> None:
    """Begins a run of toy teachers, or goes on with it.

    Args:
        values: Its configuration.
        run: The run folder.
        kill_at: Which of its writes to the run folder this process does not live to see.
        place: This process's number among those of the run, and the port where they meet.
    """
    from kivfm_core.config import RunConfig
    from kivfm_core.distillation.engine import distill

    _settle(Path(run).parent / "home", place)
    if kill_at is not None:
        die_at(kill_at, run)
    if all((Path(run) / name).exists() for name in ("config.toml", "composition.json")):
        distill(resume=run)
    else:
        distill(RunConfig.model_validate(values), out=run)


def build_toys(values: dict[str, Any], said: str, place: tuple[int, int]) -> None:
    """Fills a cache of toy teachers, in one of several processes.

    Args:
        values: The configuration of a run.
        said: The start of the name of a file that holds how many views a teacher saw at once.
        place: As `distill_toys` takes it.
    """
    from kivfm_core.config import RunConfig
    from kivfm_core.distillation.cache_build.build import build
    from kivfm_core.progress import Silent
    from kivfm_core.teacher import LoadedTeacher

    _settle(Path(said).parent / "home", place)
    encode, seen = LoadedTeacher.encode, list[int]()

    def watched(self: Any, images: Any, frames: Any) -> Any:
        seen.append(len(images))
        return encode(self, images, frames)

    LoadedTeacher.encode = watched
    build(RunConfig.model_validate(values), Silent())
    Path(f"{said}-{place[0]}").write_text(json.dumps(seen))


def _settle(home: Path, place: tuple[int, int]) -> None:
    """The toy teachers are installed, and this process is one of several."""
    import torch
    import toy

    from kivfm_core.registry import registry
    from kivfm_core.registry.entry import Entry

    torch.set_num_threads(1)
    os.environ["XDG_CACHE_HOME"] = str(home)
    specs = (toy.BASE, toy.PURPOSE)
    registry.discover = lambda: [Entry(spec.name, "kivfm", "1.0", spec=spec) for spec in specs]
    _take(place)


def _take(place: tuple[int, int]) -> None:
    if place[1]:
        rank, port = map(str, place)
        os.environ |= {"LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def take_place(values: dict[str, Any], run: str, mark: str) -> None:
    """As `distill_toys`, but stops for good once its teachers are being loaded.

    Args:
        values: The run's configuration.
        run: The run folder.
        mark: The file that appears then.
    """
    from kivfm_core.distillation import engine

    def wait(*_: object) -> None:
        Path(mark).write_text("")
        time.sleep(600)

    engine.prepare = wait
    distill_toys(values, run)


def command(
    words: list[str],
    cwd: str,
    kill_at: int | None = None,
    said: str = "said",
    place: tuple[int, int] = (0, 0),
) -> None:
    """Runs a command of kivfm, and leaves with its exit code.

    Args:
        words: After the program's name.
        cwd: Where.
        kill_at: Which of its writes this process does not live to see.
        said: The file that holds what it says.
        place: As `distill_toys` takes it; its number is added to the name of the file.
    """
    import torch

    from kivfm_cli.app import main

    torch.set_num_threads(1)
    _take(place)
    os.chdir(cwd)
    os.environ["XDG_CACHE_HOME"] = str(Path(cwd) / "home")
    said += f"-{place[0]}" if place[1] else ""
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (1, 2):
        os.dup2(handle, stream)
    if kill_at is not None:
        die_at(kill_at, "")
    code = main(words)
    sys.stdout.flush()
    os._exit(code)


def die_at(count: int, folder: str) -> None:
    """This process dies, as by a power cut, at one of its writes below a folder."""
    left = count

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        written = event in WRITES or (event == "open" and _writes(args))
        if written and str(args[0]).startswith(folder):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _writes(args: tuple[Any, ...]) -> bool:
    """Whether a file is opened to be written to; `os.open` names no mode."""
    mode, flags = args[1:3]
    return str(mode)[0] in "wax" if mode else bool(flags & (os.O_WRONLY | os.O_RDWR))


def start(target: Callable[..., None], *args: Any) -> BaseProcess:
    """Starts a process, with what takes long to import imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=target, args=args)
    process.start()
    return process


def distill_together(values: dict[str, Any], run: Path, count: int, code: int = 0) -> None:
    """Begins a run of toy teachers, or goes on with it, in several processes.

    Args:
        values: Its configuration.
        run: The run folder.
        count: How many processes.
        code: With which each of them ends.
    """
    together(distill_toys, values, str(run), None, count=count, code=code)


def together(target: Callable[..., None], *args: Any, count: int = 2, code: int = 0) -> None:
    """Runs something in several processes that meet each other.

    Args:
        target: Called with the arguments, and with the process's number and the port.
        args: The arguments.
        count: How many processes.
        code: With which each of them ends.
    """
    port = free_port()
    ranks = [start(target, *args, (rank, port)) for rank in range(count)]
    for process in ranks:
        process.join()
        assert process.exitcode == code
        process.close()


def free_port() -> int:
    """A free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
