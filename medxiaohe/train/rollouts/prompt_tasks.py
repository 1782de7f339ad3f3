"""Tasks that prompts come from: rows name them as their source, settings do not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medxiaohe import io, plugins
from medxiaohe.recipe.identity import Reads, plugin_files


class ScoresPrompts:
    """Base of the settings of stages that score answers to prompts.jsonl.

    The scorers of the tasks are code of the stage: one that was edited earns other rewards.
    """

    def reads(self, inputs: Mapping[str, Path]) -> Reads:
        """List the source files of the tasks of the prompts, for the identity of the stage
        (recipe/identity.py).

        Args:
            inputs: folders of the stage's inputs; prompts.jsonl of `data` is read.

        Returns:
            Files with their hashes; none without prompts.jsonl.
        """
        file = inputs["data"] / "prompts.jsonl" if "data" in inputs else None
        if file is None or not file.is_file():
            return Reads()
        names = {str(row.get("source", "")) for row in io.read_jsonl(file)}
        result: dict[str, str] = {}
        for name in sorted(names & set(plugins.available("tasks"))):
            result |= plugin_files("tasks", name)
        return Reads(code=result)
