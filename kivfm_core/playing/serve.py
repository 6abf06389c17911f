"""Runs the page: its port, its server, and its end."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kivfm_core.data.unlabeled import Images, find_images
from kivfm_core.errors import KivfmError, UsageError, printable

if TYPE_CHECKING:
    from kivfm_core.models.model import Model

# Of this machine alone.
HOST = "127.0.0.1"
# Taken if it is free, so that a bookmark or a forwarded port stays.
PORT = 7860


def play(
    model: Model,
    data: Path | None = None,
    *,
    port: int | None = None,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serves the page of a model until it is interrupted.

    Args:
        model: The model.
        data: A folder of images to choose from; by default those of the model's run.
        port: Of the page; by default 7860, or any free one.
        browser: Open the page in this machine's browser, if there is a screen.
        say: Gets a line of text for the user.

    Raises:
        UsageError: If the port is taken.
        DataError: If there are no images in the folder.
        KivfmError: If FastAPI or uvicorn is missing, or the model's weights cannot be loaded.
    """
    check_installed()
    listener = listen(port)
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    images = images_of(model, data, say)
    model.load()
    # An extra: only those who play have them.
    import uvicorn

    # They import torch, and that extra; a port that is taken is said before.
    from kivfm_core.playing.app import make_app
    from kivfm_core.playing.session import Session

    config = uvicorn.Config(
        make_app(Session(model, images)), log_level="error", access_log=False,
        server_header=False, lifespan="off", ws="none",
    )  # fmt: skip
    say(f"open {url} in a browser; Ctrl-C ends it")
    if browser and _has_screen():
        webbrowser.open(url)
    server = uvicorn.Server(config)
    server.handle_exit = lambda sig, frame: _end()
    server.run(sockets=[listener])


def _end() -> None:
    """Ends the program at once: nothing is to be saved, and a decoder cannot be interrupted."""
    sys.stdout.flush()
    os._exit(0)


def check_installed() -> None:
    """Refuses to begin without what serves the page.

    Raises:
        KivfmError: If it is missing.
    """
    for package in ("fastapi", "uvicorn"):
        if find_spec(package) is None:
            raise KivfmError(f"{package} is not installed", "pip install 'kivfm[play]'")


def listen(port: int | None) -> socket.socket:
    """A socket on this machine alone.

    Args:
        port: Its port; None for 7860, or any free one.

    Raises:
        UsageError: If the port is taken.
    """
    why = ""
    for number in (PORT, 0) if port is None else (port,):
        listener = socket.socket()
        if os.name != "nt":  # there it would let two programs have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, number))
            listener.listen()
            return listener
        except OSError as error:
            listener.close()
            why = error.strerror or str(error)
    raise UsageError(f"port {port} cannot be had: {why}", "leave out --port, or take another")


def images_of(model: Model, data: Path | None, say: Callable[[str], None]) -> Images | None:
    """The images to choose from: those given, or those of the model's run if they are still here.

    Args:
        model: The model.
        data: The folder that is given.
        say: Gets a line of text if the run's images are not here.

    Raises:
        DataError: If there are none in the folder that is given.
    """
    if data is not None:
        return find_images(data)
    path = model.run.config.data.path if model.run else None
    if path is None:
        return None
    try:
        return find_images(Path(path))
    except KivfmError:
        say(f"the run's images are not here any more: {printable(path)}")
        return None


def _has_screen() -> bool:
    """Whether a browser can show itself; without, one for terminals would take this one."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
