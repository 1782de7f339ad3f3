"""Tools of an MCP server, behind the privacy guard.

    tools: [search, "mcp:http://127.0.0.1:8000/mcp", "mcp:python mine/server.py"]

A server at an address is asked only as `privacy` allows: on this machine in every mode; elsewhere in the mode
deid with redacted arguments, in the mode off as they are, never in local_only. A server that is a command
runs on this machine and is code: whoever names it allows it, as a file of Python (permission.py). What it
does with a query is its own affair, so in the mode deid it gets redacted arguments as well.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import binascii
import os
import shlex
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import TimeoutError as TooLate
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from medxiaohe import assets, images, permission
from medxiaohe.errors import CodeRefused, ConfigError, ToolError
from medxiaohe.plugins import need
from medxiaohe.privacy import guard
from medxiaohe.privacy.text import Redactor
from medxiaohe.tools.mcp import PREFIX
from medxiaohe.types import ImageRef, Tool, ToolResult

if TYPE_CHECKING:
    from mcp import Client

WAIT = 30.0  # seconds for the start of a server and its list of tools
CALL = 60.0  # seconds for one call
MOST_TOOLS = 200


def server_tools(name: str, privacy: str = "local_only") -> tuple[Tool, ...]:
    """Connect to an MCP server and list its tools.

    Args:
        name: "mcp:" and an address or a command.
        privacy: mode of the privacy guard.

    Returns:
        tools that call the server.

    Raises:
        PrivacyError: `privacy` does not let queries go to the address.
        CodeRefused: the command was not allowed.
        ConfigError: the server cannot be reached, or offers nothing.
        MissingExtra: the SDK is not installed.
    """
    need("mcp", why="tools of an MCP server")
    address = name.removeprefix(PREFIX).strip()
    if guard.MODES.count(privacy) != 1:
        raise ConfigError(f"privacy must be one of {', '.join(guard.MODES)}, not {privacy!r}")
    connection = _Connection(name, _target(name, address, privacy))
    try:
        offered = connection.tools()
    except ConfigError:
        connection.close()
        raise
    return tuple(_tool(connection, item, privacy, address) for item in offered)


def _target(name: str, address: str, privacy: str) -> Any:
    """What the SDK's client connects to."""
    from mcp import StdioServerParameters

    if address.startswith(("http://", "https://")):
        return _url(address, privacy)
    words = shlex.split(address)
    if not words:
        raise ConfigError(
            f"{name!r} names no server: write {PREFIX}http://127.0.0.1:PORT/mcp or {PREFIX}COMMAND"
        )
    if not permission.allowed(name):
        raise CodeRefused(f"{name!r} runs a program that nobody has allowed: read it, then add --allow-code")
    return StdioServerParameters(command=words[0], args=words[1:], env=dict(os.environ))


def _url(address: str, privacy: str) -> str:
    """Write the URL to connect to, with the address that the guard checked."""
    destination = guard.check(address, privacy, True, "a call of a tool")
    host = destination.addresses[0] if destination.addresses else destination.host
    host = f"[{host}]" if ":" in host else host
    return f"{destination.scheme}://{host}:{destination.port}{destination.path}"


def _tool(connection: _Connection, offered: Any, privacy: str, address: str) -> Tool:
    schema = dict(offered.input_schema or {"type": "object", "properties": {}})
    return Tool(
        offered.name,
        offered.description or offered.name,
        schema,
        partial(_called, connection, offered.name, privacy, address),
        pure=False,
        effects="writes",  # the effects of a foreign tool are unknown
        seconds=CALL + 5,
    )


def _called(
    connection: _Connection, name: str, privacy: str, address: str, /, **arguments: Any
) -> ToolResult:
    """One call, with arguments that may leave."""
    remote = address.startswith(("http://", "https://"))
    if remote:  # again at each call: a name may point elsewhere now
        destination = guard.check(address, privacy, True, "a call of a tool")
        remote = not destination.local
    if privacy == "deid" and (remote or not address.startswith("http")):
        redact = Redactor()
        arguments = {key: redact.value(value) for key, value in arguments.items()}
    return connection.call(name, arguments)


class _Connection:
    """Session with a server, which a thread of its own keeps open."""

    def __init__(self, name: str, target: Any):
        self._name, self._target = name, target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="medxiaohe mcp")
        self._thread.start()
        self._stop: asyncio.Event | None = None
        self._client: Client | None = None
        self._ready = threading.Event()
        self._problem = ""
        self._session = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
        atexit.register(self.close)

    async def _open(self) -> None:
        """Hold the session in one task, as the SDK's task groups need."""
        from mcp import Client

        self._stop = asyncio.Event()
        try:
            async with AsyncExitStack() as stack:
                self._client = await stack.enter_async_context(
                    Client(self._target, read_timeout_seconds=CALL)
                )
                self._ready.set()
                await self._stop.wait()
        except Exception as error:
            self._problem = _innermost(error)
        finally:
            self._client = None
            self._ready.set()

    def tools(self) -> list[Any]:
        """List the tools of the server, page by page.

        Returns:
            tool descriptions of the MCP library, 1 to MOST_TOOLS.

        Raises:
            ConfigError: the server does not answer within WAIT seconds, fails, or has none or too many
                tools.
        """
        if not self._ready.wait(WAIT) or self._client is None:
            raise ConfigError(
                f"the MCP server {self._name!r} does not answer ({self._why()}): start it first"
            )
        results: list[Any] = []
        cursor = None
        while True:
            try:
                page = self._run(self._client.list_tools(cursor=cursor), WAIT)
            except Exception as error:
                raise ConfigError(
                    f"the MCP server {self._name!r} lists no tools ({_innermost(error)})"
                ) from error
            results += page.tools
            cursor = page.next_cursor
            if not cursor or len(results) > MOST_TOOLS:
                break
        if not 0 < len(results) <= MOST_TOOLS:
            raise ConfigError(
                f"the MCP server {self._name!r} has {len(results)} tools: 1 to {MOST_TOOLS} are taken"
            )
        return results

    def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool of the server.

        Args:
            name: of the tool at the server.
            arguments: JSON data.

        Returns:
            its result.

        Raises:
            ToolError: the server has stopped, fails, or gives no result within CALL seconds.
        """
        if self._client is None:
            raise ToolError(f"the MCP server of {name} has stopped ({self._why()})")
        try:
            result = self._run(self._client.call_tool(name, dict(arguments)), CALL)
        except TooLate as error:
            raise ToolError(f"the MCP server gave {name} no result within {CALL:g} s") from error
        except Exception as error:
            raise ToolError(f"the MCP server failed in {name}: {_innermost(error)}") from error
        return _result(result)

    def close(self) -> None:
        """Close the session and stop its event loop; waits at most 5 seconds."""
        if self._stop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._stop.set)
            with suppress(Exception):
                self._session.result(5)
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, call: Coroutine[Any, Any, Any], seconds: float) -> Any:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(seconds)

    def _why(self) -> str:
        return self._problem or f"no answer within {WAIT:g} s"


def _innermost(error: BaseException) -> str:
    """What an exception says, without the groups around it."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _result(result: Any) -> ToolResult:
    """Convert the answer of a server to parts; sounds and links are replaced by their names."""
    parts: list[str | ImageRef] = []
    for item in result.content:
        if item.type == "text":
            parts.append(item.text)
        elif item.type == "image":
            parts.append(_picture(item.data))
        else:
            parts.append(f"[a part of the kind {item.type} is not shown]")
    if result.is_error:
        message = "\n".join(part for part in parts if isinstance(part, str))
        return ToolResult("", (), error=message or "the tool failed and did not say why")
    return ToolResult("", tuple(parts) or ("done",), data=result.structured_content)


def _picture(data: str) -> ImageRef | str:
    """Decode an image in base64 and store its pixels."""
    import hashlib

    import numpy as np

    from medxiaohe import io

    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error:
        return "[an image that cannot be read is not shown]"
    folder = assets.cache_root() / "images"
    path = folder / hashlib.sha256(raw).hexdigest()
    if not path.exists():
        io.write(path, lambda file: file.write(raw))
    return images.keep(np.asarray(images.open_image(images.ref(path))), folder)
