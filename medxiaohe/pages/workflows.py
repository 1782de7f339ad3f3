"""The stage `pages.workflows`: one self-contained HTML page about workflows compared on the same items.

Scores beside what they took, tests at equal budget with losses included, a plot of the frontier, the oracle
ladder, and every conversation, which can be folded step by step and by role. The page works offline, asks for
nothing from anywhere and holds no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.pages.elements import frame
from medxiaohe.pages.sections import budget_sections, talks

CONTENTS = (
    ("scores", "Scores and costs"),
    ("budget", "At equal budget"),
    ("ladder", "Oracle ladder"),
    ("talks", "Conversations"),
)


@dataclass(frozen=True)
class WorkflowsPageSettings:
    title: str = "Workflows"
    conversations: int = 20  # of each evaluation; the others are in its traces.jsonl
    words: bool = True  # False where items are confidential: numbers stay, nothing that was said is shown

    def __post_init__(self) -> None:
        if self.conversations < 0:
            raise ConfigError(f"conversations must be at least 0, not {self.conversations}")


def workflows(
    settings: WorkflowsPageSettings,
    out: Path,
    *,
    comparison: Path,
    ladder: Path | None = None,
    **runs: Path,
) -> dict[str, str]:
    """Write index.html; `runs` are evals.run stages by their names, those of the comparison.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        comparison: folder of evals.compare.
        ladder: folder of evals.ladder.
        runs: name -> folder of an evals.run stage of the comparison.

    Returns:
        the summary of the stage: {page: path}

    Raises:
        ConfigError: a folder is not an evaluation.
    """
    results = io.read_json(comparison / "comparison.json")
    for name, folder in runs.items():
        if not (folder / "traces.jsonl").is_file():
            raise ConfigError(f"needs.{name}: {folder} is not an evaluation: name stages of evals.run here")
    sections = [
        budget_sections.scores_section(results),
        budget_sections.budget_section(results),
        *([budget_sections.ladder_section(io.read_json(ladder / "ladder.json"))] if ladder else []),
        talks.talks_section(runs, settings.conversations, words=settings.words),
    ]
    contents = [content for content in CONTENTS if ladder or content[0] != "ladder"]
    page = frame.document(
        settings.title,
        "medxiaohe workflows",
        contents,
        sections,
        ("report.css", "workflows.css"),
        ("workflows.js",),
    )
    io.write_text(out / "index.html", page)
    return {"page": "index.html"}
