"""What vocabulary readers share."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping

from medxiaohe.types import Entity, Match, Relation

Assertion = Entity | Match | Relation
Terms = Generator[Assertion, None, Counter[str]]  # what a reader is that counts the terms it skips, by reason


def read_all(reader: Iterable[Assertion]) -> tuple[list[Assertion], Counter[str]]:
    """Run a reader to its end.

    Returns:
        everything that it yielded, and how many terms it skipped, by reason (empty where it counts none)
    """
    skipped = Counter[str]()

    def drain() -> Iterator[Assertion]:
        """Pass on what the reader yields, and store the counts that it returns.

        Yields:
            entities, matches and relations
        """
        counted = yield from reader  # type: ignore[func-returns-value]  # None where the reader returns nothing
        skipped.update(counted or {})

    return list(drain()), skipped


def entities(assertions: Iterable[Assertion]) -> list[Entity]:
    """Select the entities among what a reader yielded.

    Returns:
        entities in their order, without matches and relations
    """
    return [assertion for assertion in assertions if isinstance(assertion, Entity)]


def below(branches: Iterable[str], parents: Mapping[str, Iterable[str]]) -> set[str]:
    """Descendants of branches, the branches included.

    Args:
        branches: ids at which the branches begin.
        parents: id of each term -> ids of its parents.

    Returns:
        ids
    """
    children: dict[str, list[str]] = {}
    for id, above in parents.items():
        for parent in above:
            children.setdefault(parent, []).append(id)
    queue = list(branches)
    results = set(queue)
    for id in queue:
        new = [child for child in children.get(id, ()) if child not in results]
        results.update(new)
        queue.extend(new)
    return results
