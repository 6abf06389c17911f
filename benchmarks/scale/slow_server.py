"""A file server that delays each answer: for HTTP, and for clients of S3 that read objects.

    python -m benchmarks.scale.slow_server FOLDER MILLISECONDS

It prints its port. A bucket is a folder in FOLDER. It serves ranges of bytes, but no lists.
"""

from __future__ import annotations

import re
import sys
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class Late(BaseHTTPRequestHandler):
    """Answers with a file, or a range of its bytes."""

    protocol_version = "HTTP/1.1"  # keeps connections, as stores do
    folder = Path()
    seconds = 0.0

    def setup(self) -> None:
        """Turns Nagle's algorithm off: nothing waits until a packet is full."""
        self.disable_nagle_algorithm = True
        super().setup()

    def do_HEAD(self) -> None:
        """Size and version."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """All bytes, or those of a range."""
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        time.sleep(self.seconds)
        file = self.folder / unquote(self.path.partition("?")[0]).lstrip("/")
        if not file.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size, start = file.stat().st_size, 0
        end = size
        if asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            start, end = int(asked[1]), min(size, int(asked[2]) + 1)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{size}"')
        self.send_header("Last-Modified", formatdate(file.stat().st_mtime, usegmt=True))
        self.end_headers()
        if with_body:
            with file.open("rb") as content:
                content.seek(start)
                self.wfile.write(content.read(end - start))

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def main() -> None:
    """Serves until it is ended."""
    Late.folder, Late.seconds = Path(sys.argv[1]), float(sys.argv[2]) / 1000
    server = ThreadingHTTPServer(("127.0.0.1", 0), Late)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
