"""A hub on this machine: it answers as the real one does, and remembers what it was asked."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = 40 * "f"


class FakeHub(ThreadingHTTPServer):
    """Takes students that are pushed, and serves them; other addresses all hold `content`.

    An address with `gated` in it asks for access first, one with `missing` in it is not there, one
    with `locked` in it may be read and not written.

    Attributes:
        content: What every file holds that was not pushed.
        files: Names of the files in every repository that was not pushed, as its API lists them.
        asked: Method and path of every request.
        pushed: What was pushed: the files of every repository, by name.
        private: The repositories that only their owners see.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b"weights"
        self.files: list[str] = []
        self.asked: list[str] = []
        self.pushed: dict[str, dict[str, bytes]] = {}
        self.private: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> bytes | None:
        """What lies at an address: of the API its record of a repository, or its files."""
        parts = unquote(urlsplit(path).path).strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if api else parts[:2])
        files = self.pushed.get(name)
        if not api:
            # ORG/NAME/resolve/REVISION/FILE
            return self.content if files is None else files.get("/".join(parts[4:]))
        if "tree" not in parts[4:]:
            record = {"id": name, "sha": COMMIT, "private": name in self.private}
            return json.dumps(record).encode()
        held = dict.fromkeys(self.files, self.content) if files is None else files
        # A file's hash is no matter here: what is fetched is known by its ETag.
        records = [
            {"type": "file", "path": file, "size": len(data), "oid": _sha1(data)}
            for file, data in held.items()
        ]
        return json.dumps(records).encode()

    def take(self, path: str, body: bytes) -> dict[str, Any]:
        """Does what a POST or PUT wants."""
        parts = urlsplit(path).path.strip("/").split("/")
        if parts[:1] == ["lfs"]:
            self.blobs[parts[1]] = body
            return {}
        if "commit" in parts[4:5]:
            return self._commit("/".join(parts[2:4]), body)
        wanted = json.loads(body)
        if parts == ["api", "repos", "create"]:
            return self._create(wanted)
        if "preupload" in parts:
            modes = {True: "lfs", False: "regular"}
            return {"files": [
                {"path": f["path"], "uploadMode": modes[f["path"].endswith(".safetensors")],
                 "shouldIgnore": False}
                for f in wanted["files"]
            ]}  # fmt: skip
        if parts[-2:] == ["objects", "batch"]:
            return {"transfer": "basic", "objects": [
                {**o, "actions": {"upload": {"href": f"{self.address}/lfs/{o['oid']}"}}}
                for o in wanted["objects"]
            ]}  # fmt: skip
        return {"warnings": [], "errors": []}  # validate-yaml

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.pushed:
            return {"url": f"{self.address}/{name}", "error": "You already created this model repo"}
        self.pushed[name] = {}
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.private.add(name)
        return {"url": f"{self.address}/{name}", "name": name}

    def _commit(self, name: str, body: bytes) -> dict[str, Any]:
        files = self.pushed[name]
        for operation in map(json.loads, body.splitlines()):
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.blobs[value["oid"]]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        return {"commitUrl": f"{self.address}/{name}/commit/{COMMIT}", "commitOid": COMMIT}


def _sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.wfile.write(self._answer())

    def do_POST(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        body = self._read()
        if "locked" in self.path or b'"locked"' in body:
            return self._send(403, json.dumps({"error": "no write access"}).encode())
        found = self.server.take(self.path, body)
        self._send(409 if "error" in found else 200, json.dumps(found).encode())

    do_PUT = do_POST

    def _answer(self) -> bytes:
        """Sends all but the content, and returns that."""
        self.server.asked.append(f"{self.command} {self.path}")
        if "gated" in self.path:
            return self._head(401, b"", {"X-Error-Code": "GatedRepo"})
        found = None if "missing" in self.path else self.server.answer(self.path)
        if found is None:
            return self._head(404, b"", {"X-Error-Code": "RepoNotFound"})
        etag = hashlib.sha256(found if "/resolve/" in self.path else self.server.content)
        return self._head(200, found, {"ETag": f'"{etag.hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _head(self, status: int, content: bytes, headers: dict[str, str]) -> bytes:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        return content

    def _send(self, status: int, content: bytes) -> None:
        self.wfile.write(self._head(status, content, {"Content-Type": "application/json"}))

    def _read(self) -> bytes:
        """The body of a request: of a stated length, or in chunks."""
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:
        pass
