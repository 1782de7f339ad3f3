"""Find recipes and examples that come with the package: in the repository, or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

from medxiaohe.errors import ConfigError
from medxiaohe.plugins import nearest

PACKAGE = Path(__file__).parents[1]
INSIDE = PACKAGE / "shipped"  # where a wheel has them (pyproject.toml, force-include)


def folder(kind: str) -> Path:
    """Return the folder of shipped files, in a wheel or in the repository.

    Args:
        kind: "recipes" or "examples".

    Returns:
        The folder.
    """
    return INSIDE / kind if (INSIDE / kind).is_dir() else PACKAGE.parent / kind


def recipes() -> dict[str, Path]:
    """List the shipped recipes.

    Returns:
        Name -> file, by file; the names of those in a folder have it: gpu/NAME.
    """
    root = folder("recipes")
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.yaml"))}


def recipe(name: Path) -> Path:
    """Resolve a recipe by its path, or by its name: `quickstart`, `recipes/quickstart.yaml`.

    Returns:
        The file.

    Raises:
        ConfigError: there is neither such a file nor such a recipe.
    """
    if name.is_file():
        return name
    shipped = recipes()
    if name.suffix and name.with_suffix("").name not in {Path(item).name for item in shipped}:
        raise ConfigError(f"no such file: {name}")
    short = name.as_posix().removeprefix("recipes/").removesuffix(".yaml")
    if short not in shipped:
        raise ConfigError(
            f"no file {name}, and no recipe of that name{nearest(short, shipped)}; there are"
            f" {', '.join(shipped)}"
        )
    return shipped[short]
