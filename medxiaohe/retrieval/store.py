"""The Store protocol, which every index of knowledge implements, and combined stores: fused, reranked,
filtered, routed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from medxiaohe.errors import DataError
from medxiaohe.types import Evidence, ImageRef

Query = str | ImageRef
MOST_CHARACTERS = 10_000  # of one query: a page or two
RANK_OFFSET = 60  # k of reciprocal rank fusion (Cormack et al. 2009)
DEPTH = 100  # results of each store that are fused or filtered


class Store(Protocol):
    """Documents that can be searched, many queries at once, and read in full."""

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search for passages, many queries at once.

        Args:
            queries: texts; an image store also takes images.
            top: most results of a query.

        Returns:
            for each query its results, best first; equal scores in the order of their ids.

        Raises:
            DataError: a query or `top` that cannot be searched for (`check`).
        """
        ...

    def get(self, id: str) -> Evidence:
        """Read a full document, by its id or that of a result.

        Args:
            id: of a document or a chunk.

        Returns:
            the document

        Raises:
            DataError: there is none.
        """
        ...


def check(queries: Sequence[Query], top: int) -> None:
    """Refuse what no store can search for.

    Args:
        queries: only texts are checked.
        top: number of results.

    Raises:
        DataError: `top` below 1; a query that is empty or longer than 10,000 characters.
    """
    if top < 1:
        raise DataError(f"top is {top}: ask for 1 result or more")
    for query in queries:
        if not isinstance(query, str):
            continue
        if not query.strip():
            raise DataError("the query is empty: say what to look for")
        if len(query) > MOST_CHARACTERS:
            raise DataError(
                f"the query has {len(query):,} characters, more than {MOST_CHARACTERS:,}: ask less"
            )


@dataclass(frozen=True)
class Fused:
    """Several stores by reciprocal rank fusion: the score of a result is the sum of weight / (60 + rank)
    (Cormack et al. 2009, section 2).
    """

    stores: Sequence[Store]
    weights: Sequence[float] = ()
    depth: int = DEPTH

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search all stores and fuse their results by reciprocal rank (Cormack et al. 2009).

        Args:
            queries: texts or images, as every store takes them.
            top: most results of a query.

        Returns:
            for each query the results, best first; the score is the sum of weight / (60 + rank).

        Raises:
            DataError: a query or `top` is not valid (`check`).
        """
        check(queries, top)
        weights = self.weights or [1.0] * len(self.stores)
        lists = [store.search(queries, max(top, self.depth)) for store in self.stores]
        return [_fused([ranked[i] for ranked in lists], weights)[:top] for i in range(len(queries))]

    def get(self, id: str) -> Evidence:
        """Read a full document from the first store that has it.

        Args:
            id: of a document or a chunk.

        Returns:
            the document.

        Raises:
            DataError: no store has it.
        """
        return _get(self.stores, id)


def _fused(lists: Sequence[Sequence[Evidence]], weights: Sequence[float]) -> tuple[Evidence, ...]:
    scores: dict[str, float] = {}
    items: dict[str, Evidence] = {}
    for ranked, weight in zip(lists, weights, strict=True):
        # RRF: score(d) = sum over lists of weight / (60 + rank of d)
        for rank, item in enumerate(ranked, 1):
            scores[item.id] = scores.get(item.id, 0.0) + weight / (RANK_OFFSET + rank)
            items.setdefault(item.id, item)
    # equal scores in the order of their ids
    order = sorted(items, key=lambda id: (-scores[id], id))
    return tuple(replace(items[id], score=scores[id]) for id in order)


@dataclass(frozen=True)
class Reranked:
    """A store whose first results are sorted by a second score of query and passage: that of a
    cross-encoder (models/rerank.py). Deeper results follow in their order.
    """

    store: Store
    score: Callable[[Sequence[tuple[str, str]]], Sequence[float]]
    depth: int = 20

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search the store and sort the first `depth` results again by the cross-encoder.

        Args:
            queries: texts.
            top: most results of a query.

        Returns:
            for each query the results, best first. Results below `depth` keep their order, with scores 1,
            2, ... below the lowest score of the cross-encoder.

        Raises:
            DataError: a query or `top` is not valid (`check`).
        """
        check(queries, top)
        lists = self.store.search(queries, max(top, self.depth))
        heads = [ranked[: self.depth] for ranked in lists]
        pairs = [(query, item.text) for query, head in zip(queries, heads, strict=True) for item in head]
        scores = iter(self.score(pairs) if pairs else ())
        results = []
        for ranked, head in zip(lists, heads, strict=True):
            scored = [replace(item, score=float(next(scores))) for item in head]
            scored.sort(key=lambda item: (-item.score, item.id))
            # scores of two kinds do not compare: what follows lies below the last one that was scored
            lowest = scored[-1].score if scored else 0.0
            rest = [replace(item, score=lowest - n) for n, item in enumerate(ranked[self.depth :], 1)]
            results.append((*scored, *rest)[:top])
        return results

    def get(self, id: str) -> Evidence:
        """Read a full document.

        Args:
            id: of a document or a chunk.

        Returns:
            the document.

        Raises:
            DataError: there is none.
        """
        return self.store.get(id)


def matching(
    sources: Sequence[str] = (), levels: Sequence[str] = (), licenses: Sequence[str] = (),
    since: str = "", until: str = "",
) -> Callable[[Evidence], bool]:  # fmt: skip
    """Build a predicate on metadata, for `Filtered`.

    Args:
        sources: substrings of the source, of which one must occur; case does not matter.
        levels: levels of authority, A to E, of which one must be that of the document.
        licenses: substrings of the licence, of which one must occur.
        since: earliest date: YYYY, YYYY-MM or YYYY-MM-DD.
        until: latest date. A document without a date passes no limit of dates.

    Returns:
        a function that says whether a document passes every condition.

    Raises:
        DataError: an unknown level, or an invalid date.
    """
    if wrong := next((level for level in levels if level not in "ABCDE" or len(level) != 1), None):
        raise DataError(f"level is A, B, C, D or E, not {wrong!r}")
    for date in filter(None, (since, until)):
        if not re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", date):
            raise DataError(f"{date!r} is no date: write YYYY, YYYY-MM or YYYY-MM-DD")

    def accepts(document: Evidence) -> bool:
        return (
            (not sources or any(part.casefold() in document.source.casefold() for part in sources))
            and (not levels or document.level in levels)
            and (not licenses or any(part.casefold() in document.license.casefold() for part in licenses))
            and (not since or (bool(document.date) and document.date[: len(since)] >= since))
            and (not until or (bool(document.date) and document.date[: len(until)] <= until))
        )

    return accepts


@dataclass(frozen=True)
class Filtered:
    """Results of a store that a predicate accepts; the search goes deeper until there are enough."""

    store: Store
    accepts: Callable[[Evidence], bool]

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search the store for results that the predicate accepts.

        Args:
            queries: as the store takes them.
            top: most results of a query.

        Returns:
            for each query the accepted results, best first; fewer than `top` only where the store has no
            more. The depth of the search grows fourfold until there are enough.

        Raises:
            DataError: a query or `top` is not valid (`check`).
        """
        check(queries, top)
        return [self._search(query, top) for query in queries]

    def get(self, id: str) -> Evidence:
        """Read a full document; the predicate is not applied.

        Args:
            id: of a document or a chunk.

        Returns:
            the document.

        Raises:
            DataError: there is none.
        """
        return self.store.get(id)

    def _search(self, query: str, top: int) -> tuple[Evidence, ...]:
        depth = max(top, DEPTH)
        while True:
            (results,) = self.store.search([query], depth)
            accepted = tuple(item for item in results if self.accepts(item))[:top]
            if len(accepted) == top or len(results) < depth:
                return accepted
            depth *= 4


@dataclass(frozen=True)
class Routed:
    """One of several stores for each query, selected by `route`: by its language, for example."""

    stores: Mapping[str, Store]
    route: Callable[[str], str]

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search for each query the store that it is routed to; queries of one store go there together.

        Args:
            queries: texts.
            top: most results of a query.

        Returns:
            for each query the results of its store, in the order of the queries.

        Raises:
            DataError: a query or `top` is not valid (`check`), or a query is routed to a store that does
                not exist.
        """
        check(queries, top)
        names = [self.route(query) for query in queries]
        if unknown := next((name for name in names if name not in self.stores), None):
            raise DataError(f"a query is routed to {unknown!r}, and the stores are {', '.join(self.stores)}")
        results: dict[int, tuple[Evidence, ...]] = {}
        for name in dict.fromkeys(names):
            mine = [i for i, own in enumerate(names) if own == name]
            answers = self.stores[name].search([queries[i] for i in mine], top)
            results.update(zip(mine, answers, strict=True))
        return [results[i] for i in range(len(queries))]

    def get(self, id: str) -> Evidence:
        """Read a full document from the first store that has it.

        Args:
            id: of a document or a chunk.

        Returns:
            the document.

        Raises:
            DataError: no store has it.
        """
        return _get(list(self.stores.values()), id)


def _get(stores: Sequence[Store], id: str) -> Evidence:
    for store in stores:
        try:
            return store.get(id)
        except DataError:
            continue
    raise DataError(f"no store has a document {id!r}")
