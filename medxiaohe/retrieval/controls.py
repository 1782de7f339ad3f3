"""Negative controls of a knowledge source: the gain of a workflow with the right source counts only
compared with these.

none       no source: tools that search are left out
dead       the source fails at the first query: RetrieverDown, which ends a run
exchanged  searched unchanged, but each document is returned with the text of another one
rewired    a graph in which every node keeps the number of its facts of each kind, and their other ends are
           drawn at random: what is left of a gain is due to degree alone (Maslov and Sneppen 2002)
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from medxiaohe import assets, io
from medxiaohe.errors import ConfigError, RetrieverDown, StorageError
from medxiaohe.retrieval.cases import Cases
from medxiaohe.retrieval.corpus import RECORD
from medxiaohe.retrieval.graph import FILE, GraphStore
from medxiaohe.retrieval.store import Store, check
from medxiaohe.types import Evidence

# resources of tools that are sources of knowledge
SOURCES = ("library", "graph", "guidelines", "interactions", "renal_doses", "cases")
Knowledge = Literal["right", "none", "dead", "exchanged", "rewired"]


class Dead:
    """A store that cannot be reached."""

    pure = False

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Fail, as a retriever does that is down.

        Raises:
            RetrieverDown: always.
        """
        raise RetrieverDown("the source is the control `dead`, which answers nothing: this run is its test")

    def get(self, id: str) -> Evidence:
        """Fail, as a retriever does that is down.

        Raises:
            RetrieverDown: always.
        """
        return self.search([id], 1)[0][0]

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **named: self.search([], 1)


@dataclass(frozen=True)
class Exchanged:
    """A store whose results have the text of other documents of a pool; ids, ranks and scores are those of
    the right ones.
    """

    store: Store
    pool: tuple[Evidence, ...]
    seed: int = 0
    pure: bool = True

    def __post_init__(self) -> None:
        if len({document.text for document in self.pool}) < 2:
            raise ConfigError("the control `exchanged` needs two texts that differ")

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search the store and exchange the texts of its results.

        Args:
            queries: texts.
            top: results for each query at most.

        Returns:
            results whose ids, ranks and scores are those of the store, and whose texts are not
        """
        check(queries, top)
        return [tuple(map(self._other, results)) for results in self.store.search(queries, top)]

    def get(self, id: str) -> Evidence:
        """Read the document of an id with the text of another one of the pool.

        Returns:
            the document with the text, digest and locator of another one.

        Raises:
            DataError: there is no document of this id.
        """
        return self._other(self.store.get(id))

    def _other(self, document: Evidence) -> Evidence:
        draw = random.Random(f"{self.seed} {document.id}")
        while (replacement := self.pool[draw.randrange(len(self.pool))]).text == document.text:
            pass
        return replace(document, text=replacement.text, sha256=replacement.sha256, at=replacement.at)


def controlled(name: str, source: Any, knowledge: Knowledge, seed: int = 0) -> Any:
    """Replace a source of knowledge by one of its controls.

    Args:
        name: of the resource: library, graph, guidelines, cases ...
        source: the right one.
        knowledge: which control; `none` leaves the tool out and is not handled here.
        seed: of the random exchange or rewiring.

    Returns:
        the control, or the source itself for every other value of `knowledge`.

    Raises:
        ConfigError: the control is not there for such a source.
    """
    if knowledge == "dead":
        return Dead()
    if knowledge == "rewired" and isinstance(source, GraphStore):
        cache = assets.cache_root() / "controls"
        return rewired(
            source, cache / f"{io.fingerprint([source.record, io.digest(source.folder), seed])}", seed
        )
    if knowledge == "exchanged" and not isinstance(source, GraphStore):
        if isinstance(source, Cases):
            texts = [case.text for case in source.cases]
            turned = zip(source.cases, (*texts[1:], texts[0]), strict=True)
            return Cases([replace(case, text=text) for case, text in turned])
        return exchanged(source, seed)
    if knowledge == "exchanged":
        raise ConfigError(
            f"the control of {name}, a graph, is `rewired`: leave its tools out for `exchanged`"
        )
    return source


def exchanged(store: Store, seed: int = 0) -> Exchanged:
    """Build the control of a store whose documents come with texts of other documents.

    Args:
        store: a library of passages, or a text or dense store.
        seed: of the random choice, which depends on the id of the document too.

    Returns:
        a store with the same ids, ranks and scores.

    Raises:
        ConfigError: its documents cannot be listed, or it has but one text.
    """
    corpus = getattr(store, "corpus", None)
    if corpus is not None:
        texts = (
            Evidence(document.id, document.text, "", sha256=document.sha256) for document in corpus.every()
        )
        return Exchanged(store, tuple(texts), seed)
    pool = getattr(store, "passages", None)
    if pool is None:
        raise ConfigError(
            "the control `exchanged` is for a file of passages, a text or a dense store; for a graph it is"
            " `rewired`"
        )
    return Exchanged(store, tuple(pool), seed)


def rewired(store: GraphStore, folder: Path, seed: int = 0) -> GraphStore:
    """Build the rewired control of a graph (Maslov and Sneppen 2002): the objects of each predicate are
    permuted among its subjects, so each node keeps its number of facts of each predicate.

    Args:
        store: the right graph.
        folder: where the control is published; opened again where it exists.
        seed: of the permutation.

    Returns:
        the rewired graph.

    Raises:
        StorageError: the file cannot be written.
    """
    with io.in_turn(folder):
        if not (folder / io.MANIFEST).is_file():
            with io.publish(folder) as draft:
                shutil.copyfile(store.folder / FILE, draft / FILE)
                _deal(draft / FILE, seed)
                files = {FILE: (draft / FILE).stat().st_size}
                io.write_json(draft / RECORD, {**store.record, "files": files, "rewired": seed})
    return GraphStore(folder)


def _deal(file: Path, seed: int) -> None:
    try:
        database = sqlite3.connect(file)
        try:
            database.execute("PRAGMA journal_mode = OFF")
            predicates = database.execute("SELECT DISTINCT predicate FROM relation ORDER BY predicate")
            for (predicate,) in predicates.fetchall():
                query = (
                    "SELECT id, object FROM relation WHERE predicate = ? AND object IS NOT NULL ORDER BY id"
                )
                rows = database.execute(query, (predicate,)).fetchall()
                # a permutation of the objects among the facts of one predicate keeps every degree
                objects = [target for _, target in rows]
                random.Random(f"{seed} {predicate}").shuffle(objects)
                dealt = zip(objects, (id for id, _ in rows), strict=True)
                database.executemany("UPDATE relation SET object = ? WHERE id = ?", dealt)
            database.commit()
        finally:
            database.close()
    except sqlite3.Error as error:
        raise StorageError(f"{file} cannot be written: {error}") from error
