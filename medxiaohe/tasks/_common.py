"""Helpers of tasks: locations of data, items with the gold last, hash splits, and orders that a limit may
cut.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar, cast

from medxiaohe import assets, images, io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.tasks._prompts import asked
from medxiaohe.tasks._reads import DATA, note, shown
from medxiaohe.types import ImageRef, Message, Part, Sample, Split

T = TypeVar("T")


def place(path: str, below: str = "") -> Path:
    """Locate the folder or file that a task reads and record it (`_reads.note`).

    Args:
        path: "asset:NAME", a path, or "" for the default.
        below: default path below ${MEDXIAOHE_DATA}.

    Returns:
        An existing path.

    Raises:
        DataError: it does not exist, or neither `path` nor MEDXIAOHE_DATA is set.
        Pinned: an asset, while data is recorded.
    """
    if path.startswith("asset:"):
        asset = path.removeprefix("asset:")
        note(path, assets.spec(asset).fingerprint)
        return assets.folder(asset)
    if not path and DATA not in os.environ:
        raise DataError(f"this task reads {below}: give it `path`, or export {DATA}=FOLDER of the data sets")
    result = Path(path).expanduser() if path else Path(os.environ[DATA]) / below
    note(shown(result), result)
    if not result.exists():
        raise DataError(f"no such file or folder: {result}")
    return result


def item(id: str, question: Sequence[Part] | str, answer: str, **fields: Any) -> Sample:
    """Build an item that asks and ends with the gold answer in words.

    Args:
        id: TASK/NAME; the part before the stroke is its source.
        question: text, or texts and images in order.
        answer: last message, and the target unless `fields` has one.
        fields: further fields of the sample.

    Returns:
        A user and an assistant message with the fields.
    """
    parts = (question,) if isinstance(question, str) else tuple(question)
    messages = (Message("user", parts), Message("assistant", (answer,)))
    return Sample(id, messages, **{"target": answer, "source": id.partition("/")[0], **fields})


def multiple_choice(
    id: str, question: str, gold: str, others: Sequence[str], key: str, **fields: Any
) -> Sample:
    """Build a multiple-choice item whose options are in an order that depends only on `key` and the options.

    Args:
        id: TASK/NAME.
        question: without options.
        gold: text of the right option.
        others: texts of the wrong ones.
        key: of the hash that orders the options.
        fields: further fields of the sample.

    Returns:
        An item whose target is the letter of the right option.
    """
    choices = sorted([gold, *others], key=lambda choice: io.unit_interval("options", key, choice))
    letter = LETTERS[choices.index(gold)]
    return item(
        id,
        asked("choice", question, choices),
        f"{letter}. {gold}",
        target=letter,
        choices=tuple(choices),
        **fields,
    )


def hash_split(space: str, key: str, train: float = 0.8, validation: float = 0.1) -> Split:
    """Assign a unit (patient, study, entity) to a split by a hash of two names and nothing else.

    Args:
        space: name of the data set.
        key: of the unit.
        train: share of units in train, from 0 to 1.
        validation: share of units in validation; the rest is test.

    Returns:
        train, validation or test.
    """
    value = io.unit_interval(space, key)  # hash of both names in [0, 1)
    return "train" if value < train else "validation" if value < train + validation else "test"


def components(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """Find connected components: keys of one group belong together (union-find).

    Args:
        groups: keys that share something, such as a gene, a disease and a report.

    Returns:
        Key -> the smallest key of its component.
    """
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        """Follow leaders to the root, halving the path on the way."""
        while leader.setdefault(key, key) != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for group in groups:
        for member in group:
            first, second = sorted((find(group[0]), find(member)))
            leader[second] = first  # the smallest key leads, whatever the order of the groups
    return {key: find(key) for key in leader}


def shuffled(items: Iterable[T], key: Callable[[T], str]) -> list[T]:
    """Order items by a hash of their keys.

    Args:
        items: in any order.
        key: name of an item, distinct for each.

    Returns:
        The same order for the same keys.
    """
    return sorted(items, key=lambda item: (io.unit_interval("order", key(item)), key(item)))


def alternating(items: Iterable[T], key: Callable[[T], str], label: Callable[[T], str]) -> list[T]:
    """Order items by a hash, taking one of each label in turn, so that any first part is balanced as long as
    no label has run out.

    Args:
        items: in any order.
        key: name of an item, distinct for each.
        label: of an item, such as its gold.

    Returns:
        All items.
    """
    groups: dict[str, list[T]] = {}
    for entry in shuffled(items, key):
        groups.setdefault(label(entry), []).append(entry)
    missing = object()
    rounds = zip_longest(*(groups[name] for name in sorted(groups)), fillvalue=missing)
    return [cast(T, entry) for row in rounds for entry in row if entry is not missing]


def known_split(split: str, splits: Sequence[str] = ("train", "validation", "test")) -> None:
    """Check the name of a split.

    Args:
        split: to be read.
        splits: splits that the task has.

    Raises:
        ConfigError: it has no such split.
    """
    if split not in splits:
        raise ConfigError(
            f"no split {split!r}: there are {', '.join(splits)}"
            if len(splits) > 1
            else f"no split {split!r}: only {splits[0]}"
        )


def pictured(name: str, folder: Path) -> ImageRef:
    """Reference an image by the file name that a row has.

    Args:
        name: of a file; its folders are dropped.
        folder: of the data; links that lead out of it are refused.

    Returns:
        Path and digest.

    Raises:
        Rejected: the name leads out of the folder, or is a device, FIFO or socket.
        DataError: the file cannot be read.
    """
    return images.ref(io.confined(folder).path(Path(name).name, folder))


def stored(data: bytes, task: str) -> ImageRef:
    """Store image bytes below the cache, named by their content and written once.

    Args:
        data: an encoded image.
        task: name of the task, for the folder.

    Returns:
        Path and digest of the file.
    """
    digest = hashlib.sha256(data).hexdigest()
    kind = "png" if data.startswith(b"\x89PNG") else "jpg" if data.startswith(b"\xff\xd8") else "img"
    path = assets.cache_root() / "derived" / task / f"{digest[:20]}.{kind}"
    if not path.exists():
        io.write(path, lambda out: out.write(data))
    return ImageRef(str(path), sha256=digest)
