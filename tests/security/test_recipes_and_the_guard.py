"""A recipe opens no door by itself: other machines and secrets of the environment need the user's word."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from medxiaohe import permission
from medxiaohe.cli import main
from medxiaohe.data.readers.hub import hub
from medxiaohe.errors import CodeRefused, ConfigError, PrivacyError
from medxiaohe.models.backends.openai_compatible import openai_compatible
from medxiaohe.models.hub import OFFLINE
from medxiaohe.privacy import guard
from medxiaohe.retrieval.service import Service
from medxiaohe.scoring.judges import use
from medxiaohe.tasks import _rows
from medxiaohe.train.loop import trackers

MODES = ("local_only", "deid", "off")
ELSEWHERE = ("http://10.0.0.7:8000/v1", "https://models.example/v1", "http://hospital.internal/v1")
DISGUISED = (
    "http://[::1].evil/v1", "http://127.0.0.1.evil.com/v1", "http://127.0.0.1@evil.com/v1", "http://2130706433/v1",
    "http://0x7f000001/v1", "http://0177.0.0.1/v1", "http://127.1/v1", "http://localhost.evil.com/v1",
    "http://ⓛocalhost/v1", "http://evil.com#127.0.0.1/v1", "http://evil.com\\@127.0.0.1/v1", "http://[::ffff:8.8.8.8]/v1",
)  # fmt: skip


@pytest.fixture
def from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line sets before a verb runs, without --allow-host."""
    monkeypatch.setenv(guard.HOSTS, "")


@pytest.mark.usefixtures("from_the_command_line")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("url", ELSEWHERE)
def test_no_mode_of_a_recipe_reaches_another_machine(url: str, mode: str) -> None:
    name = url.split("/")[2]
    for open_it in (
        lambda: openai_compatible("m", url, privacy=mode),
        lambda: use.make(use.JudgeSettings("m", options={"url": url, "privacy": mode}, cache="none")),
        lambda: Service(url, mode),
    ):
        with pytest.raises(PrivacyError, match=f"--allow-host {name}"):
            open_it()


@pytest.mark.parametrize("url", DISGUISED)
@pytest.mark.parametrize("hosts", [None, "", "evil.com,[::1].evil,127.0.0.1.evil.com"])
def test_a_disguised_address_is_never_this_machine(
    url: str, hosts: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hosts is not None:
        monkeypatch.setenv(guard.HOSTS, hosts)
    if "127.0.0.1.evil" in url and hosts:
        assert not guard.check(url, "local_only", False, "a question").local
        return
    with pytest.raises(PrivacyError):
        guard.check(url, "local_only", False, "a question")


@pytest.mark.parametrize(
    ("named", "url", "open_"),
    [
        ("10.0.0.7", "http://10.0.0.7:8000/v1", True),
        ("10.0.0.7:8000", "http://10.0.0.7:8000/v1", True),
        ("10.0.0.7:8001", "http://10.0.0.7:8000/v1", False),
        ("10.0.0.7", "http://10.0.0.70:8000/v1", False),
        ("models.example", "https://models.example/v1", True),
        ("models.example", "https://evil.models.example/v1", False),
        ("models.example", "https://models.example.evil/v1", False),
        ("MODELS.example", "https://models.example/v1", True),
    ],
)
def test_the_user_lets_in_a_host_by_its_name_and_no_other(
    named: str, url: str, open_: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(guard.HOSTS, "")
    guard.restrict([named])
    if open_:
        assert guard.check(url, "local_only", False, "a question").host == url.split("/")[2].split(":")[0]
        with pytest.raises(PrivacyError, match="de-identification"):
            guard.check(url, "deid", False, "a question")
    else:
        with pytest.raises(PrivacyError):
            guard.check(url, "off", False, "a question")


@pytest.mark.parametrize("name", ["http://a.b", "a b", "user@host", "a.b/path", "", "*", "0x7f.1"])
def test_what_is_no_host_cannot_be_let_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.HOSTS, "")
    with pytest.raises(PrivacyError):
        guard.restrict([name])


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A server that counts who connects."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stop = threading.Event()

        def listen() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                connection.settimeout(1)
                with connection:
                    heard.append(connection.recv(4096))
                    connection.sendall(
                        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"
                    )

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], heard
        stop.set()
        thread.join()


def recipe(folder: Path, options: dict[str, object], **params: str) -> Path:
    path = folder / "recipe.yaml"
    stage = {
        "uses": "evals.run",
        "with": {
            "model": "m",
            "backend": "openai_compatible",
            "options": options,
            "tasks": [{"name": "yes_no_demo"}],
        },
    }
    path.write_text(
        yaml.safe_dump({"name": "r", "out": str(folder / "out"), "params": params, "stages": {"s": stage}})
    )
    return path


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "HOME", "MEDXIAOHE_DEID_KEY", "SOME_API_KEY"])
def test_a_recipe_puts_no_secret_of_the_environment_into_an_address(
    tmp_path: Path, name: str, listener: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    port, heard = listener
    monkeypatch.setenv(name, "s3cret")
    path = recipe(tmp_path, {"url": f"http://127.0.0.1:{port}/${{env:{name}}}/v1"})
    assert main(["run", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"--allow-env {name}" in said and "s3cret" not in said
    assert heard == []


def test_a_key_is_only_taken_from_a_variable_that_is_named_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_SECRET", "s3cret")
    with pytest.raises(CodeRefused, match="--allow-env HOME_SECRET"):
        openai_compatible("m", "http://127.0.0.1:1/v1", api_key_env="HOME_SECRET")
    monkeypatch.setenv(permission.READABLE, "HOME_SECRET")
    assert openai_compatible("m", "http://127.0.0.1:1/v1", api_key_env="HOME_SECRET")


def test_a_redirect_is_not_followed(listener: tuple[int, list[bytes]]) -> None:
    port, heard = listener
    model = openai_compatible("m", f"http://127.0.0.1:{port}/v1", retries=0)
    from medxiaohe.errors import ModelError
    from medxiaohe.types import Message

    with pytest.raises(ModelError, match="302"):
        model.reply([[Message("user", ("hello",))]])
    assert len(heard) == 1


@pytest.mark.parametrize("name", ["codecarbon", "wandb", "comet_ml", "neptune", "dvclive", "swanlab"])
def test_a_recipe_switches_on_no_tracker_that_talks_to_others(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    monkeypatch.delenv(trackers.ALLOWED, raising=False)
    with pytest.raises(ConfigError, match=rf"{trackers.ALLOWED}=remote|no tracker"):
        trackers.checked([name])


@pytest.mark.parametrize(
    "name", ["http://evil/x", "../../no_such_folder", "a/b?token=1", "John Smith has cancer", "a/b/c/d"]
)
def test_only_public_names_are_asked_of_a_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    for key in OFFLINE:
        monkeypatch.delenv(key, raising=False)
    with pytest.raises(PrivacyError):
        list(hub(Path(f"hub:{name}") if "//" not in name else f"hub:{name}"))  # type: ignore[arg-type]
    with pytest.raises(PrivacyError):
        _rows.hub(name, "test")


def test_libraries_of_the_hub_are_told_not_to_report() -> None:
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1" and os.environ["DO_NOT_TRACK"] == "1"
