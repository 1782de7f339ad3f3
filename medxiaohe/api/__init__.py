"""The public Python API: `import medxiaohe as mx`. Everything in `EXPORTS` is a name of `medxiaohe`.

    tree = mx.load_tree("out/quickstart/tree/1")
    mx.link("No pneumonia. Fever since Monday.", tree)
    results = mx.evaluate("starter", ["chest_xray"], limit=50)
    results.to_pandas()

The names are imported when they are first used, so `import medxiaohe` loads neither torch nor numpy.
"""

from __future__ import annotations

from medxiaohe.api.asking import ask, messages
from medxiaohe.api.evaluating import Results, evaluate, load_task, score
from medxiaohe.api.knowledge import link, load_tree
from medxiaohe.api.running import run
from medxiaohe.entity.linking.annotate import Annotation
from medxiaohe.types import (
    Evidence,
    ImageRef,
    Message,
    Prompt,
    Sample,
    Score,
    Task,
    Tool,
    ToolCall,
    ToolResult,
    Trace,
)

__all__ = [
    "Annotation",
    "Evidence",
    "ImageRef",
    "Message",
    "Prompt",
    "Results",
    "Sample",
    "Score",
    "Task",
    "Tool",
    "ToolCall",
    "ToolResult",
    "Trace",
    "ask",
    "evaluate",
    "link",
    "load_task",
    "load_tree",
    "messages",
    "run",
    "score",
]
