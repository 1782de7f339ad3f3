"""`medxiaohe tools`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import group, verb

ORDER = 80  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `tools` and its second words to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    words = group(verbs, "tools", "offer tools to other programs")
    serve = verb(words, "serve", "an MCP server of tools, over stdin and stdout or on this machine's HTTP",
                  "medxiaohe tools serve --tools clinical,drug,calculators --http 8765",
                  "tools:serve")  # fmt: skip
    serve.add_argument(
        "--tools",
        default="",
        metavar="A,B",
        help="names of `medxiaohe list tools` (default: all that can be offered)",
    )
    serve.add_argument(
        "--library", type=Path, metavar="PATH", help="a store or passages, for search and visit"
    )
    serve.add_argument(
        "--images", type=Path, metavar="FOLDER", help="a folder of images that tools may open by name"
    )
    serve.add_argument("--http", type=int, metavar="PORT", help="serve http://127.0.0.1:PORT/mcp")
