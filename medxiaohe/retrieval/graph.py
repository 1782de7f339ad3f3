"""Graph store: facts of an entity tree and of CMeKG, in one SQLite file that is read in place.

    graph.sqlite   node(id, code, name), name(key, node), relation(id, subject, predicate, object, value, ...)
    store.json     format, counts and the size of the file

The document of a node is the list of facts it is the subject of, one a line; the span of a fact is its line.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError, StorageError
from medxiaohe.retrieval.corpus import FORMAT, RECORD, read_record
from medxiaohe.retrieval.store import check
from medxiaohe.retrieval.words import terms
from medxiaohe.types import Evidence, Locator, Relation

FILE = "graph.sqlite"
CMEKG = "cmekg"
CMEKG_LICENSE = "MIT (cmekg authors)"
CMEKG_NAMES = ("英文名", "英文名称", "别称", "别名", "商品名", "通用名")  # predicates whose objects are names
LONGEST_NAME = 24  # Chinese characters of the longest name that is searched for in a query
MOST_WORDS = 6  # English words of such a name
MOST_SEARCHED = 300  # characters of a query that are searched for names
TABLES = """
CREATE TABLE node (id INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE name (key TEXT NOT NULL, node INTEGER NOT NULL, PRIMARY KEY (key, node)) WITHOUT ROWID;
CREATE TABLE relation (id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, predicate TEXT NOT NULL,
                       object INTEGER, value REAL, source TEXT NOT NULL, license TEXT NOT NULL);
"""
INDEXES = """
CREATE INDEX relation_subject ON relation (subject);
CREATE INDEX relation_object ON relation (object);
CREATE INDEX node_code ON node (code);
"""
FACTS = """
SELECT r.id, r.subject, s.name, r.predicate, o.name, r.value, r.source, r.license
FROM relation r JOIN node s ON s.id = r.subject LEFT JOIN node o ON o.id = r.object
"""
Fact = tuple[int, int, str, str, str | None, float | None, str, str]


def cmekg(folder: Path) -> Iterator[Relation | tuple[str, str]]:
    """Read the facts of the asset cmekg.

    Args:
        folder: of the asset, with relations.jsonl.

    Yields:
        facts, and (node, name) for the other names of a node.
    """
    for row in io.read_jsonl(folder / "relations.jsonl"):
        for predicate, objects in row["relations"].items():
            for target in objects:
                yield Relation(row["subject"], predicate, target, source=CMEKG, license=CMEKG_LICENSE)
                if predicate in CMEKG_NAMES:
                    yield row["subject"], target


def tree(folder: Path) -> Iterator[Relation | tuple[str, str]]:
    """Read the facts of an entity tree, with entities by their names.

    Args:
        folder: of the tree, with relations.jsonl.

    Yields:
        (node, name) for names, synonyms and ids of entities, then facts with two entities of the tree, or
        with one and a value.
    """
    entities = Tree.load(folder).entities
    for entity in entities.values():
        for name in (entity.name, *entity.synonyms):
            yield entity.name, name
        yield entity.name, entity.id
    for row in io.read_jsonl(folder / "relations.jsonl"):
        ends = [entities[row[end]].name if row.get(end) in entities else "" for end in ("subject", "object")]
        if ends[0] and (ends[1] or row.get("value") is not None):
            yield Relation(
                ends[0],
                row["predicate"],
                ends[1],
                row.get("value"),
                row.get("source", ""),
                row.get("license", ""),
            )


def build_graph(folder: Path, facts: Iterable[Relation | tuple[str, str]]) -> dict[str, Any]:
    """Build a graph store in an empty folder.

    Args:
        folder: a draft, which the caller publishes.
        facts: relations between nodes by their names, and (node, name) for other names of a node.

    Returns:
        {"nodes": n, "relations": n, "names": n}

    Raises:
        DataError: no relation.
        StorageError: the file cannot be written.
    """
    nodes: dict[str, int] = {}
    relations = 0
    try:
        database = sqlite3.connect(folder / FILE)
        try:
            database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + TABLES)

            def node(name: str) -> int:
                if name not in nodes:
                    nodes[name] = len(nodes) + 1
                    database.execute("INSERT INTO node VALUES (?, ?, ?)", (nodes[name], name, name))
                    also(nodes[name], name)
                return nodes[name]

            def also(number: int, name: str) -> None:
                if key := _key(name):
                    database.execute("INSERT OR IGNORE INTO name VALUES (?, ?)", (key, number))

            for fact in facts:
                if isinstance(fact, tuple):
                    also(node(fact[0]), fact[1])
                    continue
                relations += 1
                row = (
                    relations, node(fact.subject), fact.predicate, node(fact.object) if fact.object else None,
                    fact.value, fact.source, fact.license,
                )  # fmt: skip
                database.execute("INSERT INTO relation VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            database.executescript(INDEXES)
            (names,) = database.execute("SELECT COUNT(*) FROM name").fetchone()
            database.commit()
        finally:
            database.close()
    except sqlite3.Error as error:
        raise StorageError(f"{folder / FILE} cannot be written: {error}") from error
    if not relations:
        raise DataError("there is no relation to index: a store of nothing finds nothing")
    counts = {"nodes": len(nodes), "relations": relations, "names": names}
    files = {FILE: (folder / FILE).stat().st_size}
    io.write_json(folder / RECORD, {"kind": "graph", "format": FORMAT, **counts, "files": files})
    return counts


class GraphStore:
    """Graph store that `build_graph` wrote."""

    pure = True

    def __init__(self, folder: Path):
        """Open a folder; DataError where it holds no graph store, or one that is truncated."""
        self.folder = folder
        self.record = read_record(folder, "graph")
        path = f"file:{(folder / FILE).absolute()}?mode=ro&immutable=1"
        # tools run in threads of their own, one at a time
        self._database = sqlite3.connect(path, uri=True, check_same_thread=False)
        self._lines = lru_cache(1024)(self._document_of)

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search facts by the names of nodes in each query.

        Args:
            queries: texts.
            top: most facts of a query.

        Returns:
            for each query its facts, best first: longer names first, and facts whose predicate or other
            end is in the query before the others.

        Raises:
            DataError: a query or `top` that cannot be searched for.
        """
        check(queries, top)
        return [self._search(query, top) for query in queries]

    def get(self, id: str) -> Evidence:
        """Read all facts of which a node is the subject, as one document.

        Args:
            id: code of a node, or "relation/N" for the subject of that fact.

        Returns:
            a document with one fact a line.

        Raises:
            DataError: there is no such node, or it is the subject of no fact.
        """
        number = id.removeprefix("relation/")
        if id.startswith("relation/") and number.isdigit():
            rows = self._database.execute(
                "SELECT subject FROM relation WHERE id = ?", (int(number),)
            ).fetchall()
        else:
            rows = self._database.execute("SELECT id FROM node WHERE code = ?", (id,)).fetchall()
        if not rows or not (document := self._lines(rows[0][0]))[0]:
            raise DataError(f"{self.folder} has no facts of {id!r}")
        text, sha256, _, name = document
        return Evidence(name, text, "graph", kind="relation", sha256=sha256)

    def verify(self) -> int:
        """Run SQLite's quick_check on the file.

        Returns:
            number of nodes, as the record of the store says.

        Raises:
            DataError: the file is damaged.
        """
        (state,) = self._database.execute("PRAGMA quick_check").fetchone()
        if state != "ok":
            raise DataError(f"{self.folder / FILE} is damaged ({state}): build it again")
        return int(self.record["nodes"])

    def about(self, name: str, predicate: str = "", other: str = "", top: int = 30) -> tuple[Evidence, ...]:
        """Look up facts of the nodes that have a name, as subject or object.

        Args:
            name: of a node; case does not matter.
            predicate: only predicates that contain this text; "" for all.
            other: only facts with this name at the other end; "" for all.
            top: most facts.

        Returns:
            facts with a score of 1; those of which the node is the subject come first. Empty where there
            is none.
        """
        facts = [
            fact
            for node in self._nodes(name)
            for fact in self._facts(node)
            if (not predicate or _key(predicate) in _key(fact[3]))
            and (not other or _key(other) in (_key(fact[2]), _key(fact[4] or "")))
        ]
        return tuple(self._evidence(fact, 1.0) for fact in dict.fromkeys(facts))[:top]

    def mentions(self, text: str) -> list[tuple[int, int, int]]:
        """Find the names of nodes in a text by longest match.

        Args:
            text: compared without regard to case.

        Returns:
            (start, end, node) in characters, in order, none inside a longer one; a name of several nodes
            has a row for each.
        """
        return sorted(self._mentions(text))

    def name(self, node: int) -> str:
        """Look up the name of a node.

        Args:
            node: number of the node, which must exist.

        Returns:
            the name that it was built with.
        """
        return str(self._database.execute("SELECT name FROM node WHERE id = ?", (node,)).fetchone()[0])

    def degree(self, node: int) -> int:
        """Count the facts of a node.

        Returns:
            number of facts with it as subject plus those with it as object; a fact about itself counts
            twice.
        """
        counts = self._database.execute(
            "SELECT (SELECT COUNT(*) FROM relation WHERE subject = ?) + "
            "(SELECT COUNT(*) FROM relation WHERE object = ?)",
            (node, node),
        )
        return int(counts.fetchone()[0])

    def edges(self, node: int) -> list[tuple[int, Evidence]]:
        """List the facts of a node that have two ends.

        Returns:
            (node at the other end, fact); those of which the node is the subject come first.
        """
        query = "SELECT r.id, r.subject, r.object FROM relation r WHERE r.subject = ? OR r.object = ?"
        ends = {id: (a, b) for id, a, b in self._database.execute(query, (node, node)) if b is not None}
        return [
            (ends[fact[0]][1] if ends[fact[0]][0] == node else ends[fact[0]][0], self._evidence(fact, 1.0))
            for fact in self._facts(node)
            if fact[0] in ends
        ]

    def neighbours(self, node: int) -> set[int]:
        """List the nodes that share a fact with a node.

        Returns:
            numbers of nodes, the node itself excluded.
        """
        rows = self._database.execute(
            "SELECT object FROM relation WHERE subject = ?"
            " UNION SELECT subject FROM relation WHERE object = ?",
            (node, node),
        )
        return {neighbour for (neighbour,) in rows if neighbour is not None and neighbour != node}

    def knows(self, name: str) -> bool:
        """Say whether any node has this name.

        Args:
            name: case and repeated blanks do not matter.

        Returns:
            True where it is the name or another name of a node.
        """
        return bool(self._nodes(name))

    def _search(self, query: str, top: int) -> tuple[Evidence, ...]:
        named = list(self._named(_key(query[:MOST_SEARCHED])))
        query_terms = set(terms(query))
        scored: dict[Fact, float] = {}
        for rank, (key, node) in enumerate(named):
            # other names of the query, besides this one
            rest = {name for name, _ in named} - {key}
            for fact in self._facts(node):
                about = set(terms(fact[3]))
                end = _key(fact[4] or "") if fact[1] == node else _key(fact[2])
                # share of the predicate's terms that are in the query
                share = len(about & query_terms) / len(about) if about else 0.0
                # long and early names first; +10 for the predicate, +20 for the other end in the query, +1 as
                # subject
                score = len(key) / (1 + rank) + 10 * share + 20 * (end in rest) + (fact[1] == node)
                scored[fact] = max(score, scored.get(fact, 0.0))
        order = sorted(scored, key=lambda fact: (-scored[fact], fact[0]))
        return tuple(self._evidence(fact, scored[fact]) for fact in order[:top])

    def _named(self, query: str) -> Iterator[tuple[str, int]]:
        """(name, node) of the names in a query, the longest first, none inside another one."""
        for start, end, node in self._mentions(query):
            yield query[start:end], node

    def _mentions(self, query: str) -> Iterator[tuple[int, int, int]]:
        """(start, end, node) of the same."""
        # words, and single Chinese characters: a name begins and ends at the border of a run
        runs = [(m.start(), m.end()) for m in re.finditer(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+", query)]
        spans: set[tuple[int, int]] = {(0, len(query))}
        for first, (start, _) in enumerate(runs):
            for last in range(first, min(first + LONGEST_NAME, len(runs))):
                # runs of more than one character are English words
                words = sum(end - begin > 1 for begin, end in runs[first : last + 1])
                if words <= MOST_WORDS:
                    spans.add((start, runs[last][1]))
        taken: list[tuple[int, int]] = []
        # longest spans first; a span that overlaps an accepted one is dropped
        for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
            if end - start < 2 or any(start < high and low < end for low, high in taken):
                continue
            if nodes := self._nodes(query[start:end].strip("?？!！。,，.;:")):
                taken.append((start, end))
                yield from ((start, end, node) for node in nodes)

    def _nodes(self, name: str) -> list[int]:
        rows = self._database.execute("SELECT node FROM name WHERE key = ? ORDER BY node", (_key(name),))
        return [node for (node,) in rows]

    def _facts(self, node: int) -> list[Fact]:
        condition = "WHERE r.subject = ? OR r.object = ? ORDER BY r.subject != ?, r.id"
        return self._database.execute(f"{FACTS} {condition}", (node, node, node)).fetchall()

    def _document_of(self, node: int) -> tuple[str, str, dict[int, tuple[int, int]], str]:
        """Text, hash, span of each fact, and name of the document of a node."""
        lines, spans, at, name = [], {}, 0, ""
        for fact in self._database.execute(f"{FACTS} WHERE r.subject = ? ORDER BY r.id", (node,)):
            line, name = _line(fact), fact[2]
            spans[fact[0]] = (at, at + len(line))
            lines.append(line)
            at += len(line) + 1
        text = "\n".join(lines)
        return text, hashlib.sha256(text.encode()).hexdigest(), spans, name

    def _evidence(self, fact: Fact, score: float) -> Evidence:
        _, sha256, spans, _ = self._lines(fact[1])
        return Evidence(
            f"relation/{fact[0]}", _line(fact), fact[6], score=score, kind="relation", sha256=sha256,
            at=Locator(span=spans[fact[0]]), license=fact[7],
        )  # fmt: skip


def _line(fact: Fact) -> str:
    value = "" if fact[5] is None else f" {fact[5]:g}"
    return f"{fact[2]} | {fact[3]}{value}{f' | {fact[4]}' if fact[4] else ''}"


def _key(name: str) -> str:
    return " ".join(name.casefold().split())
