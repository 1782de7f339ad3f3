"""A model hub for tests: the part of the Hugging Face API that fetching a snapshot asks for, over folders.

with Hub({"org/model": {"main": folder}}) as hub:
    ...  # HF_ENDPOINT=hub.url; hub.fetched has the names of files whose bytes were asked for
"""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Hub:
    """Repositories by name, their revisions by name, as folders; a revision's commit is a hash of its
    name."""

    def __init__(self, repositories: dict[str, dict[str, Path]]) -> None:
        hub, self.fetched, self.repositories = self, list[str](), repositories

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def commit(self, revision: str) -> str:
        return hashlib.sha1(revision.encode()).hexdigest()

    def answer(self, request: Any, body: bool) -> None:
        path = request.path.partition("?")[0]
        if path.startswith("/api/models/"):
            what = "tree" if "/tree/" in path else "revision"
            name, _, revision = path.removeprefix("/api/models/").partition(f"/{what}/")
            return self._list(request, name, revision.strip("/") or "main", what)
        name, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        folder = self._folder(name, revision)
        if folder is None or not (folder / file).is_file():
            return self._send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
        data = (folder / file).read_bytes()
        if body:
            self.fetched.append(file)
        tag = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": self._commit(name, revision)}
        self._send(request, 200, data, tag, body)

    def _list(self, request: Any, name: str, revision: str, what: str) -> None:
        folder = self._folder(name, revision)
        if folder is None:
            code = "RevisionNotFound" if name in self.repositories else "RepoNotFound"
            return self._send(request, 404, b'{"error": "not here"}', {"X-Error-Code": code})
        files = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
        told: Any = [
            {"type": "file", "path": f, "size": (folder / f).stat().st_size, "oid": f} for f in files
        ]
        if what == "revision":
            siblings = [{"rfilename": file} for file in files]
            told = {"id": name, "sha": self._commit(name, revision), "siblings": siblings}
        self._send(request, 200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _folder(self, name: str, revision: str) -> Path | None:
        known = self.repositories.get(name, {})
        return next((f for r, f in known.items() if revision in (r, self.commit(name + r))), None)

    def _commit(self, name: str, revision: str) -> str:
        known = self.repositories[name]
        return self.commit(name + revision) if revision in known else revision

    def _send(
        self, request: Any, status: int, data: bytes, headers: dict[str, str], body: bool = True
    ) -> None:
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(key, value)
        request.end_headers()
        if body:
            request.wfile.write(data)
