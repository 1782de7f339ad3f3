"""Tools of medxiaohe as an MCP server, over stdin and stdout or over HTTP on this machine.

A tool that looks at images has no conversation here: where a folder of images is served, such a tool takes
`files` too, names in that folder, which it counts from 1. Images that a tool returns are sent as PNG.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medxiaohe
from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError, MedError, ToolError
from medxiaohe.images import open_image, ref
from medxiaohe.plugins import need
from medxiaohe.tools.toolbox import IMAGES, call_tool
from medxiaohe.types import ImageRef, Tool, ToolCall, ToolResult

if TYPE_CHECKING:
    from mcp.server import Server

FILES = "files"
FILES_SCHEMA = {
    "type": "array",
    "items": {"type": "string"},
    "description": "names of images in the folder that is served",
}
MOST_FILES = 32
INSTRUCTIONS = (
    "Medical tools of medxiaohe. Research software: not for clinical use. What is not listed is not known."
)


def server(tools: Sequence[Tool], images: Path | None = None) -> Server[Any]:
    """Build an MCP server that offers tools.

    Args:
        tools: bound to their resources (tools.toolbox.open_tools).
        images: the folder whose files may be named; without it tools that look at images are not offered.

    Returns:
        a server, for `serve_stdio` or `serve_http`.

    Raises:
        MissingExtra: the SDK is not installed.
        ConfigError: there is no tool to offer.
    """
    need("mcp", why="an MCP server")
    import anyio
    from mcp import types
    from mcp.server import Server

    offered = {tool.name: tool for tool in tools if images is not None or IMAGES not in tool.needs}
    if not offered:
        raise ConfigError("no tool to serve: tools that look at images need --images FOLDER")
    listed = [
        types.Tool(name=tool.name, description=tool.description, input_schema=schema(tool))
        for tool in offered.values()
    ]

    async def list_tools(context: Any, params: Any) -> Any:
        return types.ListToolsResult(tools=listed)

    async def call(context: Any, params: Any) -> Any:
        arguments = dict(params.arguments or {})
        result = await anyio.to_thread.run_sync(answered, params.name, arguments, offered, images)
        content: list[Any] = []
        for part in result.parts:
            if isinstance(part, str):
                content.append(types.TextContent(type="text", text=part))
            else:
                content.append(types.ImageContent(type="image", data=_png(part), mime_type="image/png"))
        if result.error:
            content = [types.TextContent(type="text", text=result.error)]
        return types.CallToolResult(
            content=content, is_error=bool(result.error), structured_content=_structured(result)
        )

    return Server(
        "medxiaohe",
        version=medxiaohe.__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call,
    )


def schema(tool: Tool) -> dict[str, Any]:
    """Build the JSON schema of a tool's arguments, with `files` for one that looks at images.

    Returns:
        a copy; the schema of the tool is not changed.
    """
    parameters = json.loads(json.dumps(dict(tool.parameters)))
    if IMAGES in tool.needs:
        parameters["properties"][FILES] = FILES_SCHEMA
        parameters["required"] = [*parameters.get("required", ()), FILES]
    return dict(parameters)


def answered(
    name: str, arguments: dict[str, Any], tools: Mapping[str, Tool], images: Path | None
) -> ToolResult:
    """Call a tool by name.

    Args:
        name: of the tool, as the client sent it.
        arguments: as the client sent them; `files` is taken out.
        tools: the tools that are served, by name.
        images: folder of the images that may be named, None for none.

    Returns:
        its result; an error of medxiaohe becomes the error of the result.
    """
    try:
        shown: tuple[ImageRef, ...] = ()
        if name in tools and IMAGES in tools[name].needs:
            shown = named(arguments.pop(FILES, None), images)
        return call_tool(ToolCall("mcp", name, arguments), list(tools.values()), shown)
    except MedError as error:
        return ToolResult("mcp", (), error=f"{type(error).__name__}: {error}")


def named(files: Any, folder: Path | None) -> tuple[ImageRef, ...]:
    """Resolve names of files in the folder of images.

    Args:
        files: list of 1 to MOST_FILES names, as the client sent them.
        folder: the folder that is served, None for none.

    Returns:
        references with digests, in order.

    Raises:
        ToolError: no list of names, a name that leads out of the folder, or a file that cannot be read.
    """
    if folder is None or not isinstance(files, list) or not files or len(files) > MOST_FILES:
        raise ToolError(
            f"{FILES} is a list of 1 to {MOST_FILES} names of images in the folder that is served"
        )
    results = []
    for file in files:
        path = (folder / str(file)).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise ToolError(f"there is no image {str(file)[:80]!r} in the folder that is served")
        try:
            results.append(ref(path))
        except DataError as error:
            raise ToolError(str(error)) from error
    return tuple(results)


def _structured(result: ToolResult) -> dict[str, Any] | None:
    """Data and evidence as JSON."""
    content: dict[str, Any] = {}
    if result.data is not None:
        content["data"] = result.data
    if result.evidence:
        content["evidence"] = [
            {key: value for key, value in io.to_json(item).items() if key != "images"}
            for item in result.evidence
        ]
    return content or None


def _png(image: ImageRef) -> str:
    out = BytesIO()
    open_image(image).save(out, "PNG")
    return b64encode(out.getvalue()).decode()


def serve_stdio(mcp_server: Server[Any]) -> None:
    """Serve MCP over stdin and stdout, until the client closes its end."""
    import anyio
    from mcp.server.stdio import stdio_server

    async def run() -> None:
        async with stdio_server() as (read, write):
            await mcp_server.run(read, write, mcp_server.create_initialization_options())

    anyio.run(run)


def serve_http(mcp_server: Server[Any], port: int) -> None:
    """Serve MCP over HTTP at http://127.0.0.1:PORT/mcp, for programs on this machine only; returns when it is
    interrupted.

    Args:
        port: TCP port.

    Raises:
        MissingExtra: uvicorn is not installed.
    """
    need("uvicorn", why="an MCP server over HTTP")
    import uvicorn

    app = mcp_server.streamable_http_app(host="127.0.0.1")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
