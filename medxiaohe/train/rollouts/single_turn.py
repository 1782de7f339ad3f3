"""Single-turn rollouts as token rows: the prompt by our render, the answer as it was sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medxiaohe.models.render import Rendered, batch
from medxiaohe.models.turns import written

if TYPE_CHECKING:
    import torch

# padded inputs -> tokens [batch, inputs + new], new ones padded on the right
Generate = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Answered:
    """A prompt and what the policy answered; the first `num_prompt` tokens are the prompt."""

    tokens: tuple[int, ...]
    num_prompt: int
    answer: str
    features: tuple[Mapping[str, torch.Tensor], ...] = ()
    logprobs: tuple[float, ...] | None = None

    @property
    def mask(self) -> tuple[int, ...]:
        """Which tokens behind the prompt the policy sampled.

        Returns:
            1 for each of them.
        """
        return (1,) * (len(self.tokens) - self.num_prompt)


def answers(
    prompts: Sequence[Rendered], processor: Any, generate: Generate, ends: frozenset[int]
) -> list[Answered]:
    """Sample answers to all prompts in one batch; an answer ends with the token that ends it.

    Args:
        prompts: rendered.
        processor: of the policy.
        generate: samples completions of padded inputs.
        ends: ids of the tokens that end an answer.

    Returns:
        Rows in the order of the prompts.
    """
    inputs = batch(prompts, processor, "left")
    inputs.pop("labels")
    new = generate(inputs)[:, inputs["input_ids"].shape[1] :].tolist()
    return [answered(prompt, tokens, processor, ends) for prompt, tokens in zip(prompts, new, strict=True)]


def answered(
    prompt: Rendered,
    tokens: Sequence[int],
    processor: Any,
    ends: frozenset[int],
    logprobs: Sequence[float] | None = None,
) -> Answered:
    """Join a prompt with the tokens that were drawn for it, up to the first that ends the answer.

    Args:
        prompt: rendered.
        tokens: drawn, possibly padded behind the end.
        processor: of the policy.
        ends: ids of the tokens that end an answer.
        logprobs: nats of each drawn token; None: not known.

    Returns:
        A row with the answer's text.
    """
    stop = next((i for i, token in enumerate(tokens, 1) if token in ends), len(tokens))
    text = written(tokens[:stop], processor)
    features = (prompt.features,) if prompt.num_images else ()
    drawn = None if logprobs is None else tuple(logprobs[:stop])
    return Answered((*prompt.tokens, *tokens[:stop]), len(prompt.tokens), text, features, drawn)
