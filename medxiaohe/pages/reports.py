"""The stage `pages.reports`: one self-contained HTML page about drafts of reports and their revisions by
evidence.

Measures of each policy beside those of what people wrote, tests against the drafts, each draft beside its
revisions, and the scores and conversations of the evaluations behind it. The page works offline, asks for
nothing from anywhere and holds no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.pages.elements import frame
from medxiaohe.pages.sections import report_arms, talks

CONTENTS = (
    ("arms", "What policies change"),
    ("revised", "Drafts and revisions"),
    ("scores", "Evaluations"),
    ("talks", "Conversations"),
)


@dataclass(frozen=True)
class ReportsPageSettings:
    title: str = "Reports"
    reports: int = 20  # that are shown with every revision; the others are in revised.jsonl
    conversations: int = 20  # of each evaluation; the others are in its traces.jsonl
    words: bool = True  # False where items are confidential: numbers stay, nothing that was said is shown

    def __post_init__(self) -> None:
        if self.reports < 0 or self.conversations < 0:
            raise ConfigError("reports and conversations must be at least 0")


def reports(settings: ReportsPageSettings, out: Path, *, revised: Path, **runs: Path) -> dict[str, str]:
    """Write the page of revised reports, index.html.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        revised: folder of an evals.revision stage.
        runs: folders of evals.run stages, by the names under which they are shown.

    Returns:
        the name of the page

    Raises:
        ConfigError: a folder of `runs` is not of an evaluation.
    """
    for name, folder in runs.items():
        if not (folder / "traces.jsonl").is_file():
            raise ConfigError(f"needs.{name}: {folder} is no evaluation: name stages of evals.run here")
    shown = settings.reports if settings.words else 0
    parts = {
        "arms": report_arms.arms_section(io.read_json(revised / "revision.json")),
        "revised": report_arms.revised_section(io.read_jsonl(revised / "revised.jsonl"), shown),
        "scores": report_arms.scores_section(
            {name: io.read_json(folder / "results.json") for name, folder in runs.items()}
        ),
        "talks": talks.talks_section(runs, settings.conversations, words=settings.words),
    }
    page = frame.document(
        settings.title,
        "medxiaohe reports",
        CONTENTS,
        list(parts.values()),
        ("report.css", "workflows.css"),
        ("workflows.js",),
    )
    io.write_text(out / "index.html", page)
    return {"page": "index.html"}
