"""Find the entities of your own vocabulary in a text.

    python examples/link_text.py

Prints each mention with the entity it stands for and what that entity is below.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.recipe import load, run

VOCABULARY = """\
id\tname\tkind\tparents\tsynonyms
my:1\tlung disease\tdisease\t\t
my:2\tpneumonia\tdisease\tmy:1\tlung infection|肺炎
my:3\tlung\tanatomy\t\t
my:4\tlower lobe of left lung\tanatomy\tmy:3\tleft lower lobe
"""
TEXT = "Opacity in the left lower lobe, in keeping with pneumonia (肺炎). The right lung is clear."


def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "mine.tsv")
        path.write_text(VOCABULARY, encoding="utf-8")
        stage = load.stage("tree", "entity.build", {"vocabularies": [{"reader": "tsv", "path": str(path)}]})
        done = run.run(load.Recipe("example", Path(folder, "out"), (stage,)))
        tree = Tree.load(done[0].folder)
    for mention in Linker(tree).find(TEXT):
        above = [tree.entities[id].name for id in tree.ancestors(mention.entity)]
        print(
            f"{mention.surface!r} is {tree.entities[mention.entity].name} ({mention.entity}), below"
            f" {', '.join(above)}"
        )


if __name__ == "__main__":
    main()
