"""Attach new entities to a tree: cluster concepts, apply drop rules, classify kinds, rank parents, resolve
conflicts, merge (MedXIAOHE); for data.attach."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from medxiaohe.data.growing.rulings import library, rule
from medxiaohe.entity.linking.abbreviations import definitions
from medxiaohe.entity.linking.finder import Finder
from medxiaohe.entity.literature import cluster, conflicts, grow
from medxiaohe.entity.literature.attach import Parent, fit
from medxiaohe.entity.literature.kinds import Typed, Typer
from medxiaohe.entity.literature.parents import Skeleton
from medxiaohe.entity.literature.passages import Extraction, Found, Passage
from medxiaohe.entity.literature.vectors import Embedder
from medxiaohe.entity.literature.words import said_to_be
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError
from medxiaohe.types import Entity, Model

ENOUGH_TO_LEARN = 200  # nodes below others: of a kind with fewer, nothing can be attached
# of the nodes of a kind, taken out to learn from: a quarter of what the benchmark uses
FOLDS, NUM_QUERIES = 2, 1500


@dataclass(frozen=True)
class Rules:
    """The rules by which new entities are kept or dropped."""

    kinds: tuple[str, ...]  # that new entities may have
    min_mentions: int
    min_entities: int
    min_score: float


class Growth:
    """Attaches new entities to the tree; each of them ends in `attached`, `merges` or `dropped`."""

    def __init__(
        self, rules: Rules, tree: Tree, passages: Mapping[str, Passage], near: Embedder | None, names: Finder
    ):
        self.rules, self.tree, self.passages, self.near, self.names = rules, tree, passages, near, names
        self.entities: dict[str, Entity] = {}
        self.mentions: dict[str, list[Found]] = {}
        self.claimed: dict[str, str] = {}
        self.typed: dict[str, Typed] = {}
        self.parents: dict[str, list[Parent]] = {}
        self.decided_by: dict[str, str] = {}
        self.dropped: list[dict[str, Any]] = []
        self.merges: list[dict[str, Any]] = []
        self.conflicts: list[conflicts.Conflict] = []
        self.rulings: list[dict[str, Any]] = []
        self.known = 0

    def concepts(self, spans: Sequence[Found]) -> None:
        """Cluster spellings to concepts, without names that the tree has; apply the drop rules; classify each
        into a kind.

        Args:
            spans: of entities in the passages.
        """
        # spans whose name the tree lacks, as concepts: spellings and abbreviations of one entity together
        new = [item for item in spans if not self._is_known(item.surface)]
        self.known = len(spans) - len(new)
        frequent, rare = grow.often_enough(
            cluster.concepts(new, self._definitions(), self.near), self.rules.min_mentions
        )
        self.dropped += rare
        # by letters: better here than MiniLM (benchmarks/entity_literature.py)
        typer = Typer(self.tree, kinds=self.rules.kinds)
        results: list[Entity] = []
        for concept, typed in zip(frequent, typer.types([concept.name for concept in frequent]), strict=True):
            entity = grow.entity(
                concept, concept.type or typed.kind, self.passages, self._said(concept.mentions)
            )
            if entity.id in self.tree or entity.id in self.mentions:
                self.dropped.append(
                    {
                        "name": entity.name,
                        "type": entity.kind,
                        "mentions": len(concept.mentions),
                        "reason": "known already",
                    }
                )
                continue
            results.append(entity)
            self.mentions[entity.id], self.claimed[entity.id], self.typed[entity.id] = (
                concept.mentions,
                concept.type,
                typed,
            )
        # drop kinds of which too few entities are mentioned often enough, those of the tree counted in
        counts = {id: len(mentions) for id, mentions in self.mentions.items()}
        results, few = grow.held_types(results, self._seen(), counts, self.rules.min_entities)
        self.dropped += few
        self.entities = {item.id: item for item in results}

    def attach(self, model: Model | None) -> None:
        """Find parents for the new entities; drop those that get none, and merge near names below one parent.

        Args:
            model: rules on conflicts; None: they stay undecided, and their entities are dropped.
        """
        # conflicts of kind first: the parents of an entity are ranked among nodes of its kind
        for item in self.entities.values():
            if conflict := conflicts.of_kind(item, self.claimed[item.id], self.typed[item.id]):
                self.conflicts.append(conflict)
        self._rule(self.conflicts, model)
        # then conflicts of place, of entities whose kind is settled
        rankings = self._rankings()
        open_ = {row["id"] for row in self.rulings if row["status"] == "undecided"}
        detected = [
            conflicts.of_place(self.entities[id], ranking, self.tree)
            for id, ranking in rankings.items()
            if id not in open_
        ]
        self.conflicts += (new := [conflict for conflict in detected if conflict])
        self._rule(new, model)
        open_ = {row["id"] for row in self.rulings if row["status"] == "undecided"}
        # parents of what no ruling decided: another new entity by name, else those that score enough
        self._below_new_ones(rankings, open_)
        for id in list(self.entities):
            if id in open_:
                self._drop(id, "an undecided conflict")
            elif id not in self.parents and id in rankings:
                above = {p.id: set(self.tree.ancestors(p.id)) for p in rankings[id][:2]}
                if parents := grow.chosen(rankings[id], self.rules.min_score, above, self.tree.roots):
                    self.parents[id], self.decided_by[id] = parents, "score"
                else:
                    best = rankings[id][0] if rankings[id] else Parent("", 0, "")
                    self._drop(
                        id,
                        f"no parent below the domain is likely enough: the best is {best.id} with"
                        f" {best.score}",
                    )
            elif id not in self.parents:
                self._drop(id, "the tree has too few entities of its kind to learn from")
        self._drop_orphans()
        self._merge_layers()

    def _is_known(self, surface: str) -> bool:
        """Tell whether the whole surface is a name of the tree, as the linker finds it."""
        return any(m.start == 0 and m.end == len(surface) for m in self.names.find(surface))

    def _definitions(self) -> dict[str, Counter[str]]:
        result: dict[str, Counter[str]] = defaultdict(Counter)
        for passage in self.passages.values():
            for definition in definitions(passage.text):
                result[passage.text[definition.short_start : definition.short_end]][
                    passage.text[definition.long_start : definition.long_end]
                ] += 1
        return result

    def _said(self, mentions: Sequence[Found]) -> str:
        """Find the first statement of a passage of what the concept is."""
        return next(
            (
                phrase
                for mention in mentions
                if (phrase := said_to_be(self.passages[mention.passage].text, mention.end))
            ),
            "",
        )

    def _seen(self) -> Counter[str]:
        """Count, for each kind, the entities of the tree that the passages mention often enough: they count
        for their kind too.
        """
        count = Counter(m.entity for p in self.passages.values() for m in self.names.find(p.text))
        return Counter(self.tree.entities[id].kind for id, n in count.items() if n >= self.rules.min_mentions)

    def _rankings(self) -> dict[str, list[Parent]]:
        result: dict[str, list[Parent]] = {}
        for kind in sorted({item.kind for item in self.entities.values()}):
            # the ranker of a kind is fitted on nodes of the tree that are taken out and put back
            nodes = [entity for entity in self.tree.entities.values() if entity.kind == kind]
            queries = [item for item in self.entities.values() if item.kind == kind]
            if sum(bool(entity.parents) for entity in nodes) < ENOUGH_TO_LEARN:
                continue
            ranker = fit(nodes, self.near, folds=FOLDS, num_queries=NUM_QUERIES)
            ranked = ranker.rank(Skeleton(nodes, self.near), queries)
            result |= {query.id: ranking for query, ranking in zip(queries, ranked, strict=True)}
        return result

    def _rule(self, pending: Sequence[conflicts.Conflict], model: Model | None) -> None:
        if not pending:
            return
        if model is None:
            none = {"status": "undecided", "why": "no model was given to rule", "decision": None}
            self.rulings += [
                {"id": c.entity, "name": c.name, "conflict": c.kind, "question": c.question, **none}
                for c in pending
            ]
            return
        for ruling in rule(pending, model, library(list(self.passages.values()), self.tree)):
            self.rulings.append(ruling)
            if ruling["status"] == "decided":
                self._obey(ruling["id"], ruling["decision"])

    def _obey(self, id: str, decision: Mapping[str, str]) -> None:
        self.decided_by[id] = "ruling"
        if decision["do"] == "kind":
            self.entities[id] = replace(self.entities[id], kind=decision["id"])
        elif decision["do"] == "same":
            self._merge(id, decision["id"], "ruling", "the agent ruled that it is another name of it")
        else:
            self.parents[id] = [
                Parent(parent, 1.0, "the agent ruled so: rulings.jsonl") for parent in decision["id"].split()
            ]

    def _below_new_ones(self, rankings: Mapping[str, Sequence[Parent]], open_: set[str]) -> None:
        """Place a new entity below another new one, where the names say so and no node of the tree has a name
        that says so.
        """
        usable = [item for item in self.entities.values() if item.id not in open_]
        for id, (parent, why) in grow.below_new_ones(usable).items():
            if (
                id not in self.parents
                and parent not in open_
                and not (rankings.get(id) and "ends with" in rankings[id][0].why)
            ):
                self.parents[id], self.decided_by[id] = [Parent(parent, 1.0, why)], "name of a new entity"

    def _drop_orphans(self) -> None:
        """Drop entities below a new entity that is not attached."""

        def is_lost(parents: Sequence[Parent]) -> bool:
            return any(parent.id not in self.tree and parent.id not in self.parents for parent in parents)

        while lost := [id for id, parents in self.parents.items() if is_lost(parents)]:
            for id in lost:
                del self.parents[id]
                self._drop(id, "its parent, a new entity, is not attached")

    def _merge_layers(self) -> None:
        ids = sorted(self.parents)
        names = [self.entities[id].name for id in ids]
        # new entities below one parent are merged where the similarity of their names is at most 0.05 below
        # that of spellings of one concept
        least = cluster.LEAST[self.near is not None] - 0.05
        may = {
            (min(ids[a], ids[b]), max(ids[a], ids[b])) for a, b in cluster.near_pairs(names, self.near, least)
        }
        places = {id: [parent.id for parent in parents] for id, parents in self.parents.items()}
        for merged, target in grow.merged_by_layer(places, self.entities, may).items():
            self.entities[target] = grow.joined(self.entities[target], self.entities[merged])
            self.mentions[target] = [*self.mentions[target], *self.mentions[merged]]
            for id, parents in self.parents.items():
                self.parents[id] = [replace(p, id=target) if p.id == merged else p for p in parents]
            self._merge(merged, target, "layer", "both are new, below one parent, and their names are near")

    def _merge(self, id: str, target: str, why: str, because: str) -> None:
        entity = self.entities.pop(id)
        self.parents.pop(id, None)
        row = {
            "kept": target,
            "merged": id,
            "why": f"literature {why}",
            "because": f"{entity.name}: {because}",
        }
        self.merges.append({**row, "source": grow.SOURCE, "license": entity.license})

    def _drop(self, id: str, reason: str) -> None:
        entity = self.entities.pop(id, None)
        if entity is not None:
            self.dropped.append(
                {
                    "id": id,
                    "name": entity.name,
                    "type": entity.kind,
                    "mentions": len(self.mentions[id]),
                    "reason": reason,
                }
            )

    def rows(self) -> list[Entity]:
        """List the attached entities.

        Returns:
            Parents before their children.

        Raises:
            DataError: new entities are below each other in a circle.
        """
        placed: dict[str, Entity] = {}
        waiting = sorted(self.parents)
        while waiting:
            ready = [
                id for id in waiting if all(p.id in self.tree or p.id in placed for p in self.parents[id])
            ]
            if not ready:
                raise DataError(
                    f"the new entities {', '.join(waiting[:3])} are below each other: this is a fault of"
                    " data.attach"
                )
            for id in ready:
                parents = tuple(dict.fromkeys(parent.id for parent in self.parents[id]))
                placed[id] = replace(self.entities[id], parents=parents, definition="")
            waiting = [id for id in waiting if id not in placed]
        return list(placed.values())

    def attached(self) -> Iterable[dict[str, Any]]:
        """List the attached entities with their evidence, for attached.jsonl.

        Yields:
            {id, name, kind, mentions, parents, "decided by", typed, "said to be", evidence}, by id.
        """
        new = self.entities
        for id in sorted(self.parents):
            name = {p.id: (new.get(p.id) or self.tree.entities[p.id]).name for p in self.parents[id]}
            parents = [
                {"id": p.id, "name": name[p.id], "score": p.score, "why": p.why} for p in self.parents[id]
            ]
            entity = new[id]
            typed = asdict(self.typed[id])
            yield {"id": id, "name": entity.name, "kind": entity.kind, "mentions": len(self.mentions[id]),
            "parents": parents,
                   "decided by": self.decided_by.get(id, "score"), "typed": typed,
                   "said to be": entity.definition,
                   "evidence": grow.evidence(self.mentions[id], self.passages)}  # fmt: skip

    def summary(self, extraction: Extraction, embedded_by: str) -> dict[str, Any]:
        """Count what became of the extracted names, for stats.json.

        Args:
            extraction: what was found in the passages.
            embedded_by: name of the embedder.

        Returns:
            Counts of passages, names, attached, merged and dropped entities, conflicts and rulings.
        """
        drops = Counter(row["reason"].partition(":")[0] for row in self.dropped)
        return {
            "passages": len(self.passages),
            "extraction": dict(sorted(extraction.counts.items())),
            "embedder": embedded_by,
            "found": len(extraction.found),
            "known": self.known,
            "attached": len(self.parents),
            "several_parents": sum(len(parents) > 1 for parents in self.parents.values()),
            "attached_kinds": dict(sorted(Counter(self.entities[id].kind for id in self.parents).items())),
            "merged": len(self.merges),
            "dropped": dict(sorted(drops.items())),
            "conflicts": dict(sorted(Counter(conflict.kind for conflict in self.conflicts).items())),
            "rulings": dict(sorted(Counter(row["status"] for row in self.rulings).items())),
            "entities": len(self.tree) + len(self.parents),
        }
