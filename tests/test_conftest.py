"""The rails under the other tests hold."""

import socket
from pathlib import Path

import conftest
import pytest


def test_a_connection_beyond_this_machine_raises() -> None:
    with pytest.raises(RuntimeError, match="a test tried to look up"):
        socket.create_connection(("example.org", 443), timeout=1)
    with socket.socket() as plain, pytest.raises(RuntimeError, match="a test tried to reach"):
        plain.connect(("192.0.2.1", 443))


def test_a_connection_on_this_machine_works() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5),
    ):
        pass


def test_the_tiny_model_reloads_with_a_real_processor(tiny_vlm: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_vlm)
    assert processor.image_processor is not None and processor.chat_template
    assert AutoModelForImageTextToText.from_pretrained(tiny_vlm).num_parameters() < 200_000


def test_a_test_is_skipped_when_its_assets_are_missing() -> None:
    assert conftest.missing_assets("no_such_asset") == ["no_such_asset"]


@pytest.mark.filled_cache("mondo")
def test_a_test_runs_when_its_assets_are_here() -> None:
    assert conftest.missing_assets("mondo") == []
