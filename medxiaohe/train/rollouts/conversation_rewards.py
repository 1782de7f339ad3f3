"""Rewards of conversations: the task's scorer, the hybrid reward, or Med-RwR's four parts around a scorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import plugins
from medxiaohe.agents import rwr as grammar
from medxiaohe.entity.linking.finder import finder
from medxiaohe.errors import ConfigError
from medxiaohe.models.render import IGNORED, Rendered, batch, render_prompt
from medxiaohe.rewards.hybrid import Reward
from medxiaohe.rewards.rwr import RwrWeights, Seen, rwr
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.rollouts.answer_rewards import Rewarding
from medxiaohe.train.rollouts.talk import Form, Talk
from medxiaohe.types import ImageRef, Message, Sample, Score, Task, ToolResult

OPENED = "<answer>"
NOT_USED = "no tool was used, and this prompt is to be answered with one"
Gain = Callable[[Sequence[tuple[Sample, Talk]]], list[float | None]]


class Earning:
    """Rewards of conversations. With `weights` None the task's reward alone; a conversation that had to use a
    tool
    (`forced`) and used none earns 0.
    """

    def __init__(
        self,
        earned: Rewarding,
        form: Form,
        weights: RwrWeights | None,
        tree: Path | None,
        similarity: str = "",
    ):
        if weights is not None and weights.query and tree is None:
            raise ConfigError(
                "the query reward looks entities up in a tree: wire one to needs.tree, or set weights.query"
                " to 0"
            )
        self.earned, self.form, self.weights = earned, form, weights
        self._finder = finder(tree) if weights is not None and weights.query and tree is not None else None
        self._similarity = plugins.load_object(similarity) if similarity else None
        self._known: dict[str, frozenset[str]] = {}

    def of(self, pairs: Sequence[tuple[Sample, Talk]], gains: Gain) -> list[Reward]:
        """Compute the rewards of conversations: the task's, or Med-RwR's four parts around it.

        Args:
            pairs: (sample, its finished conversation).
            gains: computes the confidence gains of all pairs; called only where their weight is not 0.

        Returns:
            Rewards in the order of the pairs. An unsafe answer keeps the reward of the safety gate; a
            conversation
            that had to use a tool and used none earns 0.
        """
        rewards = self.earned.of_traces([(sample, talk.trace) for sample, talk in pairs])
        if self.weights is not None:
            log_ratios = gains(pairs) if self.weights.confidence else [None] * len(pairs)
            rewards = [
                (
                    reward
                    if reward.status == "unsafe"  # the gate holds whatever else is paid
                    else rwr(
                        Score("accuracy", reward.correct, _status(reward), why=reward.why),
                        self._seen(*pair, gain),
                        self.weights,
                    )
                )
                for pair, reward, gain in zip(pairs, rewards, log_ratios, strict=True)
            ]
        return [
            (
                Reward(0.0, 0.0, reward.status, reward.parts, NOT_USED)
                if talk.use == "forced" and not talk.used and reward.total is not None
                else reward
            )
            for (_, talk), reward in zip(pairs, rewards, strict=True)
        ]

    def _seen(self, sample: Sample, talk: Talk, gain: float | None) -> Seen:
        queries, got = asked_for(talk, self.form), retrieved_text(talk)
        conforms = grammar.conforms(talk.trace) if self.form == "rwr" else not talk.error
        asked_of, got_of, gold_of = (self._entities(text) for text in (queries, got, gold_text(sample)))
        pictures = [image for message in talk.prompt.messages for image in message.images]
        similar = self._near(pictures, queries) if queries else None
        return Seen(conforms, talk.used, asked_of, got_of, gold_of, similar, gain)

    def _near(self, pictures: Sequence[ImageRef], text: str) -> float | None:
        return (
            float(self._similarity(pictures[0], text)) if self._similarity is not None and pictures else None
        )

    def _entities(self, text: str) -> frozenset[str]:
        if self._finder is None:
            return frozenset()
        if text not in self._known:
            self._known[text] = frozenset(mention.entity for mention in self._finder.find(text))
        return self._known[text]


def _status(reward: Reward) -> Any:
    return (
        reward.status
        if reward.status in ("judged", "unparsed", "refused", "truncated", "unjudged")
        else "judged"
    )


def asked_for(talk: Talk, form: Form) -> str:
    """Join the words of all queries or calls of a conversation.

    Args:
        talk: the conversation.
        form: "rwr" reads <query> elements of the policy's turns, "calls" the arguments of its tool calls.

    Returns:
        One line for each query or argument.
    """
    own = [message for message in talk.messages[len(talk.prompt.messages) :] if message.role == "assistant"]
    if form == "rwr":
        return "\n".join(query for message in own for query in grammar.QUERY.findall(message.text))
    return "\n".join(
        str(value) for message in own for call in message.calls for value in call.arguments.values()
    )


def sampled_tokens(rows: Sequence[Any]) -> dict[int, int]:
    """Tokens that the policy sampled in each conversation, by its id.

    Args:
        rows: Rollouts; a conversation may have several.
    """
    result: dict[int, int] = {}
    for row in rows:
        result[id(row.talk)] = result.get(id(row.talk), 0) + sum(row.mask)
    return result


def retrieved_text(talk: Talk) -> str:
    """Join the text of all tool results of a conversation, errors and images left out.

    Args:
        talk: the conversation.

    Returns:
        One line for each piece of text.
    """
    return "\n".join(text for result in talk.results for text in result.parts if isinstance(text, str))


def gold_text(sample: Sample) -> str:
    """Read the gold answer in words.

    Args:
        sample: with an answer as its last message, or with `target`.

    Returns:
        The last message of the assistant, else `target`.
    """
    return (
        sample.messages[-1].text
        if sample.messages and sample.messages[-1].role == "assistant"
        else sample.target
    )


def gains(
    pairs: Sequence[tuple[Sample, Talk]],
    tasks: dict[str, Task],
    model: Any,
    processor: Any,
    batch_size: int,
) -> list[float | None]:
    """Compute the confidence gain of Med-RwR: log [pi(gold | with) / pi(gold | without)], a mean over gold
    tokens.

    Both contexts end with an opened answer and no thought: a thought that repeats what was retrieved would
    carry it over.

    Args:
        pairs: (sample, its finished conversation).
        tasks: by name, for their gold answers.
        model: the policy.
        processor: of the policy.
        batch_size: rows of a forward pass.

    Returns:
        Nats a token in the order of the pairs; None where no tool answered, or without a gold answer.
    """
    rows: list[Rendered] = []
    numbers = []
    for number, (sample, talk) in enumerate(pairs):
        gold = tasks[sample.source].gold(sample)
        if not gold or not talk.used:
            continue
        # with: the conversation up to the last tool result; without: the prompt alone
        last = max(
            i
            for i, message in enumerate(talk.messages)
            if any(isinstance(content, ToolResult) for content in message.parts)
        )
        for messages in (talk.messages[: last + 1], talk.prompt.messages):
            rows.append(_ending(messages, gold, processor, talk.tools))
        numbers.append(number)
    # mean log-likelihood of the gold's tokens behind each context, in passes of `batch_size` rows
    nats = [
        value
        for start in range(0, len(rows), batch_size)
        for value in _mean_log_likelihood(rows[start : start + batch_size], model, processor)
    ]
    results: list[float | None] = [None] * len(pairs)
    for i, number in enumerate(numbers):
        # log pi(gold | with) - log pi(gold | without)
        results[number] = nats[2 * i] - nats[2 * i + 1]
    return results


def _ending(messages: Sequence[Message], gold: str, processor: Any, tools: Any) -> Rendered:
    context = render_prompt(messages, processor, tools)
    opened, words = (
        processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (OPENED, gold)
    )
    before = (*context.tokens, *opened)
    return Rendered(
        (*before, *words),
        (False,) * len(before) + (True,) * len(words),
        context.features,
        context.num_images,
    )


def _mean_log_likelihood(rows: Sequence[Rendered], model: Any, processor: Any) -> list[float]:
    import torch

    inputs = {name: tensor.to(model.device) for name, tensor in batch(rows, processor).items()}
    # logits at position t predict the token at t + 1
    labels = inputs.pop("labels")[:, 1:]
    with torch.no_grad(), parts_of.mixed(model):
        logits = model(**inputs, use_cache=False).logits[:, :-1]
    results = []
    for logit, label in zip(logits, labels, strict=True):
        results.append(-float(torch.nn.functional.cross_entropy(logit.float(), label, ignore_index=IGNORED)))
    return results
