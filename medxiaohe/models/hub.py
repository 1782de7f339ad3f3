"""Download repositories of a hub: one revision of a checkpoint as a local folder, refused before its weights
are fetched where they are pickles; and resolve the commit of a data set.

    snapshot("Qwen/Qwen3-VL-4B-Instruct")             the newest commit, from the cache where the hub is away
    snapshot("Qwen/Qwen3-VL-4B-Instruct@1a2b3c4")     a branch, a tag or a commit, written behind an @
    data_commit("flaviagiammarino/vqa-rad")           the commit that is the newest today
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from medxiaohe import assets, io, plugins
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.privacy import guard

OFFLINE = ("MEDXIAOHE_OFFLINE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
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
    """A downloaded revision of a repository."""

    repository: str
    commit: str
    folder: Path

    @property
    def name(self) -> str:
        """The repository pinned to its commit.

        Returns:
            `ORG/NAME@COMMIT`, which loads the same bytes on any day.
        """
        return f"{self.repository}@{self.commit}"


def is_id(name: str) -> bool:
    """Say whether a name has the form of a hub id, ORG/NAME or ORG/NAME@REVISION.

    Returns:
        False for paths that begin with `.`, `/` or `~`, and for an empty revision. The hub is not asked.
    """
    repository, _, revision = name.partition("@")
    return (
        not name.startswith((".", "/", "~"))
        and repository.count("/") == 1
        and bool(revision or "@" not in name)
    )


@functools.cache
def snapshot(name: str) -> Snapshot:
    """Download a revision of a model, or find it in the cache.

    Args:
        name: ORG/NAME, with @REVISION for another than the newest of the main branch.

    Returns:
        repository, commit and local folder. A commit that is in the cache is not requested again; any
        other revision is, and the cache serves where the hub cannot be reached.

    Raises:
        ConfigError: the text behind the @ is not a revision.
        ModelError: there is none of that name, or the hub cannot be reached and the cache has none; or its
            weights are pickles, and nothing of them was fetched.
        PrivacyError: it is no name of public files.
    """
    repository, _, revision = name.partition("@")
    guard.egress(repository)
    _check_revision(revision)
    import huggingface_hub

    options: dict[str, Any] = {"repo_id": repository, "revision": revision or None}
    if COMMIT.fullmatch(revision) and (folder := _cached(options)) is not None:
        return Snapshot(repository, revision, folder)
    try:
        files = huggingface_hub.HfApi().model_info(repository, revision=revision or None)
    except unreachable() as error:  # offline, no such repository, not allowed
        if (folder := _cached(options)) is not None:
            return Snapshot(repository, folder.name, folder)
        why = " ".join(str(error).split())[:200]
        raise ModelError(f"cannot fetch the model {name!r}: {why}") from error
    _refuse_pickles(name, [file.rfilename for file in files.siblings or []])
    try:  # by the name of the revision, so that the cache has it under that name
        downloaded = Path(huggingface_hub.snapshot_download(**options, **FETCHED))
    except unreachable() as error:
        raise ModelError(f"cannot fetch the model {name!r}: {' '.join(str(error).split())[:200]}") from error
    return Snapshot(repository, downloaded.name, downloaded)


def offline() -> bool:
    """Say whether the environment forbids requests to a hub (one of OFFLINE is set and not "0").

    Returns:
        True where only the cache may be read.
    """
    return any(os.environ.get(key, "") not in ("", "0") for key in OFFLINE)


def unreachable() -> tuple[type[Exception], ...]:
    """List the exceptions that huggingface_hub raises where the hub is offline, unreachable or refuses.

    Returns:
        exception classes for an `except` clause.
    """
    from huggingface_hub.errors import HfHubHTTPError

    # its bases have the errors of connections of the library that it asks with
    return OSError, ValueError, RuntimeError, *HfHubHTTPError.__bases__


@functools.cache
def data_commit(name: str, revision: str | None = None) -> str:
    """Resolve the revision of a data set to a commit, once and for all in this process.

    Args:
        name: ORG/NAME.
        revision: a branch, a tag or a commit; None for the newest of the main branch.

    Returns:
        40 hex digits; those it gave last on this machine where the hub is away or this process is offline.

    Raises:
        ConfigError: it is no revision.
        DataError: the hub does not say which commit it is, and never did on this machine.
        PrivacyError: it is no name of public files.
    """
    guard.egress(name)
    _check_revision(revision or "")
    if revision and COMMIT.fullmatch(revision):
        return revision
    plugins.need("huggingface_hub", why=f"the data set {name}")
    import huggingface_hub
    from huggingface_hub import errors

    cached = assets.cache_root() / "commits" / "datasets" / name / quote(revision or "main", safe="")
    why: Exception | str = "this process is offline"
    if not offline():
        try:
            info = huggingface_hub.HfApi().dataset_info(name, revision=revision, timeout=30)
            io.write_text(cached, commit := str(info.sha))
            return commit
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
            raise _unknown(name, revision, error) from error
        except unreachable() as error:  # the hub is away
            why = error
    commit = cached.read_text().strip() if cached.is_file() else ""
    if not COMMIT.fullmatch(commit):
        raise _unknown(name, revision, why)
    return commit


def _unknown(name: str, revision: str | None, why: object) -> DataError:
    return DataError(
        f"which commit of the data set {name}{f' {revision} is' if revision else ' is the newest'} cannot be"
        f" found out: {' '.join(str(why).split())[:200]}; give `path`, the folder of a copy, or `revision`, a"
        " commit"
    )


def _check_revision(revision: str) -> None:
    """ConfigError for what is no branch, tag or commit; "" is the main branch."""
    if revision and (not REVISION.fullmatch(revision) or ".." in revision):
        raise ConfigError(
            f"{revision[:100]!r} is no revision: write a branch, a tag or a commit behind the @"
        )


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
    except unreachable():
        return None
    return folder if any(folder.glob("*.safetensors")) else None
