"""What several tasks need: where their data is, samples with the gold last, hash splits and orders that a
limit may cut."""

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
    """The folder or file a task reads: "asset:NAME", a path, or, for "", the path `below`
    ${MEDXIAOHE_DATA}."""
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
    """A sample that asks and ends with the gold answer in words; `target` is that answer unless given."""
    parts = (question,) if isinstance(question, str) else tuple(question)
    messages = (Message("user", parts), Message("assistant", (answer,)))
    return Sample(id, messages, **{"target": answer, "source": id.partition("/")[0], **fields})


def multiple_choice(
    id: str, question: str, gold: str, others: Sequence[str], key: str, **fields: Any
) -> Sample:
    """A question with lettered options in an order that depends only on `key` and the options; `target` is
    the letter."""
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
    """The split of a unit (patient, study, entity): it depends on nothing but the two names."""
    value = io.unit_interval(space, key)
    return "train" if value < train else "validation" if value < train + validation else "test"


def components(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """Key -> the key that stands for everything connected with it, when the keys of a group belong
    together."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while leader.setdefault(key, key) != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for group in groups:
        for other in group:
            first, second = sorted((find(group[0]), find(other)))
            leader[second] = first  # the smallest key leads, whatever the order of the groups
    return {key: find(key) for key in leader}


def shuffled(items: Iterable[T], key: Callable[[T], str]) -> list[T]:
    """An order that depends only on the keys."""
    return sorted(items, key=lambda item: (io.unit_interval("order", key(item)), key(item)))


def alternating(items: Iterable[T], key: Callable[[T], str], label: Callable[[T], str]) -> list[T]:
    """Shuffled, taking one of each label in turn: any first part is balanced as long as no label has run
    out."""
    groups: dict[str, list[T]] = {}
    for one in shuffled(items, key):
        groups.setdefault(label(one), []).append(one)
    missing = object()
    rounds = zip_longest(*(groups[name] for name in sorted(groups)), fillvalue=missing)
    return [cast(T, one) for row in rounds for one in row if one is not missing]


def known_split(split: str, there: Sequence[str] = ("train", "validation", "test")) -> None:
    if split not in there:
        raise ConfigError(
            f"no split {split!r}: there are {', '.join(there)}"
            if len(there) > 1
            else f"no split {split!r}: only {there[0]}"
        )


def pictured(name: str, folder: Path) -> ImageRef:
    """The image of a file name that a row has, in a folder of the data; a link out of it is refused."""
    return images.ref(io.confined(folder).path(Path(name).name, folder))


def stored(data: bytes, task: str) -> ImageRef:
    """A reference to a file of these bytes below the cache, named by its content and written once."""
    digest = hashlib.sha256(data).hexdigest()
    kind = "png" if data.startswith(b"\x89PNG") else "jpg" if data.startswith(b"\xff\xd8") else "img"
    path = assets.cache_root() / "derived" / task / f"{digest[:20]}.{kind}"
    if not path.exists():
        io.write(path, lambda out: out.write(data))
    return ImageRef(str(path), sha256=digest)
