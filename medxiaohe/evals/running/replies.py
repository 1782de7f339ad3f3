"""Replies are asked for once: a journal that survives kill -9, and a cache shared by runs.

The journal holds the replies of the items that are being worked on, written as the backend hands them out, so
a run that was killed in the middle of a window of items asks only for what is missing. The cache is addressed
by content: model and weights, options, seed, tools, and every word and pixel digest of the conversation. It
is for deterministic decoding; what it holds are replies, never prompts.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import assets, io
from medxiaohe.errors import ModelError, StorageError
from medxiaohe.evals.running.work import Steps
from medxiaohe.types import ImageRef, Message, Model, Tool


class Remembered:
    """A model whose replies outlive this process. `begin` and `end` mark a window of items; `calls` counts
    what was asked."""

    def __init__(self, engine: Model, journal: Path, cache: Cache | None = None) -> None:
        self.name, self.engine, self.journal, self.cache = engine.name, engine, journal, cache
        self.calls = 0
        self._at = 0
        self._steps: Steps | None = None
        self._known: dict[str, deque[Message]] = {}

    def begin(self, at: int, steps: Steps | None = None) -> None:
        """Start on the window whose first item is the `at`-th; replies of another window are not used."""
        self._at, self._steps, self._known = at, steps, {}
        io.drop_torn_line(self.journal)
        for row in io.read_jsonl(self.journal) if self.journal.exists() else ():
            for key, message in row["replies"] if row["at"] == at else ():
                self._known.setdefault(key, deque()).append(io.message_from_json(message))
        if not self._known:
            self.journal.unlink(missing_ok=True)  # what it held is stored as rows by now

    def end(self) -> None:
        """The window is stored elsewhere: forget its replies."""
        self._known = {}
        self.journal.unlink(missing_ok=True)

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        keys = [call_key(messages, tools) for messages in conversations]
        found: dict[int, Message] = {}
        for i, key in enumerate(keys):
            if self._known.get(key):
                found[i] = self._known[key].popleft()
            elif self.cache is not None and (kept := self.cache.get(key)) is not None:
                found[i] = kept
        missing = [i for i in range(len(keys)) if i not in found]
        for group in _groups(self.engine, [conversations[i] for i in missing], tools) if missing else ():
            fresh = [(missing[i], message) for i, message in group]
            io.append_jsonl(
                self.journal,
                [{"at": self._at, "replies": [(keys[i], io.to_json(m)) for i, m in fresh]}],
                sync=False,
            )
            self.calls += len(fresh)
            found.update(fresh)
            if self._steps is not None:
                self._steps.tick(len(fresh))
            if self.cache is not None:
                self.cache.put({keys[i]: message for i, message in fresh})
        if len(found) != len(keys):
            raise ModelError(f"{self.name} gave {len(found)} replies to {len(keys)} conversations")
        return [found[i] for i in range(len(keys))]


def _groups(
    engine: Model, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool]
) -> Iterator[list[tuple[int, Message]]]:
    """Replies as they finish, where the backend can tell; else all at once."""
    if hasattr(engine, "replies"):
        yield from engine.replies(conversations, tools)
    else:
        yield list(enumerate(engine.reply(conversations, tools)))


def call_key(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
    """32 hex digits of everything a model is shown."""
    shown = [[message.role, *map(shown_part, message.parts)] for message in messages]
    text = json.dumps(
        [shown, [[t.name, t.description, io.to_json(t.parameters)] for t in tools]],
        ensure_ascii=False,
        sort_keys=True,
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def shown_part(part: Any) -> Any:
    """A part as the model sees it: of an image the digest of its bytes, wherever the file is."""
    if isinstance(part, str):
        return part
    if isinstance(part, ImageRef):
        return ["image", part.sha256 or io.sha256(Path(part.uri)), part.frame, part.box]
    return io.to_json(part)


class Cache:
    """Replies of one model with one set of options, in one SQLite file that processes share."""

    def __init__(self, identity: Mapping[str, Any]) -> None:
        folder = assets.cache_root() / "replies"
        self.path = folder / f"{io.fingerprint(identity)}.sqlite"
        with io.storage(self.path):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            self._base = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT) WITHOUT ROWID"
            )
        except sqlite3.Error as error:
            raise StorageError(
                f"cannot use the cache of replies {self.path}: {error}: delete it, or run with --no-cache"
            ) from error

    def get(self, key: str) -> Message | None:
        row = self._base.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return io.message_from_json(json.loads(row[0])) if row else None

    def put(self, replies: Mapping[str, Message]) -> None:
        rows = [(key, io.encoded(message).decode()) for key, message in replies.items()]
        try:
            self._base.execute("BEGIN")
            self._base.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?)", rows)
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(
                f"cannot write the cache of replies {self.path}: {error}: run with --no-cache"
            ) from error
