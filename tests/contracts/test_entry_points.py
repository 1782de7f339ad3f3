"""Installed packages register plug-ins as entry points: a real distribution on the search path."""

import sys
from pathlib import Path

import pytest

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.recipe import identity, load, run

CODE = '''
from medxiaohe.types import Message, Sample

EXAMPLE = {"a.txt": "one"}


def lines(path):
    """One page for each line."""
    for number, line in enumerate(path.read_text().splitlines()):
        yield Sample(f"lines-{number}", (Message("document", (line,)),), license="CC0-1.0")


def shouting(sample):
    return "shouts" if sample.text.isupper() else ""
'''
POINTS = {
    "readers": {"eye_lines": "eye_plugins:lines"},
    "filters": {"shouting": "eye_plugins:shouting"},
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, first on the search path."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "eye_plugins", raising=False)
    return tmp_path / "site"


def install(
    site: Path, points: dict[str, dict[str, str]], package: str = "eye-plugins", code: str = CODE
) -> None:
    """What `pip install` leaves of a package of one module."""
    module = package.replace("-", "_")
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    groups = [
        "\n".join([f"[medxiaohe.{kind}]", *(f"{name} = {target}" for name, target in named.items())])
        for kind, named in points.items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")


def test_names_of_an_installed_package_are_listed_without_importing_it(site: Path) -> None:
    assert "eye_lines" not in plugins.available("readers")
    install(site, POINTS)
    sys.path[:] = [*sys.path, str(site / "other")]  # as a new process would see it
    assert "eye_lines" in plugins.available("readers") and "eye_lines" not in plugins.available("filters")
    assert "eye_lines" not in plugins.shipped("readers") and "chat_jsonl" in plugins.available("readers")
    assert "eye_plugins" not in sys.modules


def test_an_installed_plugin_is_loaded_by_its_name(site: Path) -> None:
    install(site, POINTS)
    assert plugins.load("filters", "shouting").__module__ == "eye_plugins"
    with pytest.raises(ConfigError, match="did you mean 'eye_lines'"):
        plugins.load("readers", "eye_line")


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_kind_has_a_group_of_entry_points(kind: str, site: Path) -> None:
    install(site, {kind: {"eye_lines": "eye_plugins:lines"}})
    assert plugins.load(kind, "eye_lines").__name__ == "lines"


def test_a_name_that_ships_with_medxiaohe_is_not_taken_over(site: Path) -> None:
    install(site, {"filters": {"too_short": "eye_plugins:shouting", "shouting": "eye_plugins:shouting"}})
    with pytest.raises(
        ConfigError, match="'too_short' is registered by medxiaohe and eye-plugins: uninstall"
    ):
        plugins.load("filters", "too_short")
    assert plugins.load("filters", "shouting") and plugins.load("filters", "retracted")


def test_two_packages_with_one_name_are_refused_and_either_can_be_written_out(site: Path) -> None:
    install(site, POINTS)
    install(site, {"readers": {"eye_lines": "ear_plugins:lines"}}, "ear-plugins")
    with pytest.raises(ConfigError, match="ear-plugins and eye-plugins"):
        plugins.load("readers", "eye_lines")
    assert plugins.load("readers", "ear_plugins:lines").__module__ == "ear_plugins"


def test_a_registered_plugin_that_is_not_there_is_one_sentence(site: Path) -> None:
    install(site, {"readers": {"eye_lines": "eye_plugins:gone", "eye_other": "no_such_module:lines"}})
    with pytest.raises(ConfigError, match="has no 'gone'"):
        plugins.load("readers", "eye_lines")
    with pytest.raises(ConfigError, match="cannot import 'no_such_module' for 'eye_other'"):
        plugins.load("readers", "eye_other")


def test_a_recipe_reads_with_an_installed_reader_and_notices_when_its_code_changes(site: Path) -> None:
    install(site, POINTS)
    (site / "page.txt").write_text("Aspirin inhibits platelets.\n")
    sources = [{"reader": "eye_lines", "path": str(site / "page.txt"), "name": "mine"}]
    (site / "words.tsv").write_text("id\tname\tkind\nmy:1\taspirin\tchemical\n")
    vocabularies = [{"reader": "tsv", "path": str(site / "words.tsv")}]
    tree = load.stage("tree", "entity.build", {"vocabularies": vocabularies})
    read = load.stage("read", "data.read", {"sources": sources}, {"tree": "tree"})
    done = run.run(load.Recipe("installed", site / "out", (tree, read)))
    (sample,) = io.read_samples(done[-1].folder / "samples.jsonl")
    assert sample.entities == ("my:1",)
    before = identity.code(read)
    assert "eye_plugins" in before
    (site / "eye_plugins.py").write_text(CODE + "\n# edited\n")
    assert identity.code(read) != before
