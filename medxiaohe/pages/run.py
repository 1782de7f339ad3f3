"""The stage `pages.run`: one self-contained HTML page about a run, and the model card.

The page works offline, asks for nothing from anywhere and holds no time: the same run gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.pages.sections.artefacts import load
from medxiaohe.pages.sections.model_card import CardFacts, card
from medxiaohe.pages.sections.run_page import page
from medxiaohe.pages.sections.verdicts import verdicts


@dataclass(frozen=True)
class PageSettings:
    title: str = ""  # of the page; "" is the name of the run folder
    name: str = ""  # of the model, for its card; "" is the title
    license: str = "other"  # of the weights, as the hub names it; "other" points to the licences of the data
    languages: list[str] = field(default_factory=lambda: ["en"])  # of the model, for its card: ISO 639-1
    licenses: dict[str, str] = field(default_factory=dict)  # of sources whose reader could not tell
    examples: int = 2  # example answers for each outcome of each task
    images: bool = True  # False where the licence of a task forbids to pass its images on
    # False where records are confidential: counts and reasons stay, nothing a record says is shown
    words: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.examples <= 20:
            raise ConfigError(
                f"examples must be 0 to 20, not {self.examples}: every one is a picture in the page"
            )


def run(
    settings: PageSettings,
    out: Path,
    *,
    tree: Path,
    corpus: Path,
    curated: Path,
    mixture: Path,
    comparison: Path,
    **others: Path,
) -> dict[str, str]:
    """Write index.html and MODEL_CARD.md; `others` are training and evaluation stages by their names.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree.
        corpus: folder of data.read.
        curated: folder of data.curate.
        mixture: folder of data.mixture.
        comparison: folder of evals.compare.
        others: name -> folder of training and evaluation stages.

    Returns:
        the summary of the stage: {page: path, card: path}

    Raises:
        DataError: a field of the model card would be empty.
    """
    if settings.images:
        plugins.need("PIL", why="showing the images of examples (or set `images: false`)")
    inputs = {
        "tree": tree,
        "corpus": corpus,
        "curated": curated,
        "mixture": mixture,
        "comparison": comparison,
    }
    artefacts = load(inputs, others)
    tests = verdicts(artefacts)
    title = settings.title or f"Run {artefacts.recipe}"
    facts = CardFacts(settings.name or title, settings.license, settings.languages, settings.licenses)
    io.write_text(out / "MODEL_CARD.md", card(artefacts, facts, tests))
    html = page(
        artefacts, title, tests, examples=settings.examples, pictures=settings.images, words=settings.words
    )
    io.write_text(out / "index.html", html)
    return {"page": "index.html", "card": "MODEL_CARD.md"}
