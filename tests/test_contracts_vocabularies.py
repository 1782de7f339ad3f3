"""What every vocabulary reader promises. A new file in entity/readers is found and tested by itself."""

import importlib
from pathlib import Path

import pytest

from medxiaohe import plugins
from medxiaohe.entity.readers._terms import read_all
from medxiaohe.errors import MedError
from medxiaohe.types import Entity

READERS = plugins.available("vocabularies")


def example(name: str, folder: Path) -> Path:
    """The reader's EXAMPLE on disk: its file, or the folder when there are several."""
    files = importlib.import_module(f"medxiaohe.entity.readers.{name}").EXAMPLE
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / next(iter(files)) if len(files) == 1 else folder


@pytest.mark.parametrize("name", READERS)
def test_the_example_becomes_entities_with_source_and_license(name: str, tmp_path: Path) -> None:
    entities, _ = read_all(plugins.load("vocabularies", name)(example(name, tmp_path)))
    assert entities
    for entity in entities:
        assert isinstance(entity, Entity)
        assert all((entity.id, entity.name, entity.kind, entity.source, entity.license)), entity
    assert len({entity.id for entity in entities}) == len(entities)


@pytest.mark.parametrize("name", READERS)
def test_the_example_has_a_term_below_another(name: str, tmp_path: Path) -> None:
    entities, _ = read_all(plugins.load("vocabularies", name)(example(name, tmp_path)))
    assert {parent for entity in entities for parent in entity.parents} <= {entity.id for entity in entities}
    assert any(entity.parents for entity in entities)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: raw + b"\xff\xfe", lambda raw: b"", lambda raw: b"one\ttwo\n"]
)
def test_a_damaged_file_is_one_sentence_that_names_it_or_is_read(name: str, damage: object, tmp_path: Path) -> None:
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
