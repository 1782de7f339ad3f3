"""Installed packages with their licences: `medxiaohe doctor --licences` prints them, and `medxiaohe doctor
--sbom FILE` writes a software bill of materials (CycloneDX 1.6, ECMA-424).

Read from the metadata of installed packages, without a network: the packages that medxiaohe and its extras
ask for, and what those ask for in turn, as far as they are installed. The same install gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import medxiaohe
from medxiaohe import io
from medxiaohe.cli.summary import table

REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
UNKNOWN = "not stated"
# of classifiers, whose names are no identifiers of SPDX
SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause OR BSD-2-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}


@dataclass(frozen=True)
class Package:
    """An installed package."""

    name: str  # normalised as PEP 503 says
    version: str
    license: str
    needs: tuple[str, ...]  # installed packages that it asks for

    @property
    def url(self) -> str:
        """The package URL, https://github.com/package-url/purl-spec.

        Returns:
            such as pkg:pypi/torch@2.6.0.
        """
        return f"pkg:pypi/{quote(self.name)}@{quote(self.version)}"


def packages(root: str = "medxiaohe") -> list[Package]:
    """The packages that an install of `root` with any of its extras brings, as far as they are here, by name.

    Returns:
        Installed packages, `root` left out; empty where `root` runs from a checkout that is not installed.
    """
    result: dict[str, Package] = {}
    # walk the dependency graph: packages of `root` with all extras, then theirs without extras
    waiting = [name for name, _ in _requirements(root, every=True)]
    while waiting:
        name = normal(waiting.pop())
        if name in result or name == normal(root):
            continue
        try:
            about = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        needs = sorted({normal(need) for need, _ in _requirements(name) if _installed(need)} - {name})
        result[name] = Package(name, about.version, license_of(about.metadata), tuple(needs))
        waiting += needs
    return [result[name] for name in sorted(result)]


def license_of(about: Any) -> str:
    """The licence that a package states: an SPDX expression, a classifier, or the first line of free text.

    Args:
        about: metadata of a package (`importlib.metadata`).

    Returns:
        an SPDX expression where one is stated, joined with AND for several classifiers; free text is cut
        to 60 characters; `UNKNOWN` if there is none.
    """
    if expression := about.get("License-Expression"):
        return str(expression)
    classified = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    if classified:
        return " AND ".join(sorted({SPDX.get(name, name) for name in classified}))
    lines = str(about.get("License") or "").strip().splitlines()
    return lines[0][:60] if lines and lines[0] != "UNKNOWN" else UNKNOWN


def licences() -> str:
    """Format the installed packages with their licences.

    Returns:
        a table by package, then how many packages state each licence, the most frequent first.
    """
    installed = packages()
    rows = [(item.name, item.version, item.license) for item in installed]
    counted: dict[str, int] = {}
    for package in installed:
        counted[package.license] = counted.get(package.license, 0) + 1
    ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    summary = "\n".join(f"{number:>4}  {name}" for name, number in ranked)
    return f"{table([('package', 'version', 'licence'), *sorted(rows)])}\n\n{summary}"


def sbom() -> dict[str, Any]:
    """Build a software bill of materials (CycloneDX 1.6) of the installed packages.

    Returns:
        the JSON object; it has no time and no serial number, so that two can be compared.
    """
    installed = packages()
    here = {item.name: item.url for item in installed}
    root = f"pkg:pypi/medxiaohe@{medxiaohe.__version__}"
    direct = sorted({normal(name) for name, _ in _requirements("medxiaohe", every=True)} & set(here))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "medxiaohe",
                "version": medxiaohe.__version__,
                "purl": root,
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": [_component(item) for item in installed],
        "dependencies": [
            {"ref": root, "dependsOn": [here[name] for name in direct]},
            *({"ref": item.url, "dependsOn": [here[name] for name in item.needs]} for item in installed),
        ],
    }


def write_sbom(path: Path) -> int:
    """Write the bill of materials as JSON.

    Args:
        path: the file to write.

    Returns:
        the number of packages in it.
    """
    document = sbom()
    io.write_json(path, document)
    return len(document["components"])


def _component(package: Package) -> Mapping[str, Any]:
    license = (
        {"expression": package.license}
        if _is_expression(package.license)
        else {"license": {"name": package.license}}
    )
    return {
        "type": "library",
        "bom-ref": package.url,
        "name": package.name,
        "version": package.version,
        "purl": package.url,
        "licenses": [license],
    }


def _is_expression(text: str) -> bool:
    """Check whether a licence is an SPDX expression rather than free text."""
    words = re.split(r"\s+(?:AND|OR|WITH)\s+", text.replace("(", "").replace(")", ""))
    return (
        all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", word) for word in words) and "-" in text
    ) or text == "MIT"


def _requirements(name: str, *, every: bool = False) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the (package, extras) that a package requires; those of its own extras only if `every` is set."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        requirement, _, marker = line.partition(";")
        if EXTRA.search(marker) and not every:
            continue
        if mark := REQUIREMENT.match(requirement):
            yield mark[1], (mark[2] or "").split(",")


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def normal(name: str) -> str:
    """Normalise the name of a package as indexes do (PEP 503).

    Returns:
        lower case, with each run of `-`, `_` and `.` as one `-`.
    """
    return re.sub(r"[-_.]+", "-", name).lower()
