"""The open recipe for medical multimodal language models that can be checked.

The public names are those of `medxiaohe.api`; each is imported when it is first used.
"""

import os
from typing import TYPE_CHECKING

__version__ = "0.2.0"
STATEMENT = "For research. Not a medical device; not for clinical use, diagnosis or treatment decisions."

# Libraries of the hub read these when they are imported: usage statistics are not sent.
for _variable in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ.setdefault(_variable, "1")

if TYPE_CHECKING:  # for type checkers and editors; at run time __getattr__ imports the name
    from medxiaohe.api import *  # noqa: F403

EXPORTS = (
    "Annotation", "Evidence", "ImageRef", "Message", "Prompt", "Results", "Sample", "Score", "Task", "Tool",
    "ToolCall", "ToolResult", "Trace", "ask", "evaluate", "link", "load_task", "load_tree", "messages", "run",
    "score",
)  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in EXPORTS:
        raise AttributeError(f"module 'medxiaohe' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("medxiaohe.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *EXPORTS])
