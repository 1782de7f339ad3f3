"""Tags of reports and the graph that relates them: by a Medical Entity Tree, else by the groups of the file.

    tag <tab> group <tab> findings of the lexicon, | between them <tab> names in a tree, | between them

chest_tags.tsv has 27 tags of chest radiographs.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError
from medxiaohe.scoring._findings import Finding

FILE = Path(__file__).with_name("chest_tags.tsv")
STEPS = 2  # up to a common ancestor, from each of two related entities
TOO_GENERAL = 2  # layers 1 and 2 of the tree, domains and chapters, relate nothing
Relation = list[list[bool]]


@dataclass(frozen=True)
class Tag:
    name: str
    group: str
    findings: tuple[str, ...]
    terms: tuple[str, ...]


def read(path: Path = FILE) -> list[Tag]:
    """Read the tags of a file.

    Args:
        path: a table of four columns, in the form at the top of this file.

    Returns:
        Tags in the order of the file.

    Raises:
        DataError: a row without four columns, fewer than two tags, or a name that repeats.
    """
    results = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith(("#", "tag\t")):
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != 4 or not cells[0] or not cells[2]:
            raise DataError(
                f"{path}:{number}: a tag has four columns (tag, group, findings, terms), the first and third"
                " with words"
            )
        several = [tuple(item.strip() for item in cell.split("|") if item.strip()) for cell in cells[2:]]
        results.append(Tag(cells[0], cells[1], *several))
    if len(results) < 2 or len({tag.name for tag in results}) < len(results):
        raise DataError(f"{path}: it must have two tags or more, with names that differ")
    return results


def labels(tags: Sequence[Tag], findings: Iterable[Finding]) -> list[int]:
    """Label a report with the tags that it affirms.

    Args:
        tags: all tags.
        findings: of the report.

    Returns:
        1 for each tag with a finding that is present or possible, else 0.
    """
    affirmed = {finding.name for finding in findings if finding.status in ("present", "possible")}
    return [int(any(name in affirmed for name in tag.findings)) for tag in tags]


def by_group(tags: Sequence[Tag]) -> Relation:
    """Relate tags of one group, and each to itself.

    Args:
        tags: all tags.

    Returns:
        [tags][tags], true where related.
    """
    return [[a.group == b.group for b in tags] for a in tags]


def from_tree(tags: Sequence[Tag], tree: Tree) -> tuple[Relation, list[str]]:
    """Relate tags by their positions in a Medical Entity Tree.

    Two are related where one is an ancestor of the other, or where they have a common ancestor at most two
    steps above each that is no domain and no chapter. A tag that the tree does not have is related to its
    group.

    Args:
        tags: all tags.
        tree: the Medical Entity Tree.

    Returns:
        (relation, names of the tags that the tree does not have)
    """
    # entities of each tag by its name and terms, without regard to case
    names: dict[str, list[str]] = {}
    for name, ids in tree.names.items():
        names.setdefault(name.casefold(), []).extend(ids)
    places = [
        {id for term in (tag.name, *tag.terms) for id in names.get(term.casefold(), ())} for tag in tags
    ]
    # for each entity its ancestors up to STEPS above, without domains and chapters; and all ancestors
    above = [{id: _above(tree, id) for id in ids_of_tag} for ids_of_tag in places]
    ancestors = [{a for id in ids_of_tag for a in (id, *tree.ancestors(id))} for ids_of_tag in places]
    near = [{a for reached in ids_of_tag.values() for a in reached} for ids_of_tag in above]

    def related(i: int, j: int) -> bool:
        """Whether two tags are related.

        Returns:
            True where an ancestor is shared, or one is above the other.
        """
        if not places[i] or not places[j]:
            return tags[i].group == tags[j].group
        return bool(near[i] & near[j] or places[i] & ancestors[j] or places[j] & ancestors[i])

    size = range(len(tags))
    relation = [[i == j or related(i, j) for j in size] for i in size]
    return relation, [tag.name for tag, ids_of_tag in zip(tags, places, strict=True) if not ids_of_tag]


def _above(tree: Tree, id: str) -> set[str]:
    """Collect an entity and its ancestors at most STEPS above, without domains and chapters."""
    level, result = {id}, {id}
    for _ in range(STEPS):
        level = {p for item in level for p in tree.entities[item].parents if tree.layer(p) > TOO_GENERAL}
        result |= level
    return result


def shuffled(relation: Relation, seed: int) -> Relation:
    """Permute the graph's tags, as a control: the number of relations stays, their meaning is lost.

    Args:
        relation: [tags][tags].
        seed: of the permutation.

    Returns:
        A relation of the same size.
    """
    # the same permutation of rows and columns: an isomorphic graph
    order = list(range(len(relation)))
    random.Random(f"shuffled {seed}").shuffle(order)
    return [[relation[i][j] for j in order] for i in order]
