"""A hub for tests: the part of the Hugging Face API that fetching a snapshot and `load_dataset` ask for, over
folders.

with Hub({"org/model": {"main": folder}, "datasets/org/rows": {"main": folder}}) as hub:
    ...  # HF_ENDPOINT=hub.url; hub.fetched has the names of files whose bytes were asked for
"""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs


class Hub:
    """Repositories by name, their revisions by name, as folders; a revision's commit is a hash of its
    name."""

    def __init__(self, repositories: dict[str, dict[str, Path]]) -> None:
        hub, self.fetched, self.repositories = self, list[str](), repositories
        self.heads: dict[str, str] = {}  # name -> the revision that main is now, after a push

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                hub.paths(self, parse_qs(sent.decode()).get("paths", []))

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
        path, _, query = request.path.partition("?")
        if path.startswith("/api/"):
            what = "tree" if "/tree/" in path else "revision"
            name, _, rest = _name(path).partition(f"/{what}/")
            revision, _, below = rest.strip("/").partition("/")
            return self._list(request, name, revision or "main", what, below, "recursive=True" in query)
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

    def paths(self, request: Any, paths: list[str]) -> None:
        """Those of the paths that there are."""
        name, _, revision = _name(request.path).partition("/paths-info/")
        folder = self._folder(name, revision)
        told = [] if folder is None else [_entry(folder, p) for p in paths if (folder / p).exists()]
        self._send(request, 200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _list(
        self, request: Any, name: str, revision: str, what: str, below: str = "", whole: bool = True
    ) -> None:
        folder = self._folder(name, revision)
        if folder is None or not (folder / below).is_dir():
            code = "RevisionNotFound" if name in self.repositories else "RepoNotFound"
            code = code if folder is None else "EntryNotFound"
            return self._send(request, 404, b'{"error": "not here"}', {"X-Error-Code": code})
        found = (folder / below).rglob("*") if whole or what == "revision" else (folder / below).iterdir()
        paths = [p.relative_to(folder).as_posix() for p in sorted(found)]
        told: Any = [_entry(folder, path) for path in paths]
        if what == "revision":
            siblings = [{"rfilename": path} for path in paths if (folder / path).is_file()]
            told = {"id": name.removeprefix("datasets/"), "sha": self._commit(name, revision)}
            told["siblings"] = siblings
        self._send(request, 200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _folder(self, name: str, revision: str) -> Path | None:
        revision = self.heads.get(name, revision) if revision == "main" else revision
        known = self.repositories.get(name, {})
        return next((f for r, f in known.items() if revision in (r, self.commit(name + r))), None)

    def _commit(self, name: str, revision: str) -> str:
        known = self.repositories[name]
        revision = self.heads.get(name, revision) if revision == "main" else revision
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


def _name(path: str) -> str:
    """What stands behind /api/ and, for models, behind models/: the key in `repositories`, and more."""
    return path.removeprefix("/api/").removeprefix("models/")


def _entry(folder: Path, path: str) -> dict[str, Any]:
    if (folder / path).is_dir():
        return {"type": "directory", "path": path, "oid": path}
    return {"type": "file", "path": path, "size": (folder / path).stat().st_size, "oid": path}
