"""What every vocabulary reader promises. A new file in entity/readers is found and tested by itself."""

import importlib
from pathlib import Path

import pytest

from medxiaohe import plugins
from medxiaohe.entity.readers._terms import entities, read_all
from medxiaohe.errors import MedError
from medxiaohe.types import Entity, Match, Relation

READERS = plugins.shipped("vocabularies")


def example(name: str, folder: Path) -> Path:
    """The reader's EXAMPLE on disk: its file, or the folder when there are several."""
    files = importlib.import_module(f"medxiaohe.entity.readers.{name}").EXAMPLE
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / next(iter(files)) if len(files) == 1 else folder


@pytest.mark.parametrize("name", READERS)
def test_the_example_becomes_assertions_with_source_and_license(name: str, tmp_path: Path) -> None:
    said, _ = read_all(plugins.load("vocabularies", name)(example(name, tmp_path)))
    assert said
    for one in said:
        assert isinstance(one, Entity | Match | Relation) and one.source and one.license, one
        if isinstance(one, Entity):
            assert all((one.id, one.name, one.kind)), one
        elif isinstance(one, Match):
            assert one.a and one.b and one.predicate in ("exact", "close", "broad", "narrow", "related")
        else:
            assert one.subject and one.predicate and (one.object or one.value is not None), one
    assert len({entity.id for entity in entities(said)}) == len(entities(said))


@pytest.mark.parametrize("name", READERS)
def test_the_example_has_a_term_below_another(name: str, tmp_path: Path) -> None:
    """Except that of a format that has no hierarchy, which says so with FLAT, or has no terms at all."""
    said, _ = read_all(plugins.load("vocabularies", name)(example(name, tmp_path)))
    terms = entities(said)
    assert {parent for term in terms for parent in term.parents} <= {term.id for term in terms}
    flat = getattr(importlib.import_module(f"medxiaohe.entity.readers.{name}"), "FLAT", False)
    assert any(term.parents for term in terms) != (flat or not terms)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw + b"\xff\xfe",
        lambda raw: b"",
        lambda raw: b"one\ttwo\n",
    ],
)
def test_a_damaged_file_is_one_sentence_that_names_it_or_is_read(
    name: str, damage: object, tmp_path: Path
) -> None:
    path = example(name, tmp_path)
    file = path if path.is_file() else next(p for p in sorted(path.rglob("*")) if p.is_file())
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    try:
        read_all(plugins.load("vocabularies", name)(path))
    except MedError as error:
        assert file.name in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(MedError, match="no "):
        read_all(plugins.load("vocabularies", name)(tmp_path / "absent"))
