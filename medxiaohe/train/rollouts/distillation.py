"""Turn-level truncated on-policy distillation from an EMA teacher that knows the outcome (Healthcare AI GYM,
arXiv 2605.02943, section on TT-OPD).

paper says                              we do, and why
plain GRPO on conversations with tools  the same term beside GRPO, off by default: `train.agentic` with
explodes replies and loses tools; a     `distillation: {coef: 0.1}`
dense term at every turn holds them
teacher: an exponential moving average  the weights that are trained, averaged after each optimizer step; no
of the policy, without gradient         second model in memory but these
the teacher sees the outcome            it reads the same tokens behind a prompt that ends with the right
                                        answer and what the conversation earned; the wording is ours
KL at every turn, truncated             only the first `tokens` of each turn count, and a difference of more
                                        than `limit` nats counts as `limit`
KL regularisation in the loss           its policy gradient: log teacher - log policy of each sampled token,
                                        times `coef`, added to the advantage of the token (reverse KL on the
                                        policy's own samples), so that TRL's clipping holds for it too
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.models.render import render_prompt

PREFIX = "teacher "  # of its tensors in a checkpoint


@dataclass(frozen=True)
class Distillation:
    """Settings of the term.

    Attributes:
        coef: weight of the term in the advantage of a token; 0 leaves it out.
        tokens: of each turn that count, from its start.
        decay: of the moving average, after each optimizer step.
        limit: largest difference of log-probabilities of a token that counts, in nats.
    """

    coef: float = 0.0
    tokens: int = 64
    decay: float = 0.95
    limit: float = 2.0

    def __post_init__(self) -> None:
        if self.coef < 0 or self.tokens < 1 or not 0 <= self.decay < 1 or self.limit <= 0:
            raise ConfigError(
                "distillation: coef must be at least 0, tokens at least 1, decay from 0 to below 1, and limit"
                " above 0"
            )


class Teacher:
    """The moving average of the trained weights of a policy.

    Args:
        settings: of the term.
        processor: of the policy.
    """

    def __init__(self, settings: Distillation, processor: Any):
        self.settings, self.processor = settings, processor
        self.weights: dict[str, Any] = {}
        self.outcomes: dict[int, str] = {}  # id of a conversation -> what the teacher knows of it
        self.last = 0.0  # mean difference of the last generation, in nats a token

    def update(self, model: Any) -> None:
        """Move the average towards the weights as they are now; the first call copies them.

        Args:
            model: the policy after an optimizer step.
        """
        import torch

        with torch.no_grad():
            # theta' <- d theta' + (1 - d) theta, d = decay
            for name, weight in trained(model):
                if name not in self.weights:
                    self.weights[name] = weight.detach().clone()
                else:
                    self.weights[name].lerp_(weight.detach(), 1 - self.settings.decay)

    @contextmanager
    def playing(self, model: Any) -> Iterator[None]:
        """Put the teacher's weights into the model; its own are restored at the end. A context manager.

        Args:
            model: the policy.
        """
        if not self.weights:
            self.update(model)
        own = {name: weight.data for name, weight in trained(model)}
        for name, weight in trained(model):
            weight.data = self.weights[name].to(weight.dtype)
        try:
            yield
        finally:
            for name, weight in trained(model):
                weight.data = own[name]

    def advantages(self, trainer: Any, out: dict[str, Any], rows: Sequence[Any]) -> Any:
        """Advantages of tokens: those of the conversations, and the term.

        Args:
            trainer: a GRPOTrainer over rollouts of our own, whose `_images` are those of `rows`.
            out: its tensors: prompt_ids and prompt_mask [rows, prompt], completion_ids, completion_mask and
                tool_mask [rows, length], advantages [rows].
            rows: Rollouts, in the order of the tensors.

        Returns:
            [rows, length]. Tokens of tools and padding carry no loss, so their values do not count.
        """
        import torch

        mask = out["completion_mask"] * out["tool_mask"] if "tool_mask" in out else out["completion_mask"]
        length, device = mask.shape[1], mask.device
        model = trainer.accelerator.unwrap_model(trainer.model)
        size = trainer.args.per_device_train_batch_size

        def scored(prompts: Any, attention: Any) -> Any:
            """Log-probabilities [rows, length] of the completions behind prompts.

            Args:
                prompts: token ids [rows, prompt].
                attention: 1 at tokens, 0 at padding [rows, prompt].

            Returns:
                Nats, [rows, length], without gradient.
            """
            ids = torch.cat([prompts, out["completion_ids"]], dim=1)
            seen = torch.cat([attention, out["completion_mask"]], dim=1)
            return trainer._get_per_token_logps_and_entropies(model, ids, seen, length, batch_size=size)[0]

        with torch.no_grad():
            # log pi(y_t | prompt, y_<t) of the policy, [rows, length]
            own = scored(out["prompt_ids"], out["prompt_mask"])
            informed = [self.told(row) for row in rows]
            # as TRL pads them: prompts on the left, so that every completion begins in the same column
            width = max(map(len, informed))
            pad = self.processor.tokenizer.pad_token_id
            gaps = [width - len(item) for item in informed]
            rows_told = [[pad] * gap + tokens for gap, tokens in zip(gaps, informed, strict=True)]
            rows_seen = [[0] * gap + [1] * len(tokens) for gap, tokens in zip(gaps, informed, strict=True)]
            prompts = torch.tensor(rows_told, device=device)
            attention = torch.tensor(rows_seen, device=device)
            # log pi'(y_t | prompt with outcome, y_<t) of the teacher, over the same completions
            with self.playing(model):
                knows = scored(prompts, attention)
        # A_t = A + coef x clip(log pi'_t - log pi_t, -limit, limit) in the first tokens of each turn: the
        # policy gradient of the reverse KL on the policy's own samples
        window = first_of_turns(mask, self.settings.tokens)
        gap = (knows - own).clamp(-self.settings.limit, self.settings.limit) * window
        self.last = float(gap.sum() / window.sum().clamp(min=1))
        return out["advantages"].unsqueeze(1) + self.settings.coef * gap

    def told(self, row: Any) -> list[int]:
        """Render the prompt of a row with the outcome after the last message of its user.

        Args:
            row: a Rollout; `outcomes` has that of its conversation.

        Returns:
            Token ids.
        """
        outcome = self.outcomes.get(id(row.talk), "")
        last = max(i for i, message in enumerate(row.asked) if message.role == "user")
        extended = replace(row.asked[last], parts=(*row.asked[last].parts, f"\n\n{outcome}"))
        messages = (*row.asked[:last], extended, *row.asked[last + 1 :])
        return list(render_prompt(messages, self.processor, row.tools).tokens)

    def state(self) -> dict[str, Any]:
        """Collect the tensors for a checkpoint.

        Returns:
            Averaged weights by name, with `PREFIX`.
        """
        return {f"{PREFIX}{name}": weight for name, weight in self.weights.items()}

    def restore(self, tensors: dict[str, Any], device: Any) -> None:
        """Take up the averaged weights of a checkpoint.

        Args:
            tensors: of a checkpoint; those without `PREFIX` are ignored.
            device: to move them to.
        """
        self.weights = {
            name.removeprefix(PREFIX): tensor.to(device)
            for name, tensor in tensors.items()
            if name.startswith(PREFIX)
        }


def trained(model: Any) -> list[tuple[str, Any]]:
    """List the parameters that have a gradient.

    Args:
        model: the policy.

    Returns:
        (name, parameter) in the model's order.
    """
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def outcome(gold: str, reward: float | None) -> str:
    """Write the sentence that tells the teacher the outcome of a conversation.

    Args:
        gold: the right answer, or "".
        reward: what the conversation earned; None where it could not be judged.

    Returns:
        A sentence in English.
    """
    earned = "could not be judged" if reward is None else f"earned {reward:.2f}"
    return f"Known outcome: the right answer is {gold or 'not on record'}. This conversation {earned}."


def first_of_turns(mask: Any, most: int) -> Any:
    """Mark the first `most` tokens of each run of ones.

    Args:
        mask: [rows, length] of 0 and 1; a run is a turn of the policy.
        most: tokens of a turn.

    Returns:
        A mask of the same shape and type.
    """
    import torch

    counts = torch.zeros_like(mask[:, 0])
    result = torch.zeros_like(mask)
    for at in range(mask.shape[1]):
        # tokens of the turn so far, this one included; 0 outside of turns
        counts = (counts + 1) * mask[:, at]
        result[:, at] = (counts > 0) & (counts <= most)
    return result
