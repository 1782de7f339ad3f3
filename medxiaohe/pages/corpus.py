"""The stage `pages.corpus`: one self-contained HTML page about a corpus, from the files that were read to the
mixture.

What was dropped where and why, with examples; coverage before and after; test items that were found; what was
written for the tail; the mixture as intended and as drawn. The page works offline, asks for nothing from
anywhere and holds no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io
from medxiaohe.pages.elements import frame
from medxiaohe.pages.sections import corpus_sections, data_sections, model_sections
from medxiaohe.pages.sections.artefacts import Run, StageFolder


@dataclass(frozen=True)
class CorpusSettings:
    title: str = ""  # of the page; "" is the name of the run folder
    # False where records are confidential: counts and reasons stay, nothing a record says is shown
    words: bool = True


CONTENTS = (
    ("summary", "Summary"),
    ("accounts", "Accounts"),
    ("funnel", "Records"),
    ("covered", "Coverage"),
    ("tree", "Entity tree"),
    ("contamination", "Contamination"),
    ("written", "Written for the tail"),
    ("people", "De-identified"),
    ("mixture", "Mixture"),
    ("provenance", "Provenance"),
)


def corpus(
    settings: CorpusSettings,
    out: Path,
    *,
    tree: Path,
    corpus: Path,
    curated: Path,
    mixture: Path,
    **others: Path,
) -> dict[str, str]:
    """Write index.html; `others` are stages of the run by their names: those between curation and mixture,
    and around them.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree.
        corpus: folder of data.read.
        curated: folder of data.curate.
        mixture: folder of data.mixture.
        others: name -> folder of further stages.

    Returns:
        the summary of the stage: {page: path}

    Raises:
        DataError: a folder is not of the stage that its role says.
    """
    fixed = {"tree": tree, "corpus": corpus, "curated": curated, "mixture": mixture}
    opened = {
        role: StageFolder(role, folder, io.read_json(folder / "stage.json"))
        for role, folder in {**fixed, **others}.items()
    }
    run = Run(**{role: opened[role] for role in fixed}, comparison=None, trained=(), examined=(), scores={})
    extra = tuple(opened[name] for name in others)
    sections = {
        "summary": corpus_sections.summary(run, extra),
        "accounts": corpus_sections.accounts(run, extra),
        "funnel": data_sections.funnel_section(run, words=settings.words, more=extra),
        "covered": corpus_sections.covered(run, extra),
        "tree": data_sections.tree_section(run),
        "contamination": data_sections.contamination_section(run, words=settings.words),
        "written": corpus_sections.written(extra, words=settings.words),
        "people": corpus_sections.people(extra),
        "mixture": corpus_sections.mixture(run, extra),
        "provenance": model_sections.provenance_section(run, extra),
    }
    shown = {name: section for name, section in sections.items() if section}
    contents = [(name, title) for name, title in CONTENTS if name in shown]
    title = settings.title or f"Corpus {run.recipe}"
    page = frame.document(
        title, "medxiaohe corpus report", contents, list(shown.values()), ("report.css",), ("report.js",)
    )
    io.write_text(out / "index.html", page)
    return {"page": "index.html"}
