"""The MCP server and client, with the SDK's own client and real processes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from medxiaohe.errors import CodeRefused, ConfigError, PrivacyError
from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import ToolCall

pytest.importorskip("mcp")
import anyio
from mcp import Client, StdioServerParameters

SERVE = [sys.executable, "-m", "medxiaohe", "tools", "serve", "--tools"]
OURS = "calculate,calculators,zoom,detect"
ANION = {"name": "anion_gap", "inputs": ["sodium: 140", "chloride: 100", "bicarbonate: 24"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from PIL import Image

    from medxiaohe.tools.vision.drawn import smear

    Image.fromarray(smear()).save(tmp_path / "smear.png")
    (tmp_path / "outside").mkdir()
    return tmp_path


def asked(server: Any, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """Names of the tools, and results of calls, of the SDK's client."""

    async def run() -> tuple[list[str], list[Any]]:
        async with Client(server) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            return names, [await client.call_tool(name, arguments) for name, arguments in calls]

    return anyio.run(run)


def stdio(*more: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=SERVE[0], args=[*SERVE[1:], OURS, *more], env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )


def test_over_stdin_and_stdout_the_client_of_the_sdk_lists_and_calls_tools(folder: Path) -> None:
    names, (gap, missing, box, away) = asked(
        stdio("--images", str(folder)),
        ("calculators", ANION),
        ("calculate", {}),
        ("detect", {"image": 1, "files": ["smear.png"]}),
        ("zoom", {"image": 1, "left": 0, "top": 0, "right": 50, "bottom": 50, "files": ["../../etc/hosts"]}),
    )
    assert set(names) == set(OURS.split(","))
    assert "Anion gap: 16.0 mEq/L" in gap.content[0].text and not gap.is_error
    assert gap.structured_content["data"]["value"] == 16.0
    assert missing.is_error and "needs the parameter expression" in missing.content[0].text
    assert "2 white cells" in box.content[0].text
    assert away.is_error and "no image" in away.content[0].text


def test_without_images_only_tools_that_need_none_are_offered() -> None:
    names, _ = asked(stdio())
    assert set(names) == {"calculate", "calculators"}


@pytest.fixture
def address() -> Iterator[str]:
    """A server of tools over HTTP in a process of its own."""
    with serving(*SERVE, "calculate,calculators", "--http") as found:
        yield found


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """The address of a process that serves MCP at the port that is its last argument."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(240):
            if process.poll() is not None:
                raise AssertionError(process.stderr and process.stderr.read())
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.25)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(20)


def test_over_http_both_clients_get_the_same_and_other_machines_are_refused(address: str) -> None:
    names, (gap,) = asked(address, ("calculators", ANION))
    assert set(names) == {"calculate", "calculators"}
    tools = open_tools([f"mcp:{address}"])
    assert [tool.name for tool in tools] == names and not any(tool.pure for tool in tools)
    ours = call_tool(ToolCall("1", "calculators", ANION), tools)
    assert ours.parts == (gap.content[0].text,) and ours.error == ""
    wrong = call_tool(ToolCall("1", "calculate", {"expression": "1/0"}), tools)
    assert "cannot compute" in wrong.error
    unknown = call_tool(ToolCall("1", "calculate", {"formula": "1"}), tools)
    assert "no parameter" in unknown.error
    for mode in ("local_only", "deid", "off"):
        open_tools([f"mcp:{address}"], {"privacy": mode})
    with pytest.raises(PrivacyError, match=r"192\.0\.2\.1"):
        open_tools(["mcp:http://192.0.2.1:9/mcp"])


MINE = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("mine")

@server.tool()
def echo(text: str) -> str:
    "What was said."
    return "heard: " + text

server.run()
"""


def test_a_server_of_the_users_is_one_line_and_only_what_was_allowed_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    name = f"mcp:{sys.executable} {tmp_path / 'mine.py'}"
    monkeypatch.setenv("MEDXIAOHE_CODE", "[]")
    with pytest.raises(CodeRefused, match="nobody has allowed"):
        open_tools([name])
    monkeypatch.setenv("MEDXIAOHE_CODE", "any")
    said = "Mr. John Smith, MRN 8841234, has pneumonia"
    (echo,) = open_tools([name])
    assert call_tool(ToolCall("1", "echo", {"text": said}), [echo]).parts == (f"heard: {said}",)
    (careful,) = open_tools([name], {"privacy": "deid"})
    (heard,) = call_tool(ToolCall("1", "echo", {"text": said}), [careful]).parts
    assert isinstance(heard, str) and "Smith" not in heard and "8841234" not in heard and "pneumonia" in heard


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="does not answer"):
        open_tools(["mcp:http://127.0.0.1:9/mcp"])
    with pytest.raises(ConfigError, match="does not answer"):
        open_tools([f"mcp:{sys.executable} -c pass"])
    with pytest.raises(ConfigError, match="names no server"):
        open_tools(["mcp:"])


def test_a_command_is_code_wherever_names_of_code_are_looked_for() -> None:
    from medxiaohe import permission

    assert permission.names_in(["--tools", "search,mcp:python mine.py"]) >= {"mcp:python mine.py"}
    assert permission.names_in(["mcp:http://127.0.0.1:1/mcp"]) == set()
    assert permission.is_code("mcp:python mine.py") and not permission.is_code("mcp:https://a.org/mcp")


ECHO = """
import sys
from medxiaohe.tools import tool
from medxiaohe.tools.mcp import server

@tool
def echo(text: str) -> str:
    "What was said."
    return "heard: " + text

server.serve_http(server.server([echo]), int(sys.argv[1]))
"""


def test_planted_names_reach_a_server_elsewhere_only_where_the_guard_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe.privacy import guard

    (tmp_path / "echo.py").write_text(ECHO)
    said = [
        ("Okonkwo", "Mr. James Okonkwo with dyspnoea"),
        ("8841234", "MRN 8841234 creatinine 2.1"),
        ("123-45-6789", "SSN 123-45-6789 sepsis"),
    ]
    with serving(sys.executable, str(tmp_path / "echo.py")) as address:
        monkeypatch.setattr(guard, "is_loopback", lambda address: False)
        with pytest.raises(PrivacyError):
            open_tools([f"mcp:{address}"])
        heard = {}
        for mode in ("deid", "off"):
            tools = open_tools([f"mcp:{address}"], {"privacy": mode})
            results = [call_tool(ToolCall("1", "echo", {"text": text}), tools) for _, text in said]
            heard[mode] = [str(result.parts) for result in results]
    assert all(part.startswith("('heard: ") for parts in heard.values() for part in parts)
    assert not any(secret in part for (secret, _), part in zip(said, heard["deid"], strict=True))
    assert all(secret in part for (secret, _), part in zip(said, heard["off"], strict=True))
