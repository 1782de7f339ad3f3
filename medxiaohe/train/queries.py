"""Stage: rows and pairs that teach the query writer of the workflow `hetero` what each source answers (the
multi-corpora query generator of HeteroRAG, arXiv 2508.12778).

    instructions.jsonl   Samples for train.sft: the question and the sources, then the queries that found
                         evidence; the tag of a source in which no query found any stays out
    pairs.jsonl          pairs for train.dpo (train/loop/pairs.py): the same queries, preferred over those
                         with another set for one source: `wrong query`, or a search where none helps:
                         `needless`
    explored.jsonl       {id, sets: {store: [{queries, found}]}, raw: {store: found}} of every prompt

paper says                                we do, and why
6 query sets for each source, explored    `sets` for each source, explored by the model of `explorer`
by a stronger model
a judge says whether the documents that   a document supports an answer that has all its words, or one that
a set fetches support the answer          the prompt names in the field `gold` of its `meta`: no judge to
                                          trust, and the same verdict again
SFT, then DPO                             the same stages, train.sft and train.dpo
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medxiaohe import io, progress
from medxiaohe.agents.hetero import MOST, queries_of
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evidence.answer_words import gold_words, words_of
from medxiaohe.models.asking import Client
from medxiaohe.models.players import Player, load_player
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.recipe.settings import InputPath, decisive
from medxiaohe.retrieval.library import open_library
from medxiaohe.tools.toolbox import bind, describe_tools
from medxiaohe.train.loop.contamination_check import carry, refuse_unchecked
from medxiaohe.train.loop.pairs import FILE
from medxiaohe.types import Evidence, Message, Sample, Tool

LABEL = "queries"
ATTEMPT = "This is attempt {number} of {sets}: write other words than in the attempts before."


@dataclass(frozen=True)
class QueriesSettings:
    stores: dict[str, InputPath] = field(default_factory=dict)  # NAME -> file of passages or store
    explorer: Player = field(default_factory=lambda: Player("starter"))  # the model that writes the queries
    sets: int = 6  # query sets that are tried for each store
    top: int = 2  # results of a set that count (those that `hetero` keeps)
    gold: str = ""  # key of `meta` with ids of the documents that answer; "" goes by the words of the answer
    limit: int = 0  # prompts; 0: all
    allow_contaminated: bool = False

    def __post_init__(self) -> None:
        if not self.stores:
            raise ConfigError("name stores: stores: {papers: passages.jsonl, books: out/data_index}")
        if min(self.sets, self.top) < 1 or self.limit < 0:
            raise ConfigError("sets and top must be at least 1, limit at least 0")


def queries(settings: QueriesSettings, out: Path, *, data: Path) -> dict[str, Any]:
    """Explore `prompts.jsonl` of a mixture; DataError where no query of any set found evidence.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.

    Returns:
        the summary of the stage: `prompts`, `taught`, `pairs`, `kinds`, `raw`, `best`

    Raises:
        DataError: no query found evidence of an answer.
    """
    refuse_unchecked(data, settings.allow_contaminated, LABEL)
    samples = list(io.read_samples(data / "prompts.jsonl"))[: settings.limit or None]
    tools = store_tools(settings.stores)
    scratch = io.scratch(
        out, [LABEL, decisive(settings), io.sha256(data / "prompts.jsonl"), io.code.digest(__name__)]
    )
    journal = ReplyStore(scratch / "replies.sqlite")
    client = Client(load_player(settings.explorer), journal=journal)
    rows = [explored(sample, tools, client, settings) for sample in progress.track(samples, LABEL)]
    taught = [
        lesson_row
        for pair in zip(samples, rows, strict=True)
        if (lesson_row := lesson(*pair, tools)) is not None
    ]
    if not taught:
        raise DataError(
            f"no query for any of {len(samples)} prompts found evidence of its answer: take other stores, or"
            " another explorer"
        )
    pairs = [pair for sample, row in zip(samples, rows, strict=True) for pair in paired(sample, row, tools)]
    io.write_jsonl(out / "instructions.jsonl", taught)
    io.write_jsonl(out / FILE, pairs)
    io.write_jsonl(out / "explored.jsonl", rows)
    journal.delete()
    carry(data, out)
    return {
        "prompts": len(samples),
        "taught": len(taught),
        "pairs": len(pairs),
        "kinds": dict(sorted(Counter(pair["kind"] for pair in pairs).items())),
        "raw": {name: _share([row["raw"][name] for row in rows]) for name in tools},
        "best": {name: _share([_best(row, name) is not None for row in rows]) for name in tools},
    }


def store_tools(stores: Mapping[str, str]) -> dict[str, Tool]:
    """Make a tool `search_NAME` for each store.

    Args:
        stores: name -> file of passages or store.

    Returns:
        Tools by name of the store, sorted.

    Raises:
        DataError: a store that cannot be opened.
    """
    (search,) = describe_tools(["search"])
    return {
        name: replace(bind(search, library=open_library(path)), name=f"search_{name}",
                      description=f"{search.description} This library is {name}.")
        for name, path in sorted(stores.items())
    }  # fmt: skip


def asked(sample: Sample, tools: Mapping[str, Tool], note: str = "") -> tuple[Message, ...]:
    """Build the question with the request that `hetero` makes of its role `queries`.

    Args:
        sample: the prompt.
        tools: by name of the store.
        note: added at the end.

    Returns:
        Messages of the conversation.
    """
    listed = "\n".join(f"<{tag}></{tag}>: {tool.description}" for tag, tool in tools.items())
    last = user("hetero_queries", sources=listed, most=MOST)
    return (*sample.prompt.messages, Message("user", (f"{last.text}\n\n{note}".strip(),)))


def explored(
    sample: Sample, tools: Mapping[str, Tool], client: Client, settings: QueriesSettings
) -> dict[str, Any]:
    """Sample query sets for each store, and judge whether what they fetch supports the answer.

    Args:
        sample: the prompt with its gold answer.
        tools: by name of the store.
        client: asks the explorer.
        settings: number of sets, and results that count.

    Returns:
        A row of explored.jsonl: {id, sets: {store: [{queries, found}]}, raw: {store: found}}; `raw` searches
        with the first 300 characters of the question itself. Sets that repeat an earlier one are left out.
    """
    # every store is asked `sets` times, each time for other words
    talks = [
        (name, asked(sample, {name: tool}, ATTEMPT.format(number=n, sets=settings.sets)))
        for name, tool in tools.items()
        for n in range(1, settings.sets + 1)
    ]
    outcomes = client.ask([talk for _, talk in talks])
    supports = supporting(sample, settings.gold)
    sets: dict[str, list[dict[str, Any]]] = {name: [] for name in tools}
    for (name, _), outcome in zip(talks, outcomes, strict=True):
        written = queries_of(outcome.text, {name: tools[name]}).get(name, [])
        # a set is a hit when any of its queries fetches supporting evidence among the first `top` results
        if written and written not in [item["queries"] for item in sets[name]]:
            hit = any(
                supports(item) for query in written for item in _fetched(tools[name], query, settings.top)
            )
            sets[name].append({"queries": written, "found": hit})
    # the baseline: the question itself as the query, cut to 300 characters
    raw = sample.prompt.messages[-1].text[:300]
    hits = {
        name: any(supports(item) for item in _fetched(tool, raw, settings.top))
        for name, tool in tools.items()
    }
    return {"id": sample.id, "sets": sets, "raw": hits}


def supporting(sample: Sample, gold: str) -> Any:
    """Make the function that decides whether evidence supports the answer of a sample.

    Args:
        sample: with its gold answer.
        gold: key of `meta` with ids of documents that answer; "": all words of the answer must occur.

    Returns:
        A function of Evidence to bool.
    """
    if gold:
        named = {str(id) for id in io.noted(sample).get(gold) or ()}
        return lambda evidence: evidence.id.partition("#")[0] in named or evidence.id in named
    requested = gold_words(sample)
    return lambda evidence: bool(requested) and requested <= words_of(evidence.text)


def lesson(sample: Sample, row: Mapping[str, Any], tools: Mapping[str, Tool]) -> Sample | None:
    """Write the row for train.sft: the question with the queries that found evidence.

    Args:
        sample: the prompt.
        row: of explored.jsonl.
        tools: by name of the store.

    Returns:
        A conversation; None where no query found evidence.
    """
    best = {name: queries_of_store for name in tools if (queries_of_store := _best(row, name)) is not None}
    if not best:
        return None
    messages = (*asked(sample, tools), Message("assistant", (written(best),)))
    return replace(sample, id=f"{sample.id}/queries", messages=messages, target="", choices=())


def paired(sample: Sample, row: Mapping[str, Any], tools: Mapping[str, Tool]) -> Iterator[dict[str, Any]]:
    """Form preference pairs that differ in the queries of one store.

    Args:
        sample: the prompt.
        row: of explored.jsonl.
        tools: by name of the store.

    Yields:
        Rows of pairs.jsonl, at most one for each store.
    """
    best = {name: queries_of_store for name in tools if (queries_of_store := _best(row, name)) is not None}
    if not best:
        return
    messages = [io.to_json(message) for message in asked(sample, tools)]
    for name in tools:
        wrong = next((item["queries"] for item in row["sets"][name] if not item["found"]), None)
        if wrong is None:
            continue
        worse = {tag: wrong if tag == name else best[tag] for tag in tools if tag in best or tag == name}
        kind = "wrong query" if name in best else "needless"
        texts = {"messages": messages, "chosen": written(best), "rejected": written(worse)}
        yield {"id": f"{sample.id}/{name}", "kind": kind, "store": name, **texts}


def written(queries_by_store: Mapping[str, Sequence[str]]) -> str:
    """Write queries as the role `queries` writes them.

    Args:
        queries_by_store: store -> queries.

    Returns:
        An element <store> for each store, one query a line.
    """
    return "\n".join(f"<{tag}>{chr(10).join(lines)}</{tag}>" for tag, lines in queries_by_store.items())


def _best(row: Mapping[str, Any], name: str) -> list[str] | None:
    """The shortest set of a store that found evidence."""
    good = [item["queries"] for item in row["sets"][name] if item["found"]]
    return min(good, key=len) if good else None


def _fetched(tool: Tool, query: str, top: int) -> tuple[Evidence, ...]:
    result = tool.run(query=query)
    return tuple(result.evidence[:top])


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / max(1, len(values)), 4)
