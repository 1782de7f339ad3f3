"""Client of a retriever behind HTTP: POST {"queries": [...], "k": n}, answered with {"passages": [[{"id",
"text", "source", "score"}]]} (Med-RwR).

A retriever that is down is an error of its own, RetrieverDown, after a few tries: not an empty list, which a
policy would take for "nothing is known", and not a message to the model. The query leaves this machine only
as `privacy` allows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from medxiaohe.errors import DataError, RetrieverDown
from medxiaohe.privacy import guard, post
from medxiaohe.types import Evidence


@dataclass(frozen=True)
class Service:
    """Retriever behind HTTP. `timeout` is in seconds for one answer; the wait is doubled at each of the
    `retries`.
    """

    url: str
    privacy: str = "local_only"
    timeout: float = 10.0
    retries: int = 2
    first_wait: float = 0.5
    pure: ClassVar[bool] = False  # another day the same query may find other passages

    def __post_init__(self) -> None:
        guard.check(self.url, self.privacy, False, "the query of a model")

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Request the passages of all queries in one request.

        Args:
            queries: texts.
            top: passages for each query at most.

        Returns:
            passages of each query

        Raises:
            RetrieverDown: the service fails `retries` + 1 times.
        """
        problem = ""
        for attempt in range(self.retries + 1):
            try:
                lists = _passages(self._ask(queries, top), len(queries))
                return [tuple(map(_evidence, rows))[:top] for rows in lists]
            except (*post.FAULTS, post.TooLarge, _Wrong) as error:
                problem = str(error) or type(error).__name__
            if attempt < self.retries:
                time.sleep(self.first_wait * 2**attempt)
        raise RetrieverDown(
            f"the retriever at {self.url} failed {self.retries + 1} times ({problem[:120]}): start it, then"
            " run this again"
        )

    def get(self, id: str) -> Evidence:
        """Refuse: the protocol of the service has passages and no full documents.

        Raises:
            DataError: always.
        """
        raise DataError(f"the retriever at {self.url} gives passages and no whole document: {id!r}")

    def _ask(self, queries: Sequence[str], top: int) -> bytes:
        destination = guard.check(self.url, self.privacy, False, "the query of a model")
        body = json.dumps({"queries": list(queries), "k": top}, ensure_ascii=False).encode()
        status, answer, _ = post.post(
            destination, "", body, {"Content-Type": "application/json"}, self.timeout
        )
        if status != 200:
            raise _Wrong(f"status {status}")
        return answer


class _Wrong(Exception):
    pass


def _passages(answer: bytes, queries: int) -> list[list[Any]]:
    try:
        lists = json.loads(answer)["passages"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _Wrong('its answer is not {"passages": [[...], ...]}') from error
    if not isinstance(lists, list) or not all(isinstance(rows, list) for rows in lists):
        raise _Wrong("its passages are no lists")
    if len(lists) != queries:
        raise _Wrong(f"it answers {len(lists)} queries and was asked {queries}")
    return lists


def _evidence(row: Any) -> Evidence:
    try:
        return Evidence(
            str(row["id"]), str(row["text"]), str(row.get("source", "")), score=float(row.get("score", 0.0))
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _Wrong("a passage has no id and text") from error
