"""Checkpoints of a hub: one revision of one repository as a local folder, refused before its weights are
fetched where they are pickles.

    snapshot("Qwen/Qwen3-VL-4B-Instruct")             the newest commit, from the cache where the hub is away
    snapshot("Qwen/Qwen3-VL-4B-Instruct@1a2b3c4")     a branch, a tag or a commit, written behind an @
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.privacy import guard

REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
COMMIT = re.compile(r"[0-9a-f]{40}")
# files of a checkpoint that are loaded: those of its top folder that hold data
FETCHED: dict[str, Any] = {
    "allow_patterns": ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "*.tiktoken"],
    "ignore_patterns": ["*/*"],
}
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".h5", ".msgpack")


@dataclass(frozen=True)
class Snapshot:
    """A revision of a repository on this machine."""

    repository: str
    commit: str
    folder: Path

    @property
    def name(self) -> str:
        """`ORG/NAME@COMMIT`, which loads the same bytes on any day."""
        return f"{self.repository}@{self.commit}"


def is_id(name: str) -> bool:
    """Whether a name has the form ORG/NAME or ORG/NAME@REVISION."""
    repository, _, revision = name.partition("@")
    return (
        not name.startswith((".", "/", "~"))
        and repository.count("/") == 1
        and bool(revision or "@" not in name)
    )


@functools.cache
def snapshot(name: str) -> Snapshot:
    """Fetch a revision, or find it in the cache.

    Args:
        name: ORG/NAME, with @REVISION for another than the newest of the main branch.

    Raises:
        ConfigError: what stands behind the @ is no revision.
        ModelError: there is none of that name, or the hub cannot be reached and the cache has none; or its
            weights are pickles, and nothing of them was fetched.
        PrivacyError: it is no name of public files.
    """
    repository, _, revision = name.partition("@")
    guard.egress(repository)
    if revision and (not REVISION.fullmatch(revision) or ".." in revision):
        raise ConfigError(
            f"{revision[:100]!r} is no revision: write a branch, a tag or a commit behind the @"
        )
    import huggingface_hub

    options: dict[str, Any] = {"repo_id": repository, "revision": revision or None}
    if COMMIT.fullmatch(revision) and (folder := _cached(options)) is not None:
        return Snapshot(repository, revision, folder)
    try:
        files = huggingface_hub.HfApi().model_info(repository, revision=revision or None)
    except (OSError, ValueError, RuntimeError) as error:  # offline, no such repository, not allowed
        if (folder := _cached(options)) is not None:
            return Snapshot(repository, folder.name, folder)
        why = " ".join(str(error).split())[:200]
        raise ModelError(f"cannot fetch the model {name!r}: {why}") from error
    _refuse_pickles(name, [file.rfilename for file in files.siblings or []])
    try:  # by the name of the revision, so that the cache has it under that name
        found = Path(huggingface_hub.snapshot_download(**options, **FETCHED))
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot fetch the model {name!r}: {' '.join(str(error).split())[:200]}") from error
    return Snapshot(repository, found.name, found)


def _refuse_pickles(name: str, files: list[str]) -> None:
    """ModelError for a repository without safetensors in its top folder."""
    if any("/" not in file and file.endswith(".safetensors") for file in files):
        return
    pickles = sorted(file for file in files if file.endswith(PICKLES))
    named = f"only pickled weights ({', '.join(pickles[:3])})"
    why = named if pickles else "no weights in its top folder"
    raise ModelError(
        f"{name!r} has {why}, and only safetensors are loaded: take another revision or a converted copy;"
        " nothing was downloaded"
    )


def _cached(options: dict[str, Any]) -> Path | None:
    """The folder of a revision in the cache, where its weights are there."""
    import huggingface_hub

    try:
        folder = Path(huggingface_hub.snapshot_download(**options, **FETCHED, local_files_only=True))
    except (OSError, ValueError, RuntimeError):
        return None
    return folder if any(folder.glob("*.safetensors")) else None
