"""A model that is asked to write or to judge: any backend, with a cache, a budget, retries, and what it cost
in the record.

A reply that cannot be used is shown what is wrong with it and asked for again, up to `retries` times. Replies
are kept by the hash of what was asked, and a kept one counts against the budget as if it had been asked for
now: a run that was killed goes on to the same rows. What fails, or lies beyond the budget, is an answer too:
`problem` says why there is none.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.progress import Meter
from medxiaohe.recipe.settings import HOW
from medxiaohe.types import Message, Model

T = TypeVar("T")
LETTERS_A_TOKEN = 4  # of English; a cost is an estimate, because backends do not tell tokens
TOGETHER = 16  # conversations handed to the model at once
MAX_SHOWN = 300  # characters of what is wrong, when the model is asked again
FAILED, SPENT = "the model failed", "beyond the budget"


@dataclass(frozen=True)
class TeacherSettings:
    """`model` is what `backend` takes. Prices are for a million tokens; None sets no limit."""

    model: str
    backend: str = "openai_compatible"
    # of the backend: url, api_key_env, privacy, temperature, ...
    options: dict[str, Any] = field(default_factory=dict)
    retries: int = 1
    max_calls: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    together: Annotated[int, HOW] = TOGETHER

    def __post_init__(self) -> None:
        if self.retries < 0 or self.together < 1:
            raise ConfigError(
                f"retries must be at least 0 and together at least 1, not {self.retries} and {self.together}"
            )
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise ConfigError("max_cost needs price_in or price_out, the prices of a million tokens")


@dataclass(frozen=True, slots=True)
class Reply:
    """`value` is what was read out of the last reply, None when there is none; `problem` then says why."""

    value: Any
    text: str = ""
    problem: str = ""
    calls: int = 0
    cost: float = 0.0
    asked: str = ""  # hash of the first question

    def record(self, teacher: str) -> dict[str, Any]:
        """What a row says of its writer."""
        return {"writer": teacher, "calls": self.calls, "cost": round(self.cost, 8), "asked": self.asked}


class Unusable(ValueError):
    """What is wrong with a reply, in words the model is shown."""


@dataclass
class _Talk:
    messages: list[Message]
    asked: str
    reply: str = ""
    calls: int = 0
    cost: float = 0.0
    problem: str = ""
    value: Any = None
    done: bool = False


@dataclass
class _Spent:
    calls: int = 0
    cost: float = 0.0


class Teacher:
    """`name` tells weights and settings apart; what is spent counts kept replies too."""

    def __init__(self, model: Model, settings: TeacherSettings, *, name: str = "", path: Path | None = None):
        self.model, self.settings, self.path = model, settings, path
        self.name, self.seed = name or model.name, 0
        self.shared = _Spent()
        self._known: dict[str, str] = {}
        if path is not None and path.exists():
            io.drop_torn_line(path)
            self._known = {row["asked"]: row["reply"] for row in io.read_jsonl(path)}

    def ask(self, talks: Sequence[Sequence[Message]], read: Callable[[int, str], T]) -> list[Reply]:
        """One Reply for each conversation. `read(i, text)` returns the value, or raises Unusable to have it
        asked again."""
        found = [
            _Talk(list(talk), io.fingerprint([self.name, self.seed, io.to_json(list(talk))]))
            for talk in talks
        ]
        meter = Meter(f"ask {self.name}", len(found))
        for start in range(0, len(found), self.settings.together):
            part = list(enumerate(found))[start : start + self.settings.together]
            for _ in range(1 + self.settings.retries):
                open_ = [(i, talk) for i, talk in part if not talk.done]
                self._round([talk for _, talk in open_])
                for i, talk in open_:
                    self._read(i, talk, read)
            meter.advance(len(part))
        meter.close()
        return [
            Reply(t.value, t.reply, "" if t.value is not None else t.problem, t.calls, t.cost, t.asked)
            for t in found
        ]

    def drawing(self, seed: int) -> Teacher:
        """The same teacher, sampled with this seed where its backend can; calls and cost count together."""
        if self.seed == seed:
            return self
        other = copy.copy(self)
        other.seed, other.shared = seed, self.shared
        other.model = self.model.with_seed(seed) if hasattr(self.model, "with_seed") else self.model
        return other

    def to_json(self) -> dict[str, Any]:
        """What a stage's summary says of its teacher."""
        return {"teacher": self.name, "calls": self.shared.calls, "cost": round(self.shared.cost, 6)}

    def _read(self, i: int, talk: _Talk, read: Callable[[int, str], Any]) -> None:
        if talk.done:
            return
        try:
            talk.value, talk.done = read(i, talk.reply), True
        except Unusable as wrong:
            talk.problem = str(wrong)
            again = (
                f"That cannot be used: {talk.problem[:MAX_SHOWN]}. Answer again, in the form asked for and"
                " nothing else."
            )
            talk.messages += [Message("assistant", (talk.reply,)), Message("user", (again,))]

    def _round(self, talks: Sequence[_Talk]) -> None:
        """Every conversation gets a reply, or is done with a problem."""
        new, keys = list[_Talk](), dict[int, str]()
        for talk in talks:
            key = keys[id(talk)] = io.fingerprint([self.name, self.seed, io.to_json(talk.messages)])
            if not self._pay(talk):
                talk.problem, talk.done = SPENT, True
            elif key not in self._known and key not in {keys[id(other)] for other in new}:
                new.append(talk)
        self._fetch(new, keys)
        for talk in talks:
            if talk.done:
                continue
            if keys[id(talk)] in self._known:
                talk.reply = self._known[keys[id(talk)]]
                talk.calls += 1
                spent = len(talk.reply) / LETTERS_A_TOKEN * self.settings.price_out / 1e6
                talk.cost, self.shared.cost = talk.cost + spent, self.shared.cost + spent
            else:
                talk.done, talk.problem = True, talk.problem or FAILED

    def _fetch(self, new: Sequence[_Talk], keys: dict[int, str]) -> None:
        if not new:
            return
        try:
            said = [message.text for message in self.model.reply([talk.messages for talk in new])]
            if len(said) != len(new):
                raise ModelError(f"{self.name} gave {len(said)} replies to {len(new)} conversations")
            fresh = {keys[id(talk)]: text for talk, text in zip(new, said, strict=True)}
        except ModelError:
            fresh = {keys[id(talk)]: text for talk in new if (text := self._alone(talk)) is not None}
        if self.path is not None and fresh:
            io.append_jsonl(self.path, [{"asked": key, "reply": text} for key, text in fresh.items()])
        self._known |= fresh

    def _alone(self, talk: _Talk) -> str | None:
        """One conversation of a batch that failed: the failure of one must not cost the others their
        replies."""
        try:
            return self.model.reply([talk.messages])[0].text
        except ModelError as error:
            talk.problem = f"{FAILED}: {error}"
            return None

    def _pay(self, talk: _Talk) -> bool:
        letters = sum(len(message.text) for message in talk.messages)
        cost = letters / LETTERS_A_TOKEN * self.settings.price_in / 1e6
        limit, spent = self.settings, self.shared
        if limit.max_calls is not None and spent.calls >= limit.max_calls:
            return False
        if limit.max_cost is not None and spent.cost + cost > limit.max_cost:
            return False
        spent.calls, spent.cost, talk.cost = spent.calls + 1, spent.cost + cost, talk.cost + cost
        return True


def teacher(settings: TeacherSettings, work: Path | None = None) -> Teacher:
    """The teacher the settings name; its replies are kept in `work`."""
    backend = plugins.load("models", settings.backend)
    known = inspect.signature(backend).parameters
    if unknown := [key for key in settings.options if key not in known]:
        raise ConfigError(
            f"the backend {settings.backend} has no option {unknown[0]!r}{plugins.nearest(unknown[0], known)}"
        )
    common = {"max_new_tokens": 512}
    options = {key: value for key, value in common.items() if key in known} | settings.options
    what = io.fingerprint([settings.backend, settings.model, options])[:8]
    model = backend(settings.model, **options)
    name = f"{settings.backend}:{model.name}#{what}"
    return Teacher(model, settings, name=name, path=work / f"replies-{what}.jsonl" if work else None)
