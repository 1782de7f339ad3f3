"""The stage `pages.evaluation`: one self-contained HTML page about one evaluation, with every item in it.

The page works offline, asks for nothing from anywhere and holds no time: the same results give the same
bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.pages.elements import frame
from medxiaohe.pages.sections import eval_items, eval_sections


@dataclass(frozen=True)
class EvaluationSettings:
    title: str = ""  # of the page; "" is the name of the model
    items: int = 3000  # in the page; the others are in traces.jsonl
    thumbnails: int = 400  # pictures in the page at most
    side: int = 256  # pixels of a picture, which is shown smaller until it is chosen
    images: bool = True  # False where the licence of a task forbids to pass its images on
    words: bool = True  # False where items are confidential: numbers stay, nothing an item says is shown

    def __post_init__(self) -> None:
        if self.items < 0 or self.thumbnails < 0 or not 16 <= self.side <= 512:
            raise ConfigError("items and thumbnails must be at least 0, side 16 to 512")


CONTENTS = (
    ("scores", "Scores"),
    ("items", "Items"),
    ("perturbed", "Perturbations"),
    ("calibration", "Calibration"),
    ("slices", "By tree node"),
    ("provenance", "Provenance"),
)


def model_name(results: Mapping[str, Any]) -> str:
    """Extract the name of the evaluated model.

    Args:
        results: results.json of evals.run.

    Returns:
        the name; of an absolute path the last two parts, because pages hold no absolute paths.
    """
    name = str(results["model"]["name"])
    return "/".join(name.rsplit("/", 2)[-2:]) if name.startswith("/") else name


def evaluation(settings: EvaluationSettings, out: Path, *, run: Path) -> dict[str, str]:
    """Write index.html about the evals.run stage in `run`.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        run: folder of an evals.run stage.

    Returns:
        the summary of the stage: {page: path}
    """
    results = io.read_json(run / "results.json")
    sliced = io.read_json(run / "slices.json") if (run / "slices.json").is_file() else {}
    shown = eval_items.collect(
        run,
        settings.items if settings.words else 0,
        settings.thumbnails if settings.images else 0,
        settings.side,
    )
    parts = {
        "scores": eval_sections.scores(results),
        "items": eval_items.section_of(shown),
        "perturbed": eval_sections.perturbed(results),
        "calibration": eval_sections.calibration(results),
        "slices": eval_sections.by_node(sliced),
        "provenance": eval_sections.provenance(results),
    }
    present = {
        id: content for id, content in parts.items() if content is not None
    }  # what was not asked for has no section
    title = settings.title or model_name(results)
    page = frame.document(
        title,
        "medxiaohe evaluation",
        [(id, name) for id, name in CONTENTS if id in present],
        list(present.values()),
        ("report.css", "evaluation.css"),
        ("evaluation.js",),
    )
    io.write_text(out / "index.html", page)
    return {"page": "index.html"}
