"""The page's routes: each reads a request, and leaves the work to the session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from PIL import Image
from starlette.exceptions import HTTPException

from kivfm_core.errors import KivfmError, is_out_of_memory, one_line
from kivfm_core.playing.ask import Ask
from kivfm_core.playing.guard import Guard
from kivfm_core.playing.session import SMALL, Session, as_file
from kivfm_core.playing.uploads import MAX_BYTES, MAX_PIXELS, read_upload, too_many_bytes

PAGE = Path(__file__).parent / "page"
FILES = {"": "index.html", "style.css": "style.css", "play.js": "play.js", "icon.svg": "icon.svg"}


def make_app(session: Session) -> FastAPI:
    """The page of a session.

    Args:
        session: Whose model and images it shows.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _nothing_there)
    routes = _Routes(session)
    for name, file in FILES.items():
        app.add_api_route(f"/{name}", _file(PAGE / file), methods=["GET"])
    app.add_api_route("/model", routes.about, methods=["GET"])
    app.add_api_route("/samples/{index}", routes.sample, methods=["GET"])
    app.add_api_route("/image", routes.image, methods=["POST"])
    app.add_api_route("/predict", routes.predict, methods=["POST"])
    app.add_api_route("/features", routes.features, methods=["POST"])
    return app


class _Routes:
    """The routes, a method each."""

    def __init__(self, session: Session) -> None:
        self.session = session
        # An image takes memory while it is decoded: one at a time, however many are sent.
        self._decoding = Lock()

    async def about(self) -> Response:
        """What the page is built from."""
        limits = {"bytes": MAX_BYTES, "pixels": MAX_PIXELS}
        return await _answer(lambda: {**self.session.about(), "limits": limits})

    async def sample(self, index: int) -> Response:
        """A small version of an image to choose from."""

        def small() -> Image.Image:
            with self._decoding:
                image = self.session.sample(index)
            image.thumbnail((SMALL, SMALL))
            return image

        return await _answer(small)

    async def image(self, request: Request, ask: Annotated[Ask, Query()]) -> Response:
        """The image that is meant, as the model will see it: upright, and not too large."""
        content = await _body(request)
        return await _answer(lambda: self._image(ask, content))

    async def predict(self, request: Request, ask: Annotated[Ask, Query()]) -> Response:
        """What is found in the image that is meant."""
        content = await _body(request)
        return await _answer(lambda: self.session.predict(self._image(ask, content), ask))

    async def features(self, request: Request, ask: Annotated[Ask, Query()]) -> Response:
        """The features of the image that is meant, as colors."""
        content = await _body(request)
        return await _answer(lambda: self.session.features(self._image(ask, content), ask))

    def _image(self, ask: Ask, content: bytes | None) -> Image.Image:
        if content is None:
            raise too_many_bytes()
        with self._decoding:
            return read_upload(content) if ask.sample is None else self.session.sample(ask.sample)


def _file(path: Path) -> Callable[[], Any]:
    async def send() -> FileResponse:
        return FileResponse(path)

    return send


async def _body(request: Request) -> bytes | None:
    """What was sent, in memory; None if it is more than may be."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > MAX_BYTES:
        return None
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BYTES:
            return None
    return bytes(content)


async def _answer(work: Callable[[], dict[str, Any] | Image.Image]) -> Response:
    """What work gives, or the sentence that says why not: no error ends the server."""
    try:
        found = await run_in_threadpool(work)
    except KivfmError as error:
        return JSONResponse({"error": error.message}, 400)
    except Exception as error:  # of a model, a plugin or a decoder
        memory = is_out_of_memory(error)
        return JSONResponse({"error": "out of memory" if memory else one_line(error)}, 500)
    if isinstance(found, Image.Image):
        return Response(await run_in_threadpool(as_file, found), media_type="image/jpeg")
    return JSONResponse(found)


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return JSONResponse({"error": f"the request is malformed: {where}: {first['msg']}"}, 422)


async def _nothing_there(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{error.detail}".lower()}, error.status_code)
