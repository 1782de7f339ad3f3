"""No query with a patient in it reaches a search on another machine, in any mode but off."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import pytest

from medxiaohe.errors import PrivacyError
from medxiaohe.privacy import guard
from medxiaohe.retrieval.library import open_library
from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import ToolCall

FIRST = "James Mary Wei Aisha Olga Miguel Fatima Hans Priya Kenji".split()
LAST = "Hawthorne Okonkwo Petrov Castellanos Nakamura Lindqvist Abernathy Zielinski Banerjee Oyelaran".split()
STREETS = "Maple Birchwood Wellington Magnolia Kingsway".split()


def planted() -> list[tuple[str, str]]:
    """200 queries with something that names a patient, and that something."""
    random = Random(15)
    found = []
    for n in range(200):
        first, last = random.choice(FIRST), random.choice(LAST)
        digits = "".join(str(random.randrange(10)) for _ in range(9))
        secret, text = [
            (last, f"Mr. {first} {last} with dyspnoea, which antibiotic?"),
            (digits[:7], f"MRN {digits[:7]} creatinine 2.1 dose of vancomycin"),
            (f"555-{digits[:4]}", f"call the patient at 202-555-{digits[:4]} about warfarin"),
            (
                f"{first.lower()}.{last.lower()}@example.org",
                f"{first.lower()}.{last.lower()}@example.org has rash",
            ),
            (
                f"{digits[:3]}-{digits[3:5]}-{digits[5:]}",
                f"SSN {digits[:3]}-{digits[3:5]}-{digits[5:]} sepsis",
            ),
            (
                f"{digits[:3]} {STREETS[n % 5]} Street",
                f"lives at {digits[:3]} {STREETS[n % 5]} Street, asthma",
            ),
            (
                f"0{1 + n % 9}/{10 + n % 18}/19{40 + n % 50}",
                f"born 0{1 + n % 9}/{10 + n % 18}/19{40 + n % 50}, stroke",
            ),
            (last, f"Dear Dr {last}, fever after travel"),
        ][n % 8]
        found.append((secret, text))
    return found


class Heard(BaseHTTPRequestHandler):
    """Keeps every byte that arrives."""

    bodies: list[bytes] = []

    def do_POST(self) -> None:
        Heard.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        queries = json.loads(Heard.bodies[-1]).get("queries", [""])
        answer = json.dumps({"passages": [[{"id": "1", "text": "x"}] for _ in queries]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that the guard takes for another machine."""
    Heard.bodies = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Heard)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(guard, "is_loopback", lambda address: False)
    yield f"http://127.0.0.1:{server.server_port}/search"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("mode", ["local_only", "deid"])
def test_none_of_200_planted_strings_leaves(elsewhere: str, mode: str) -> None:
    refused = 0
    for _, text in planted():
        try:
            tools = open_tools(["search"], {"library": open_library("", elsewhere, mode)})
            call_tool(ToolCall("1", "search", {"query": text}), tools)
        except PrivacyError:
            refused += 1
    heard = b"\n".join(Heard.bodies).decode()
    leaked = [secret for secret, _ in planted() if secret in heard]
    assert not leaked and refused == 200 and not Heard.bodies


def test_the_same_strings_arrive_where_the_guard_is_off(elsewhere: str) -> None:
    """What the test above would see if something left."""
    tools = open_tools(["search"], {"library": open_library("", elsewhere, "off")})
    for _, text in planted():
        call_tool(ToolCall("1", "search", {"query": text}), tools)
    heard = b"\n".join(Heard.bodies).decode()
    assert sum(secret in heard for secret, _ in planted()) == 200


def test_a_service_that_turns_remote_after_it_was_opened_gets_nothing(
    elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(guard, "is_loopback", lambda address: True)
        tools = open_tools(["search"], {"library": open_library("", elsewhere, "local_only")})
    with pytest.raises(PrivacyError):
        call_tool(ToolCall("1", "search", {"query": planted()[0][1]}), tools)
    assert not Heard.bodies
