"""Small trees and vocabularies that the tests of entities share."""

from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity

ROOT = Entity("MET:disease", "disease", "disease")


def tree_of(*entities: Entity) -> Tree:
    return Tree((ROOT, *entities))


def disease(id: str, *names: str, parents: tuple[str, ...] = (ROOT.id,), kind: str = "disease") -> Entity:
    return Entity(id, names[0], kind, parents, names[1:])
