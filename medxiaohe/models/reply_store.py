"""Store replies of models on disk, addressed by content: one SQLite file that survives kill -9 and that
processes may share.

    journal   of one run: each reply is written as it comes and read again when the run resumes
    cache     shared by runs: holds only what was usable, and what it knows is free

Neither holds prompts, only digests of them. Replies may quote a patient's text: the file is for its owner
only.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError, StorageError
from medxiaohe.io.writing import durable_step
from medxiaohe.models.replies import Reply

VERSION = (
    2  # PRAGMA user_version of the file; 1 is the cache of evaluations of medxiaohe 0.1, which is migrated
)
TABLE = """
CREATE TABLE IF NOT EXISTS replies (
    scope TEXT, key TEXT, n INTEGER, reply TEXT, tokens_in INTEGER, tokens_out INTEGER,
    PRIMARY KEY (scope, key, n)
) WITHOUT ROWID
"""


class ReplyStore:
    """Replies by (scope, key, n): the model and its settings, the content of the request (`request_key`), and
    which of several requests with this content.

    Args:
        path: The file, created where it is missing; None stores replies in memory.
        shared: The file is a cache that other runs use; else it is the journal of one run.
        earlier: Files with the same replies in the format of earlier versions.

    Raises:
        ConfigError: One of `earlier` exists, or the file is of a later version.
        StorageError: The file cannot be used.
    """

    def __init__(self, path: Path | None, *, shared: bool = False, earlier: Sequence[Path] = ()) -> None:
        self.path, self.shared = path, shared
        if old := [file for file in earlier if file.exists()]:
            raise ConfigError(
                f"{old[0]} has replies in the format of an earlier version, which is not read: delete it, and"
                " they are asked for again"
            )
        if path is not None:
            with io.storage(path):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not path.exists():
                    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._lock = threading.Lock()
        try:
            self._base = sqlite3.connect(
                path or ":memory:", timeout=60, isolation_level=None, check_same_thread=False
            )
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")  # a kill loses nothing, a power cut the last ones
            self._open()
        except sqlite3.Error as error:
            raise StorageError(
                f"cannot use the replies in {path}: {error}: delete the file, and they are asked for again"
            ) from error

    def get(self, scope: str, key: str, n: int = 0) -> Reply | None:
        """Look up the reply to the n-th request with this content.

        Args:
            scope: whose reply it is: name of the model, its weights and settings.
            key: content address of the request (`request_key`).
            n: which of several requests with the same content, from 0.

        Returns:
            the reply with its token counts, None where there is none.

        Raises:
            StorageError: the row is damaged.
        """
        with self._lock:
            row = self._base.execute(
                "SELECT reply, tokens_in, tokens_out FROM replies WHERE scope = ? AND key = ? AND n = ?",
                (scope, key, n),
            ).fetchone()
        if row is None:
            return None
        try:
            return Reply(io.message_from_json(json.loads(row[0])), None, row[1], row[2])
        except (ValueError, KeyError, TypeError, DataError) as error:
            raise StorageError(
                f"{self.path} holds a damaged reply: delete the file, and its replies are asked for again"
            ) from error

    def put(self, scope: str, replies: Iterable[tuple[str, int, Reply]]) -> None:
        """Write replies in one transaction; one of the same scope, key and number is replaced.

        Args:
            scope: as for `get`.
            replies: (key, n, reply).

        Raises:
            StorageError: the disk is full, read-only or failing.
        """
        rows = [
            (scope, key, n, io.encoded(reply.message).decode(), reply.tokens_in, reply.tokens_out)
            for key, n, reply in replies
        ]
        if not rows:
            return
        if not self.shared:
            durable_step()
        self._write("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?)", rows)

    def forget(self, scope: str, keys: Iterable[str]) -> None:
        """Delete all replies to some requests, such as those that could not be used.

        Args:
            scope: as for `get`.
            keys: content addresses of the requests.

        Raises:
            StorageError: the disk is full, read-only or failing.
        """
        self._write("DELETE FROM replies WHERE scope = ? AND key = ?", [(scope, key) for key in keys])

    def keep_only(self, scope: str) -> None:
        """Delete the replies of every other scope.

        Args:
            scope: the one to keep.

        Raises:
            StorageError: the disk is full, read-only or failing.
        """
        self._write("DELETE FROM replies WHERE scope != ?", [(scope,)])

    @property
    def empty(self) -> bool:
        """Whether the store holds no reply.

        Returns:
            True also for a new file.
        """
        with self._lock:
            return self._base.execute("SELECT 1 FROM replies LIMIT 1").fetchone() is None

    def close(self) -> None:
        """Close the SQLite connection."""
        self._base.close()

    def delete(self) -> None:
        """Close the store and remove its files."""
        self.close()
        if self.path is not None:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._lock:
                self._base.execute("BEGIN IMMEDIATE")
                try:
                    self._base.executemany(statement, rows)
                    self._base.execute("COMMIT")
                except BaseException:
                    self._base.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise StorageError(
                f"cannot write the replies in {self.path}: {error}: free some space, or delete the file"
            ) from error

    def _open(self) -> None:
        """Create the table, or migrate that of an earlier version; other processes wait."""
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise ConfigError(
                f"{self.path} was written by a later version of medxiaohe (format {version}, this one reads"
                f" {VERSION}): upgrade, or delete it"
            )
        if version == VERSION:
            return
        self._base.execute("BEGIN IMMEDIATE")
        if self._base.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            self._base.execute("COMMIT")
            return
        columns = [row[1] for row in self._base.execute("PRAGMA table_info(replies)")]
        if self.path is not None and columns == [
            "key",
            "reply",
        ]:  # the cache of evaluations of 0.1: its file is named by the scope
            self._base.execute("ALTER TABLE replies RENAME TO earlier")
            self._base.execute(TABLE)
            self._base.execute(
                "INSERT INTO replies SELECT ?, key, 0, reply, NULL, NULL FROM earlier", (self.path.stem,)
            )
            self._base.execute("DROP TABLE earlier")
        else:
            self._base.execute(TABLE)
        self._base.execute(f"PRAGMA user_version = {VERSION}")
        self._base.execute("COMMIT")
