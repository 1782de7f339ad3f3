"""Every set of the data pack is read by a shipped reader: recipes/data_pack_read.yaml against the table of
the pack's README."""

from __future__ import annotations

import inspect
import os
import re
from itertools import islice
from pathlib import Path

import pytest
import yaml

from medxiaohe import images, plugins
from medxiaohe.data.read import ReadSettings, Source
from medxiaohe.recipe.load import load
from medxiaohe.types import Sample

pytestmark = pytest.mark.skipif("MEDXIAOHE_DATA" not in os.environ, reason="MEDXIAOHE_DATA is not set")
RECIPE = Path(__file__).parent.parent.parent / "recipes" / "data_pack_read.yaml"


def sources() -> list[Source]:
    if "MEDXIAOHE_DATA" not in os.environ:
        return []
    (stage,) = (stage for stage in load(RECIPE).stages if stage.name == "corpus")
    assert isinstance(stage.settings, ReadSettings)
    return list(stage.settings.sources)


def test_every_set_of_the_pack_has_a_source() -> None:
    pack = Path(os.environ["MEDXIAOHE_DATA"])
    listed = re.findall(
        r"^\| ([a-z_]+/\S+) \|", (pack / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(listed) > 50
    read = [os.path.relpath(source.path, pack) for source in sources()]
    without = [
        path
        for path in listed
        if not path.startswith("ontology/") and not any((r + "/").startswith(path + "/") for r in read)
    ]
    assert not without
    trees = {os.path.relpath(v["path"], "${data}") for v in vocabularies()}
    assert {path for path in listed if path.startswith("ontology/")} <= trees


def vocabularies() -> list[dict[str, str]]:
    """Those of recipes/tree.yaml that are files of the pack."""
    stages = yaml.safe_load((RECIPE.parent / "tree.yaml").read_text())["stages"]
    found = [v for stage in stages.values() for v in stage.get("with", {}).get("vocabularies", [])]
    return [v for v in found if v.get("path", "").startswith("${data}/")]


@pytest.mark.parametrize("one", vocabularies(), ids=lambda one: one["path"].rpartition("/")[2])
def test_the_first_rows_of_a_vocabulary_are_read(one: dict[str, str]) -> None:
    path = Path(os.environ["MEDXIAOHE_DATA"]) / one["path"].removeprefix("${data}/")
    reader = plugins.load("vocabularies", one["reader"])
    options = {
        key: value
        for key, value in one.items()
        if key in inspect.signature(reader).parameters and key != "path"
    }
    assert len(list(islice(reader(path, **options), 3))) == 3


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.label)
def test_the_first_rows_of_a_set_are_samples(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path))
    for package in {"dicom": ["pydicom"], "nifti": ["nibabel"], "npz": ["numpy"]}.get(source.reader, []):
        pytest.importorskip(package)
    rows = list(islice(plugins.load("readers", source.reader)(Path(source.path), **source.options), 40))
    good = [row for row in rows if isinstance(row, Sample)]
    assert len(good) >= min(3, len(rows)) and len(good) >= 0.9 * len(rows), [
        row for row in rows if not isinstance(row, Sample)
    ][:3]
    assert len({row.id for row in good}) == len(good)
    for row in good:
        assert row.text.strip() and row.source and row.license != "not stated"
    for image in good[0].images[:2]:
        if not image.uri.startswith("data:"):
            assert min(images.open_image(image).size) > 8
