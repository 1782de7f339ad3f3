"""A task with its workflow and tools as a Gymnasium environment (extra `gymnasium`).

    import gymnasium, medxiaohe.train.environments.gymnasium_env
    knows = {"tools": ["search"], "library": "passages.jsonl"}
    env = gymnasium.make("medxiaohe/Talk-v0", task="pubmedqa", workflow="rwr", **knows)
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step("<think>...</think><query>...</query>")

An action is the text of the policy's next turn, an observation the conversation that it is asked with; `info`
has the same as OpenAI messages and the schemas of the tools. The reward is the task's score at the end of the
conversation, and 0 before. An answer that could not be judged earns 0, and `info["status"]` is its status.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import gymnasium
from gymnasium.spaces import Text

from medxiaohe.errors import ConfigError
from medxiaohe.models import wire
from medxiaohe.train.environments.talks import Talks
from medxiaohe.train.rollouts.talk import Talk
from medxiaohe.types import Message, Sample, ToolResult

ID = "medxiaohe/Talk-v0"
LONGEST = 200_000  # characters of an observation


class Words(Text):  # type: ignore[misc]
    """Any text up to a length: Gymnasium's Text requires a list of all characters."""

    def contains(self, x: Any) -> bool:
        """Whether a value is text within the length.

        Args:
            x: any value.

        Returns:
            True for a str of at most `max_length` characters.
        """
        return isinstance(x, str) and len(x) <= self.max_length


class TalkEnv(gymnasium.Env[str, str]):  # type: ignore[misc]
    """One episode is one conversation about one sample, drawn at each reset.

    Args:
        max_turns: of the policy; then the episode is truncated.
        max_action: characters of a turn.
        options: those of `Talks`: split, workflow, settings, tools, library, stores, policy, cast, limit.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self, task: str, max_turns: int = 16, max_action: int = 20_000, render_mode: str | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        if max_turns < 1 or max_action < 1:
            raise ConfigError("max_turns and max_action must be at least 1")
        self.talks = Talks(task, **options)
        self.max_turns, self.render_mode = max_turns, render_mode
        self.observation_space, self.action_space = Words(LONGEST, min_length=0), Words(max_action)
        self._talk: Talk | None = None
        self._sample: Sample | None = None
        self._turns = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start a conversation about a sample: a random one, or number `options["index"]`.

        Args:
            seed: of the draws; None continues them.
            options: {"index": number of the sample}; None: a random one.

        Returns:
            (observation, info)

        Raises:
            ConfigError: the workflow never asks the policy.
        """
        super().reset(seed=seed)
        index = (options or {}).get("index")
        number = int(self.np_random.integers(len(self.talks.samples))) if index is None else int(index)
        self._sample = self.talks.samples[number]
        self._talk, self._turns = self.talks.start(self._sample), 0
        if self._talk.done:
            raise ConfigError(
                f"the workflow never asks the role {self.talks.policy!r}: name another `policy`"
            )
        return self._seen(), self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Give the policy's turn; tools and other roles answer until it is asked again.

        Args:
            action: text of the turn.

        Returns:
            (observation, reward, terminated, truncated, info); the reward is the score at the end, 0 before.

        Raises:
            ConfigError: the conversation has ended.
        """
        if self._talk is None or self._sample is None or self._talk.done:
            raise ConfigError("the conversation has ended: call reset first")
        n, ask = next(iter(self._talk.pending.items()))
        self._talk.put(n, wire.reply_from_text(str(action), ask.messages, ask.tools))
        self._turns += 1
        self.talks.others(self._talk)
        info, reward = self._info(), 0.0
        if self._talk.done:
            score = self.talks.score(self._sample, self._talk.trace)
            reward = float(score.value or 0.0)
            info |= {"status": score.status, "why": score.why, "answer": self._talk.trace.answer}
        truncated = not self._talk.done and self._turns >= self.max_turns
        return self._seen(), reward, self._talk.done, truncated, info

    def render(self) -> str | None:
        """Render the conversation so far as text.

        Returns:
            The text with render_mode "ansi", else None.
        """
        return self._seen() if self.render_mode == "ansi" else None

    def _messages(self) -> list[Any]:
        if self._talk is None:
            return []
        asks = list(self._talk.pending.values())
        return list(asks[0].messages) if asks else list(self._talk.messages)

    def _seen(self) -> str:
        return "\n\n".join(map(_line, self._messages()))[-LONGEST:]

    def _info(self) -> dict[str, Any]:
        asks = list(self._talk.pending.values()) if self._talk is not None else []
        return {
            "messages": wire.conversation(self._messages()),
            "tools": wire.schemas(asks[0].tools) if asks else [],
            "turns": self._turns,
            "sample": self._sample.id if self._sample is not None else "",
        }


def _line(message: Message) -> str:
    """A message as text: its words, its calls, and the words of results; images are in `info`."""
    calls = [f"{call.name}({json.dumps(dict(call.arguments), ensure_ascii=False)})" for call in message.calls]
    results = [content for content in message.parts if isinstance(content, ToolResult)]
    texts = [
        result.error or " ".join(str(p) for p in result.parts if isinstance(p, str)) for result in results
    ]
    return f"{message.role}: " + "\n".join(filter(None, (message.text, *calls, *texts)))


if ID not in gymnasium.registry:
    gymnasium.register(ID, entry_point=f"{__name__}:TalkEnv")
