"""A real browser for tests: Chromium without a window, driven over its own protocol with the standard
library."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-port=0",
)


def executable() -> str:
    """The path of a Chromium, or "" where none is installed."""
    return next(filter(None, map(shutil.which, NAMES)), "")


def axe() -> Path | None:
    """axe.min.js of the npm package axe-core, which MEDXIAOHE_AXE names: it is not shipped."""
    path = Path(os.environ.get("MEDXIAOHE_AXE", ""))
    return path if path.is_file() else None


class Browser:
    """One tab."""

    def __init__(self, address: str):
        host, _, path = address.removeprefix("ws://").partition("/")
        name, _, port = host.partition(":")
        self._socket = socket.create_connection((name, int(port)), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._socket.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        while self._file.readline().strip():
            pass
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._send(json.dumps({"id": self._number, "method": method, "params": parameters}).encode())
        while True:
            said = json.loads(self._receive())
            if said.get("id") == self._number:
                assert "error" not in said, said
                return said["result"]
            self.events.append(said)

    def do(self, script: str) -> Any:
        """The value of an expression in the page."""
        said = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def open(self, address: str, *, width: int = 1280, height: int = 1400, dark: bool = False) -> float:
        """Load a page and wait until it says that it is ready; the seconds that took."""
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Network.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url="about:blank")
        start = time.monotonic()
        self.call("Page.navigate", url=address)
        while not self.do("document.documentElement?.dataset.ready === 'yes'"):
            assert time.monotonic() - start < 60, "the page did not get ready"
            time.sleep(0.05)
        return time.monotonic() - start

    def violations(self, script: Path) -> list[str]:
        """What axe-core finds wrong with the page as it is shown, each with the first element."""
        self.do(script.read_text(encoding="utf-8") + ";0")
        rows = self.do("axe.run().then((r) => r.violations.map((v) => `${v.id}: ${v.nodes[0].html}`))")
        assert isinstance(rows, list)
        return rows

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _send(self, data: bytes) -> None:
        mask = os.urandom(4)
        size = len(data)
        length = bytes([0x80 | min(size, 125)])
        if size > 125:
            length = b"\xfe" + size.to_bytes(2, "big") if size < 65536 else b"\xff" + size.to_bytes(8, "big")
        self._socket.sendall(
            b"\x81" + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        )

    def _receive(self) -> bytes:
        whole = b""
        while True:
            first, second = self._file.read(2)
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(self._file.read(2 if size == 126 else 8), "big")
            whole += self._file.read(size)
            if first & 0x80:
                return whole


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """`folder` is for the profile and is left behind."""
    process = subprocess.Popen(
        [executable(), *FLAGS, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = folder / "DevToolsActivePort"
        for _ in range(600):
            if port.is_file() and port.read_text().strip():
                break
            time.sleep(0.05)
        number = port.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{number}/json/list", timeout=30) as answer:
            tabs = json.load(answer)
        yield Browser(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
    finally:
        process.terminate()
        process.wait(30)
