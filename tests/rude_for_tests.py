"""The server that misbehaves (tests/servers/rude_server.py) as a process, and what it has seen."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medxiaohe.models.backends.openai_compatible import OpenAICompatible, openai_compatible

SCRIPT = Path(__file__).parent / "servers" / "rude_server.py"


@dataclass(frozen=True)
class Rude:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def seen(self) -> dict[str, list[int]]:
        """Item -> requests, and good answers that were sent whole."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen", timeout=60) as answer:
            return dict(json.load(answer))

    @property
    def good(self) -> int:
        return sum(good for _, good in self.seen().values())

    def model(self, **options: object) -> OpenAICompatible:
        usual = {"timeout": 2.0, "retries": 1, "first_wait": 0.01, "workers": 64}
        return openai_compatible("m", self.url, **{**usual, **options})  # type: ignore[arg-type]


@contextmanager
def started(port: int = 0, calm: bool = False) -> Iterator[Rude]:
    """A server on a port of its own choice, or on this one; a calm one answers everything."""
    words = [sys.executable, str(SCRIPT), str(port), *(["calm"] if calm else [])]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Rude(int(process.stdout.readline().split()[1]))
    finally:
        process.kill()
        process.wait()
