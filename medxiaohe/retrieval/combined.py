"""Combine stores by a YAML file, each entry a store or a mapping of its own:

    fuse: [out/text, out/dense]      by reciprocal rank; with `weights: [1, 2]` where they count differently
    rerank: out/retriever/1/model    a cross-encoder orders the first `depth` (20) results again
    filter: {levels: [A, B], since: 2015, sources: [PubMed], licenses: [CC]}
    route: {zh: out/zh, en: out/en}  by the script of the query
    remote: http://127.0.0.1:9000    a service, asked only as the privacy guard allows
    store: out/text                  one store, where there is nothing to fuse

`rerank` and `filter` hold for what the mapping fuses, routes or names; the filter comes first. Paths are
relative to the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.io import bounded_yaml
from medxiaohe.plugins import nearest
from medxiaohe.retrieval.service import Service
from medxiaohe.retrieval.store import Filtered, Fused, Reranked, Routed, Store, matching

KEYS = ("fuse", "weights", "rerank", "depth", "filter", "route", "remote", "store")
ONE_OF = ("fuse", "route", "remote", "store")
FILTERS = ("sources", "levels", "licenses", "since", "until")
DEPTH = 20  # results that are reranked

Open = Callable[[str], Store]


def read(path: Path, open_one: Callable[..., Store], privacy: str) -> Store:
    """Open the stores that a YAML file combines.

    Args:
        path: the YAML file; paths inside it are relative to its folder.
        open_one: opens the path of a single store.
        privacy: mode of the privacy guard for remote stores.

    Returns:
        the combined store.

    Raises:
        ConfigError: the file does not exist, or has an unknown key.
        PrivacyError: `privacy` does not let queries go to a service.
    """
    if not path.is_file():
        raise ConfigError(f"no such file: {path}")
    return _combined(bounded_yaml.read(path), str(path), path.parent, open_one, privacy)


def _combined(value: Any, location: str, folder: Path, open_one: Callable[..., Store], privacy: str) -> Store:
    again = partial(_combined, location=location, folder=folder, open_one=open_one, privacy=privacy)
    if isinstance(value, str):
        path = value if value.startswith("asset:") or Path(value).is_absolute() else str(folder / value)
        return open_one(path, privacy=privacy)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{location}: a store is a path or a mapping of {', '.join(KEYS)}, not {value!r}")
    for key in value:
        if key not in KEYS:
            raise ConfigError(f"{location}: unknown key {key!r}{nearest(str(key), KEYS)}")
    chosen = [key for key in ONE_OF if key in value]
    if len(chosen) != 1:
        raise ConfigError(f"{location}: give one of {', '.join(ONE_OF)}, not {len(chosen)} of them")
    content = value[chosen[0]]
    store: Store
    if chosen == ["fuse"]:
        if not isinstance(content, list) or not content:
            raise ConfigError(f"{location}: fuse is a list of stores")
        weights = value.get("weights") or []
        if weights and (len(weights) != len(content) or not all(isinstance(w, int | float) for w in weights)):
            raise ConfigError(f"{location}: {len(content)} stores are fused and {len(weights)} weights given")
        store = Fused([again(entry) for entry in content], weights)
    elif chosen == ["route"]:
        if not isinstance(content, Mapping) or set(content) != {"zh", "en"}:
            raise ConfigError(
                f"{location}: route has a store for zh, which is Chinese script, and one for en"
            )
        store = Routed({name: again(entry) for name, entry in content.items()}, language)
    elif chosen == ["remote"]:
        store = Service(str(content), privacy)
    else:
        store = again(content)
    if "filter" in value:
        store = Filtered(store, matching(**_filter(value["filter"], location)))
    if "rerank" in value:
        from medxiaohe.models.rerank import cross_encoder

        model = Path(str(value["rerank"]))
        scorer = cross_encoder(model if model.is_absolute() else folder / model)
        store = Reranked(store, scorer, int(value.get("depth", DEPTH)))
    return store


def language(query: str) -> str:
    """Detect the script of a query, to route it to a store.

    Returns:
        "zh" where it has a Chinese character, "en" otherwise.
    """
    return "zh" if re.search(r"[\u3400-\u9fff]", query) else "en"


def _filter(value: Any, location: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{location}: filter is a mapping of {', '.join(FILTERS)}")
    for key in value:
        if key not in FILTERS:
            raise ConfigError(f"{location}: unknown key {key!r} of filter{nearest(str(key), FILTERS)}")
    lists = {key: [str(item) for item in value[key]] for key in FILTERS[:3] if key in value}
    return lists | {key: str(value[key]) for key in FILTERS[3:] if key in value}
