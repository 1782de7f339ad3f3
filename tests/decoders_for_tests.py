"""Decoders that fail in every way a decoder can, for the child process of data/formats/sandbox.py."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def fail(path: Path, how: str) -> Iterator[dict[str, Any]]:
    if how == "memory":
        bytearray(2**30)
    if how == "hang":
        time.sleep(60)
    if how == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "odd":
        raise AttributeError("a library's own bug")
    if how == "deep":
        fail_deeper()
    print("what a library prints is no answer")
    yield {"read": path.read_text()}


def fail_deeper() -> None:
    fail_deeper()
