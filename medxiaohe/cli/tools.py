"""`tools serve`: serve tools to other programs, as an MCP server."""

from __future__ import annotations

import argparse
import sys

from medxiaohe import plugins
from medxiaohe.errors import UsageError
from medxiaohe.evals.running.workflows import resources
from medxiaohe.tools.mcp import server
from medxiaohe.tools.toolbox import IMAGES, describe_tools, open_tools

LARGEST_PORT = 65_535


def serve(args: argparse.Namespace) -> int:
    """Serve tools to other programs as an MCP server, over stdio or HTTP on this machine (`tools serve`).

    Args:
        args: `tools` (names with commas, "" for all whose resources are given), `library`, `images` (a
            folder that callers may name), `http` (a port, None for stdio).

    Returns:
        exit code 0, when the client disconnects.

    Raises:
        UsageError: the port is out of range, or `images` is not a folder.
    """
    if args.http is not None and not 1 <= args.http <= LARGEST_PORT:
        raise UsageError(f"--http takes a port from 1 to {LARGEST_PORT}, not {args.http}")
    if args.images is not None and not args.images.is_dir():
        raise UsageError(f"--images takes a folder, which {args.images} is not")
    provided = resources(str(args.library or ""))
    names = [name.strip() for name in args.tools.split(",") if name.strip()]
    if not names:  # every tool whose resources are there
        shown = describe_tools(plugins.shipped("tools"))
        names = [tool.name for tool in shown if set(tool.needs) <= {IMAGES, *provided}]
    mcp_server = server.server(open_tools(names, provided), args.images)
    if args.http is None:
        server.serve_stdio(mcp_server)
        return 0
    print(f"http://127.0.0.1:{args.http}/mcp (this machine only; Ctrl-C stops it)", file=sys.stderr)
    server.serve_http(mcp_server, args.http)
    return 0
