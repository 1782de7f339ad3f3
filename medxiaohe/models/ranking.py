"""Score several short answers to one prompt by likelihood, with the prompt read once.

A prompt goes through the model once; its keys and values are then shared by all of its answers. Models whose
positions are not a plain count (M-RoPE) and forward functions without `logits_to_keep` are not for this file:
`shares_prompts`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any

from medxiaohe.models import render
from medxiaohe.models.render import Rendered

MAX_ROWS = 64  # answers that go through the model together


def shares_prompts(model: Any) -> bool:
    """Say whether a prompt of this model may be read once for all of its answers.

    Args:
        model: a transformers model; its forward function and its config are read.

    Returns:
        False for models with M-RoPE, and where the forward function lacks `logits_to_keep`,
        `past_key_values` or `position_ids`.
    """
    parameters = inspect.signature(model.forward).parameters
    plain = "mrope" not in json.dumps(model.config.to_dict(), default=str)
    return plain and {"logits_to_keep", "past_key_values", "position_ids"} <= set(parameters)


def nats(
    model: Any,
    processor: Any,
    prompts: Sequence[Rendered],
    answers: Sequence[Sequence[Sequence[int]]],
    beginning: Any = None,
    shared: int = 0,
) -> list[list[float]]:
    """Compute the negative log-likelihood in nats of the answers to each prompt; an empty answer has 0.

    `beginning` holds the keys and values of the first `shared` tokens of every prompt, where these were read
    before.

    Args:
        model: a causal language model of transformers.
        processor: of the model.
        prompts: rendered prompts.
        answers: for each prompt its answers as token ids.
        beginning: keys and values of the common first tokens, read before.
        shared: number of these tokens.

    Returns:
        for each prompt one number for each answer
    """
    import torch

    inputs = render.on_device(render.batch(prompts, processor, "left", shared), model)
    inputs.pop("labels")
    # B prompts, P prompt tokens (left padding), V vocabulary, N answers with more than one token, T their
    # tokens
    mask_BP = inputs["attention_mask"]
    longest = max((len(tokens) for several in answers for tokens in several), default=0)
    with torch.inference_mode():
        # positions count real tokens only, so padding does not shift them
        positions_BP = (mask_BP.cumsum(-1) - 1).clamp(min=0)
        inputs["input_ids"] = inputs["input_ids"][:, shared:]
        cached = {"past_key_values": beginning} if shared else {}
        out = model(
            **inputs, **cached, position_ids=positions_BP[:, shared:], use_cache=longest > 1, logits_to_keep=1
        )
        # the logits at the last prompt token predict the first token of every answer
        first_BV = out.logits[:, -1].float().log_softmax(-1)
        results = [
            [-float(first_BV[i, tokens[0]]) if tokens else 0.0 for tokens in several]
            for i, several in enumerate(answers)
        ]
        if longest > 1:
            _add_rest(model, out.past_key_values, mask_BP, answers, results, processor.tokenizer.pad_token_id)
    return results


def _add_rest(
    model: Any, cache: Any, mask_BP: Any, answers: Any, results: list[list[float]], pad: int
) -> None:
    """Add the negative log-likelihood of the tokens after the first, for all answers at once."""
    import torch

    rows = [
        (i, j) for i, several in enumerate(answers) for j, tokens in enumerate(several) if len(tokens) > 1
    ]
    device = mask_BP.device
    # row of the prompt of each answer
    index_N = torch.tensor([i for i, _ in rows], device=device)
    width = max(len(answers[i][j]) for i, j in rows) - 1
    tokens_NT = torch.full((len(rows), width + 1), pad, device=device)
    # answers padded at their end
    kept_NT = torch.zeros((len(rows), width + 1), dtype=torch.bool, device=device)
    for n, (i, j) in enumerate(rows):
        tokens_NT[n, : len(answers[i][j])] = torch.tensor(list(answers[i][j]), device=device)
        kept_NT[n, : len(answers[i][j])] = True
    # repeat the cache of each prompt for its answers
    mask_NP = mask_BP[index_N]
    cache.batch_select_indices(index_N)
    # answers continue at the number of real tokens of their prompt
    positions_NT = mask_NP.sum(-1, keepdim=True) + torch.arange(width, device=device)
    # feed tokens 0 .. T-1, which predict tokens 1 .. T
    whole_mask = torch.cat([mask_NP, kept_NT[:, :-1].to(mask_NP.dtype)], dim=-1)
    out = model(
        input_ids=tokens_NT[:, :-1],
        attention_mask=whole_mask,
        position_ids=positions_NT,
        past_key_values=cache,
        use_cache=True,
    )
    # log p(token t | prompt, tokens < t)
    said_NT = out.logits.float().log_softmax(-1).gather(-1, tokens_NT[:, 1:, None]).squeeze(-1)
    # nats: the negative sum over real tokens
    cost_N = -(said_NT * kept_NT[:, 1:]).sum(-1)
    for n, (i, j) in enumerate(rows):
        results[i][j] += float(cost_N[n])
