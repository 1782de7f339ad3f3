"""Stage data.attach: new entities of passages join a tree that does not move (MedXIAOHE; arXiv 2604.25296).

    entities.jsonl    the rows of the tree, byte for byte, then the new entities
    terms.jsonl, merges.jsonl, relations.jsonl, problems.jsonl    those of the tree, and what the passages say
    extracted.jsonl   {passage, start, end, surface, type, by}: what was found, each span checked against its
                      passage
    dropped.jsonl     what was found and is not in the tree, each with its reason
    attached.jsonl    {id, name, kind, mentions, parents: [{id, name, score, why}], decided by, evidence:
                      [...]}
    conflicts.jsonl, rulings.jsonl    what scores could not decide, and what the agent made of it, with its
                                      reasoning and searches
    stats.json        the summary

docs/tree.md, "Build from literature", has the rules.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from medxiaohe import io, plugins
from medxiaohe.data.growing.growth import Growth, Rules
from medxiaohe.data.growing.model_extraction import CALLS, Limits, extract, journal
from medxiaohe.entity.build import row
from medxiaohe.entity.linking.finder import Finder, finder
from medxiaohe.entity.literature import candidates
from medxiaohe.entity.literature.passages import Extraction, Found, Passage
from medxiaohe.entity.literature.vectors import Remembering
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.asking import REPAIRS, Client
from medxiaohe.models.embed import embedder
from medxiaohe.recipe.settings import InputPath

KINDS = (
    "disease",
    "phenotype",
    "anatomy",
    "chemical",
    "procedure",
    "modality",
    "gene",
    "cell",
    "process",
    "organism",
)
COPIED = ("terms.jsonl", "merges.jsonl", "relations.jsonl", "problems.jsonl")


@dataclass(frozen=True)
class AttachSettings:
    # a folder of .txt or .jsonl, or one .jsonl of Samples, when there is no `corpus` stage
    passages: InputPath = ""
    limit: int | None = None  # the first passages
    license: str = "not stated"  # of passages that state none
    # how new entities are found: by statistics of phrases, by a model, or both
    extractors: tuple[Literal["statistics", "model"], ...] = ("statistics",)
    # for the extractor `model`, and to rule on conflicts: starter, a folder, a hub id, a served name
    model: str = ""
    backend: str = "transformers"
    options: dict[str, Any] = field(default_factory=dict)  # of the backend
    kinds: tuple[str, ...] = KINDS  # kinds of entities that are linked
    batch: int = 4  # passages of one call
    retries: int = REPAIRS  # requests that show the model what is wrong with its reply
    max_calls: int = 0  # of the extraction; 0 is no limit
    least: float = 0.85  # chance that a phrase is a name, of the extractor `statistics`
    min_mentions: int = 10  # entities with fewer are dropped (MedXIAOHE)
    min_entities: int = 5  # types with fewer are dropped (MedXIAOHE)
    embedder: str = "minilm"  # or ngrams, which needs numpy only
    min_score: float = 0.5  # chance of a parent below which an entity is not attached
    rule: bool = True  # with a model: let it rule on conflicts; without one they stay undecided

    def __post_init__(self) -> None:
        if not self.extractors or ("model" in self.extractors and not self.model):
            raise ConfigError(
                "extractors must name statistics, model or both; the extractor model needs the setting"
                " `model`"
            )
        if min(self.min_mentions, self.min_entities, self.batch) < 1 or min(self.retries, self.max_calls) < 0:
            raise ConfigError(
                "min_mentions, min_entities and batch must be at least 1, retries and max_calls at least 0"
            )
        if not 0 < self.least < 1 or not 0 < self.min_score <= 1:
            raise ConfigError("least and min_score are chances, between 0 and 1")


def attach(settings: AttachSettings, out: Path, *, tree: Path, corpus: Path | None = None) -> dict[str, Any]:
    """Extract new entities from passages and attach them to the tree.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree.
        corpus: folder of a data stage; None: `settings.passages`.

    Returns:
        the summary of the stage: counts of names, entities, attached and dropped ones

    Raises:
        ConfigError: passages are given twice, or not at all.
    """
    plugins.need("numpy", why="attaching entities")
    passages = read_passages(settings, corpus)
    skeleton = Tree.load(tree)
    work = io.scratch(
        out,
        [
            asdict(settings),
            io.content(tree, "entities.jsonl"),
            [[p.id, io.fingerprint(p.text)] for p in passages],
        ],
    )
    near = None if settings.embedder == "ngrams" else Remembering(embedder(settings.embedder), work)
    model = _model(settings, work)
    names = finder(tree)
    extraction = _extracted(settings, passages, names, skeleton, model, work)
    io.write_jsonl(out / "extracted.jsonl", map(asdict, extraction.found))
    rules = Rules(settings.kinds, settings.min_mentions, settings.min_entities, settings.min_score)
    growth = Growth(rules, skeleton, {p.id: p for p in passages}, near, names)
    growth.concepts(extraction.found)
    growth.attach(model if settings.rule else None)
    _write(out, tree, growth, extraction)
    summary = growth.summary(extraction, near.name if near else "character n-grams")
    io.write_json(out / "stats.json", summary)
    return summary


# ---- passages and extraction ---------------------------------------------------------------------


def read_passages(settings: AttachSettings, corpus: Path | None) -> list[Passage]:
    """Read the passages from which entities are extracted: samples of the corpus outside of its test split,
    or plain text files as one passage each.

    Args:
        settings: `passages` (a file or folder), `limit` and `license`.
        corpus: folder of a data stage; None: `settings.passages`.

    Returns:
        At most `settings.limit` passages, in the order of the files; of several with one id the first.

    Raises:
        ConfigError: both `corpus` and `settings.passages` are given, or neither.
        DataError: there is no passage, or a row of samples.jsonl is damaged.
    """
    if bool(settings.passages) == (corpus is not None):
        raise ConfigError("give the passages once: `needs: corpus`, or the setting `passages`")
    path = corpus / "samples.jsonl" if corpus is not None else Path(settings.passages)
    files = sorted(p for p in path.rglob("*") if p.suffix in (".txt", ".jsonl")) if path.is_dir() else [path]
    result: dict[str, Passage] = {}
    for file in files:
        if file.suffix == ".txt":
            text = "\n".join(line for _, line in io.lines(file))
            # files of one name in several folders are different passages
            name = file.stem if file.stem not in result else file.relative_to(path).with_suffix("").as_posix()
            result.setdefault(name, Passage(name, text, file.parent.name, settings.license))
            continue
        for sample in io.read_samples(file):
            if sample.split != "test" and sample.text.strip():
                result.setdefault(
                    sample.id,
                    Passage(sample.id, sample.text, sample.source, sample.license or settings.license),
                )
    if not result:
        raise DataError(
            f"no passages in {path}: give a folder of .txt files, or the samples.jsonl of data.read"
        )
    return list(result.values())[: settings.limit]


def _model(settings: AttachSettings, work: Path) -> Client | None:
    if not settings.model:
        return None
    backend = plugins.load("models", settings.backend)
    return Client(backend(settings.model, **settings.options), journal=journal(work, f"rulings_{CALLS}"))


def _extracted(
    settings: AttachSettings,
    passages: Sequence[Passage],
    names: Finder,
    tree: Tree,
    model: Client | None,
    work: Path,
) -> Extraction:
    """Run all extractors and join their results; the statistics of a killed run are stored, as the replies
    are.
    """
    total = Extraction()
    for name in settings.extractors:
        if name == "model":
            assert model is not None
            limits = Limits(settings.batch, settings.retries, settings.max_calls)
            extraction = extract(passages, model.model, types=settings.kinds, limits=limits, work=work)
        else:
            extraction = _statistics(settings, passages, names, tree, work / "statistics.json")
        total.found += extraction.found
        total.dropped += extraction.dropped
        total.counts.update({f"{name}: {label}": count for label, count in extraction.counts.items()})
    return total


def _statistics(
    settings: AttachSettings, passages: Sequence[Passage], names: Finder, tree: Tree, path: Path
) -> Extraction:
    if not path.exists():
        options = candidates.Options(least=settings.least)
        extraction = candidates.extract(
            passages, names.find, lambda id: tree.entities[id].kind, settings.kinds, options
        )
        io.write_json(path, {"found": list(map(asdict, extraction.found)), "counts": extraction.counts})
    stored = io.read_json(path)
    return Extraction([Found(**span) for span in stored["found"]], Counter(stored["counts"]))


# ---- writing ---------------------------------------------------------------------------------------


def _write(out: Path, tree: Path, growth: Growth, extraction: Extraction) -> None:
    new = growth.rows()
    extended(tree / "entities.jsonl", out / "entities.jsonl", map(row, new))
    added: dict[str, list[Any]] = {"terms.jsonl": list(map(row, new)), "merges.jsonl": growth.merges}
    for name in COPIED:
        extended(tree / name, out / name, added.get(name, ()))
    io.write_jsonl(out / "dropped.jsonl", [*extraction.dropped, *growth.dropped])
    io.write_jsonl(out / "attached.jsonl", growth.attached())
    io.write_jsonl(out / "conflicts.jsonl", growth.conflicts)
    io.write_jsonl(out / "rulings.jsonl", growth.rulings)


def extended(old: Path, new: Path, rows: Iterable[Any]) -> None:
    """Copy a JSON Lines file byte for byte and append rows.

    Args:
        old: the file that is copied; nothing is copied if it does not exist.
        new: the file that is written.
        rows: JSON values, one a line.
    """

    def fill(file: IO[bytes]) -> None:
        if old.is_file():
            with open(old, "rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
        for value in rows:
            file.write(io.encoded(value))

    io.write(new, fill)
