"""Stage data.synthesise: rows written for the entities that a corpus hardly shows (MedXIAOHE; arXiv
2604.25296).

    samples.jsonl        the rows of `corpus`, without those that got facts, then the new ones; sources
                         synth_card, synth_caption,
                         synth_choice, synth_path
    refused.jsonl        {node, kind, reason, detail}: what could not be written, or was written and not kept
    coverage.json        how many samples mention each entity, after
    contamination.json   that of `corpus`, for the tasks named in `against`, which the new rows are compared
                         with too

    cards      a page about an entity, from the tree alone
    captions   items that data.gather found, perhaps sifted by data.align, with facts about what they name;
               each says who says so
    choices    questions whose wrong options are siblings
    paths      questions over more than five facts with everything in between masked; each path was walked
               again

What takes several facts is answered with a thought in four segments, written from the facts and checked
(synth/checks.py).

No model is needed. `items` is the folder of data.gather or data.align.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.coverage.row_accounts import settle
from medxiaohe.data.curate import Against
from medxiaohe.data.duplicates.decontamination import Match
from medxiaohe.data.gather import coverage_of
from medxiaohe.data.mixing.stored_rows import Rows
from medxiaohe.data.synth import anew, cards, cases, chains, checks, choices, paths, rows
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.paths import Refused
from medxiaohe.data.synth.thin import thin
from medxiaohe.data.synth.walk import MORE_THAN
from medxiaohe.entity.linking.finder import Finder, finder
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.progress import track
from medxiaohe.scoring._findings import Lexicon, lexicon
from medxiaohe.types import HELD_OUT, Message, Sample

CHUNK = 200  # nodes whose rows are saved together; a killed run loses at most one chunk


@dataclass(frozen=True)
class SynthesiseSettings:
    nodes: int = 1000  # thin nodes to write for, when there are no `items`
    kinds: tuple[str, ...] = ("disease", "phenotype", "anatomy")
    at_most: int = 2  # samples of the corpus that may mention a thin node
    per_parent: int = 5  # rare entities of one parent at most
    cards: bool = True  # write a page about each entity from the facts of the tree
    captions: bool = True  # write captions for images of an entity
    choices: tuple[str, ...] = choices.KINDS  # kinds of multiple-choice questions to write
    paths: int = 1  # of each node
    hops: int = MORE_THAN + 1  # facts of a path that a question takes
    chains: bool = True  # a thought in four segments where an item takes more than one fact
    against: tuple[Against, ...] = ()
    keep_corpus: bool = True  # false: the new rows alone
    seed: int = 0

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.per_parent < 1 or self.paths < 0 or self.at_most < 0:
            raise ConfigError("nodes and per_parent must be at least 1, paths and at_most at least 0")
        if self.hops <= MORE_THAN:
            raise ConfigError(f"hops must be more than {MORE_THAN}, not {self.hops}")
        if unknown := [kind for kind in self.choices if kind not in choices.KINDS]:
            raise ConfigError(f"choices: no kind {unknown[0]!r}; there are {', '.join(choices.KINDS)}")


def synthesise(
    settings: SynthesiseSettings,
    out: Path,
    *,
    tree: Path,
    corpus: Path | None = None,
    items: Path | None = None,
) -> dict[str, Any]:
    """Write rows about rare entities from the facts of the tree.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree.
        corpus: folder of a data stage, whose thin nodes are written for.
        items: folder of data.gather or data.align, whose nodes are written for.

    Returns:
        the summary of the stage: `corpus`, `enriched`, `nodes`, `nodes_thin_after`, `made`, `refused`,
        `contaminated`

    Raises:
        DataError: no entity is thin, or nothing could be written.
    """
    graph = Graph.load(tree)
    before = coverage_of(corpus) if corpus else {}
    nodes = _nodes(settings, graph, before, items)
    inputs = [io.content(path, "samples.jsonl") for path in (corpus, items) if path] + [
        io.content(tree, "entities.jsonl")
    ]
    work = io.scratch(out, [settings, inputs, io.code.digest(__name__)])
    chunks = [nodes[i : i + CHUNK] for i in range(0, len(nodes), CHUNK)]
    maker = _Maker(settings, graph, finder(tree), lexicon())
    files = [
        _kept(work / f"tree-{n}.jsonl", partial(_of_tree, chunk, maker))
        for n, chunk in enumerate(track(chunks, "write"))
    ]
    if items and settings.captions:
        files.append(_kept(work / "captions.jsonl", partial(_of_items, items, set(nodes), maker)))
    return _publish(settings, out, work, tree, corpus, files, before, nodes)


@dataclass(frozen=True)
class _Maker:
    settings: SynthesiseSettings
    graph: Graph
    names: Finder
    words: Lexicon


def _nodes(
    settings: SynthesiseSettings, graph: Graph, before: dict[str, int], items: Path | None
) -> list[str]:
    if items is not None and (items / "nodes.jsonl").is_file():
        results = [row["id"] for row in io.read_jsonl(items / "nodes.jsonl")]
        if lost := [id for id in results if id not in graph.tree]:
            raise DataError(f"{items}: the node {lost[0]} is not in the tree: gather with the same tree")
        return results
    options = {
        "at_most": settings.at_most,
        "num": settings.nodes,
        "per_parent": settings.per_parent,
        "seed": settings.seed,
    }
    requested = thin(graph, before, kinds=settings.kinds, **options)
    if not requested:
        raise DataError(
            f"no entity of {', '.join(settings.kinds)} is thin: raise at_most, or name other kinds"
        )
    return [item.id for item in requested]


# ---- writing -------------------------------------------------------------------------------------


def _kept(path: Path, make_rows: Any) -> Path:
    """Write rows of unfinished work unless a killed run has written them."""
    if not path.exists():
        io.write_jsonl(path, make_rows())
    return path


def _of_tree(nodes: Sequence[str], maker: _Maker) -> Iterator[dict[str, Any]]:
    """Write cards, choices and paths of each node: rows {sample} or {refused}."""
    settings, graph, turn = maker.settings, maker.graph, 0
    for node in nodes:
        if settings.cards:
            card = cards.card(node, graph, settings.seed)
            yield (
                _refused(node, "card", card)
                if isinstance(card, Refused)
                else {"sample": rows.card_row(node, card, graph)}
            )
        for choice in choices.choices(node, graph, settings.choices, settings.seed):
            if isinstance(choice, Refused):
                yield _refused(node, "choice", choice)
                continue
            yield from _checked(
                rows.choice_row(choice, _position(turn, nodes[0], settings.seed), graph, settings.chains),
                node,
                maker,
            )
            turn += 1
        for number in range(settings.paths):
            walk = paths.path(node, graph, settings.hops, settings.seed + number)
            if isinstance(walk, Refused):
                yield _refused(node, "path", walk)
                continue
            row = rows.path_row(walk, graph, settings.chains)
            yield from _checked(replace(row, id=f"{row.id}/{number}") if number else row, node, maker)


def _checked(row: Sample, node: str, maker: _Maker) -> Iterator[dict[str, Any]]:
    """Check the chain of thought of a row; a chain that fails is removed, for a name may read like a
    denial."""
    chain, answer = chains.split(row.messages[-1].text)
    if chain:
        about = cases.case(row, maker.graph)
        wrong = [(name, why) for name, why in (
            ("peeks", checks.peeks(chain, about)), ("illogical", checks.illogical(chain, about)),
            ("unfaithful", checks.unfaithful(chain, about, maker.words, maker.names)),
        ) if why]  # fmt: skip
        if wrong:
            yield _refused(node, "chain", Refused(*wrong[0]))
            last = Message("assistant", (answer,))
            row = replace(
                row, messages=(*row.messages[:-1], last), provenance=replace(row.provenance, chain="none")
            )
    yield {"sample": row}


def _position(turn: int, chunk: str, seed: int) -> int:
    """Draw the position of the right option: in four questions in a row each position occurs once, in random
    order.
    """
    order = sorted(
        range(choices.NUM_OPTIONS),
        key=lambda p: io.unit_interval(str(seed), chunk, str(turn // choices.NUM_OPTIONS), str(p)),
    )
    return order[turn % choices.NUM_OPTIONS]


def _of_items(items: Path, nodes: set[str], maker: _Maker) -> Iterator[dict[str, Any]]:
    """Write captions: items with facts about the entities they name, first about the nodes they were gathered
    for.
    """
    with Rows(items) as stored:
        for _, sample in track(stored, "captions"):
            requested = [id for id in sample.annotations.nodes if id in nodes]
            if sample.split in HELD_OUT or sample.choices:
                caption: cards.Card | Refused = Refused("an exam item, or of a held-out split")
            else:
                found_names = maker.names.find(sample.text)
                caption = cards.enriched(
                    sample.text, found_names, maker.graph, requested, maker.settings.seed
                )
            if isinstance(caption, Refused):
                yield _refused(sample.id, "caption", caption)
            else:
                yield {"sample": rows.caption_row(sample, caption, requested, maker.graph)}


def _refused(node: str, kind: str, why: Refused) -> dict[str, Any]:
    return {"refused": {"node": node, "kind": kind, "reason": why.reason, "detail": why.detail}}


# ---- output --------------------------------------------------------------------------------------


def _publish(
    settings: SynthesiseSettings, out: Path, work: Path, tree: Path, corpus: Path | None,
    files: Sequence[Path],
    before: dict[str, int], nodes: list[str],
) -> dict[str, Any]:  # fmt: skip
    test_items = anew.test_items(settings.against, tree, corpus)
    matches, by_source, refused = list[Match](), Counter[str](), defaultdict[str, Counter[str]](Counter)
    coverage, old, replaced, seen = Counter(before), 0, 0, set[str]()
    dropped: list[dict[str, Any]] = []

    def new() -> Iterator[Sample]:
        """Filter the written rows: without refused ones, duplicates of an id, and rows that match a test
        item.

        Yields:
            New samples; the others are appended to `dropped`.
        """
        for row in _rows(files):
            if "refused" in row:
                dropped.append(row["refused"])
                continue
            sample = io.sample_from_json(row["sample"])
            match = test_items.find(sample) if test_items else None
            if match or sample.id in seen:
                matches.extend([match] if match else [])
                reason = match.reason if match else "made twice"
                dropped.append({"node": (*sample.annotations.nodes, sample.id)[0],
                "kind": sample.provenance.made,
                                "reason": reason, "detail": match.item if match else sample.id})  # fmt: skip
                continue
            seen.add(sample.id)
            by_source[sample.source] += 1
            coverage.update(sample.entities)
            yield sample

    io.write_jsonl(work / "new.jsonl", new())
    if not by_source:
        raise DataError(
            f"nothing could be written for {len(nodes)} entities: take a tree with definitions and relations"
        )
    enriched = {
        (row.provenance.made_of_source, row.provenance.made_of)
        for row in io.read_samples(work / "new.jsonl")
        if row.provenance.made_of
    }

    def all_rows() -> Iterator[Sample]:
        """Merge the rows of the corpus with the new ones; a row that was enriched is replaced by its enriched
        copy.

        Yields:
            Samples: those of the corpus first.
        """
        nonlocal old, replaced
        if corpus and settings.keep_corpus:
            with Rows(corpus) as stored:
                for _, sample in stored:
                    # its text is in the new row: to read it twice helps nobody
                    if (sample.source, sample.id) in enriched:
                        replaced += 1
                        coverage.subtract(sample.entities)
                        continue
                    old += 1
                    yield sample
        yield from io.read_samples(work / "new.jsonl")

    num = io.write_jsonl(out / "samples.jsonl", all_rows())
    account = settle(
        "data.synthesise",
        read=old + replaced + sum(by_source.values()),
        written=num,
        dropped={"enriched": replaced},
    )
    for row in dropped:
        refused[row["kind"]][row["reason"]] += 1
    io.write_jsonl(out / "refused.jsonl", dropped)
    io.write_json(out / "coverage.json", {id: count for id, count in sorted(coverage.items()) if count > 0})
    anew.report(out, corpus, test_items, matches)
    thin_after = sum(coverage.get(id, 0) <= settings.at_most for id in nodes)
    why_not = {kind: dict(why.most_common()) for kind, why in sorted(refused.items())}
    counts = {
        "corpus": old,
        "enriched": replaced,
        "nodes": len(nodes),
        "nodes_thin_after": thin_after,
        "contaminated": len(matches),
    }
    return {**counts, "account": account, "made": dict(sorted(by_source.items())), "refused": why_not}


def _rows(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        yield from io.read_jsonl(path)
