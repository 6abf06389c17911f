"""A hub on this machine: it answers as the real one does, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = 40 * "f"


class FakeHub(ThreadingHTTPServer):
    """Serves `content` under every address; an address with `gated` in it asks for access first.

    Attributes:
        content: What every file holds.
        files: Names of the files in every repository, as its API lists them.
        asked: Method and path of every request.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b"weights"
        self.files: list[str] = []
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> bytes:
        """What lies at an address: of the API its record of a repository, or its files."""
        if not path.startswith("/api/"):
            return self.content
        if "/tree/" not in path:
            return json.dumps({"id": "org/name", "sha": COMMIT}).encode()
        record = {"type": "file", "size": len(self.content), "oid": 40 * "0"}
        return json.dumps([{**record, "path": name} for name in self.files]).encode()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_HEAD(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        gated = "gated" in self.path
        self.send_response(401 if gated else 200)
        if gated:
            self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("ETag", f'"{hashlib.sha256(self.server.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        length = 0 if gated else len(self.server.answer(self.path))
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        if "gated" not in self.path:
            self.wfile.write(self.server.answer(self.path))

    def log_message(self, format: str, *args: object) -> None:
        pass
