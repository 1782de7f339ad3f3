"""GRPOTrainer of TRL 1.16 over rollouts of our own: tokens, images and turns are ours, the update is TRL's.

TRL's hooks are too narrow for it: `rollout_func` loses images (only those of the data set reach the loss),
`tools` renders and parses by TRL's own templates, prompts of different length or a batch that mixes rows with
and without images are refused by the processors of most families, and which pixels belong to which row is
known for some layouts only. So what is replaced is where completions come from and what a row's images are;
advantages, masks, losses and metrics stay TRL's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from medxiaohe.models.families import family as families
from medxiaohe.train.rollouts.distillation import Teacher


class Rolled(Protocol):
    """One row: the first `num_prompt` of its tokens are the prompt, `mask` is 1 where the policy sampled."""

    @property
    def num_prompt(self) -> int:
        """Number of prompt tokens at the start of the row.

        Returns:
            At least 1.
        """

    @property
    def tokens(self) -> Sequence[int]:
        """Token ids of prompt and completion.

        Returns:
            The whole row.
        """

    @property
    def mask(self) -> Sequence[int]:
        """Which tokens behind the prompt the policy sampled.

        Returns:
            1 where it did, else 0; one for each token behind the prompt.
        """

    @property
    def answer(self) -> str:
        """Text that the reward is computed from.

        Returns:
            The final answer.
        """

    @property
    def features(self) -> Sequence[Mapping[str, Any]]:
        """Image features of the row, piece by piece.

        Returns:
            Mappings of tensors; empty without images.
        """

    @property
    def logprobs(self) -> Sequence[float] | None:
        """Log-probabilities of the sampled tokens, where another engine drew them.

        Returns:
            Nats, one for each token behind the prompt; None: the policy itself drew them.
        """


Roll = Callable[[Any, Sequence[int]], Sequence[Rolled]]  # trainer, row numbers -> rollouts in that order


def rolling(trainer: type, roll: Roll, processor: Any, teacher: Teacher | None = None) -> Any:
    """Make a GRPOTrainer class whose completions are those of `roll`.

    `rolled` has the rows of the batch in hand, in the order of the inputs. Rows with the same `episode` are
    of one input: they share its reward and its advantage.

    Args:
        trainer: a class of trl.GRPOTrainer.
        roll: (trainer, row numbers) -> rollouts in that order.
        processor: of the policy.
        teacher: gives each token an advantage of its own (train/rollouts/distillation.py); None: as GRPO.

    Returns:
        A subclass of `trainer`.
    """
    family = families.of(processor)

    class Rolling(trainer):  # type: ignore[misc, valid-type]
        rolled: Sequence[Rolled] = ()
        entropy_coef: float
        _images: Sequence[Mapping[str, Any]] = ()  # of each row that goes through the model

        def _generate_and_score_completions(self, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
            self.rolled = roll(self, [row["row"] for row in inputs])
            self._images = [family.joined(item.features) for item in self.rolled]
            # TRL: A = (r - mean of the group) / std of the group (GRPO, arXiv 2402.03300), one for each input
            out = dict(super()._generate_and_score_completions(inputs)) | {"images": list(self._images)}
            # the rows of an episode share the advantage of its input
            if len(firsts := episodes(self.rolled)) < len(self.rolled):
                places = {id(episode_of(first)): i for i, first in enumerate(firsts)}
                out["advantages"] = out["advantages"][[places[id(episode_of(item))] for item in self.rolled]]
            if teacher is not None:
                out["advantages"] = teacher.advantages(self, out, self.rolled)
                self._metrics["train"]["teacher_gap"].append(teacher.last)
            return in_passes(out, self.args.steps_per_generation)

        def _generate(self, prompts: Sequence[Any]) -> tuple[Any, ...]:
            ids = [list(item.tokens[: item.num_prompt]) for item in self.rolled]
            completions = [list(item.tokens[item.num_prompt :]) for item in self.rolled]
            _log(self, self.rolled)
            texts = [[{"role": "assistant", "content": episode.answer}] for episode in episodes(self.rolled)]
            masks = [list(item.mask) for item in self.rolled]
            drawn = [item.logprobs for item in self.rolled]
            logprobs = None if any(item is None for item in drawn) else drawn
            return ids, completions, masks, texts, logprobs, {}, None, []

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            """TRL's, with every pass weighted so that those of a step sum to the loss of the whole step."""
            self._images = inputs["images"]
            if self.current_gradient_accumulation_steps == 1:
                return super()._compute_loss(model, inputs)
            policy, entropy = weights_of_pass(
                inputs, self.loss_type, self.current_gradient_accumulation_steps
            )
            before: float = self.entropy_coef
            # the entropy bonus is a part of the loss that TRL returns, and has a weight of its own
            self.entropy_coef = before * entropy / policy
            loss = super()._compute_loss(model, inputs) * policy
            self.entropy_coef = before
            if self.use_adaptive_entropy and self.accelerator.sync_gradients:
                # as TRL adapts it, from the coefficient without the weight
                below = self._last_world_entropy <= self.args.entropy_target
                moved = before + (1 if below else -1) * self.args.entropy_coef_delta
                self.entropy_coef = max(self.args.entropy_coef_min, min(moved, self.args.entropy_coef_max))
                self._metrics["train"]["entropy_coef"][-1] = self.entropy_coef
            return loss

        def _get_per_token_logps_and_entropies(
            self,
            model: Any,
            input_ids: Any,
            attention_mask: Any,
            logits_to_keep: int,
            batch_size: int | None = None,
            compute_entropy: bool = False,
            compute_aux_loss: bool = False,
            **_: Any,
        ) -> tuple[Any, Any, Any]:
            """TRL's, with the images and token types of the rows as their family joins them."""
            import torch

            size = batch_size or input_ids.size(0)
            logps, entropies, losses = [], [], []
            for start in range(0, input_ids.size(0), size):
                # log-probabilities and entropies of the completion, a pass of `size` rows at a time
                ids, mask = input_ids[start : start + size], attention_mask[start : start + size]
                inputs = family.joined(self._images[start : start + size]) | family.per_token(ids, processor)
                moved = {name: tensor.to(ids.device) for name, tensor in inputs.items()}
                options = {"output_router_logits": True} if compute_aux_loss else {}
                labels = ids.masked_fill(mask == 0, -100)
                labels[:, :-logits_to_keep] = -100
                with self.accelerator.autocast():
                    out = model(
                        input_ids=ids,
                        attention_mask=mask,
                        **moved,
                        **options,
                        labels=labels,
                        fused_lm_head=True,
                    )
                logps.append(out.log_probs[:, -logits_to_keep:])
                entropies += [out.entropy[:, -logits_to_keep:]] if compute_entropy else []
                losses += [out.aux_loss] if compute_aux_loss else []
            return (
                torch.cat(logps),
                torch.cat(entropies) if compute_entropy else None,
                torch.stack(losses).mean() if compute_aux_loss else None,
            )

    return Rolling


def in_passes(out: dict[str, Any], passes: int) -> dict[str, Any]:
    """Pad the rows of a generation so that `passes` divides their number, for TRL drops a remainder.

    Padding rows carry no loss: their masks are 0. The real numbers of rows and tokens are recorded.

    Args:
        out: tensors [rows, ...] and a list of images of each row.
        passes: forward passes that the rows of a process are cut into.

    Returns:
        `out` with rows filled up, and `rows_of_step`, `tokens_of_step` as scalars; `out` itself for one pass.
    """
    import torch

    if passes == 1:
        return out
    rows, mask = len(out["images"]), loss_mask(out)
    # rows that are missing to a multiple of `passes`; before them, what a step is a mean over
    gap = -rows % passes
    noted = {"rows_of_step": torch.tensor(float(rows)), "tokens_of_step": mask.sum().float().cpu()}
    filled: dict[str, Any] = {}
    for name, value in out.items():
        if isinstance(value, list):
            filled[name] = value + value[:1] * gap
        elif isinstance(value, torch.Tensor) and value.ndim:
            silent = name in ("completion_mask", "tool_mask", "advantages")
            padding = value[:1] * 0 if silent else value[:1]
            filled[name] = torch.cat([value, *[padding] * gap])
        else:
            filled[name] = value
    return filled | noted


def loss_mask(inputs: Mapping[str, Any]) -> Any:
    """Compute which tokens carry loss: completion tokens that no tool wrote.

    Args:
        inputs: with `completion_mask`, and `tool_mask` where tools may write, [rows, length].

    Returns:
        1 at tokens that carry loss, else 0, [rows, length].
    """
    mask = inputs["completion_mask"]
    return mask * inputs["tool_mask"] if inputs.get("tool_mask") is not None else mask


def weights_of_pass(inputs: Mapping[str, Any], loss_type: str, passes: int) -> tuple[float, float]:
    """Compute the factors of TRL's loss of one pass, and of its entropy bonus, so that passes sum to the
    step.

    TRL divides each pass by the number of passes P: right where passes have equal shares. A mean over the
    tokens of a pass is weighted by P x its tokens / tokens of the step, a mean over rows by P x its rows /
    rows of the step.

    Args:
        inputs: of one pass, with `rows_of_step` and `tokens_of_step` of `in_passes`.
        loss_type: "bnpo" is a mean over tokens, "grpo" and "dr_grpo" over rows; of others TRL sees the step.
        passes: passes of a step.

    Returns:
        (factor of the policy loss, factor of the entropy bonus); the first is 1 instead of 0 for a pass
        without
        loss.
    """
    # share of the step's tokens and rows that this pass has, times P: 1 for equal passes
    tokens = float(loss_mask(inputs).sum()) * passes / max(1.0, float(inputs["tokens_of_step"]))
    rows = len(inputs["images"]) * passes / float(inputs["rows_of_step"])
    return {"bnpo": tokens, "grpo": rows, "dr_grpo": rows}.get(loss_type, 1.0) or 1.0, tokens


def episode_of(row: Rolled) -> Any:
    """Get what a row shares with the other rows of its input.

    Args:
        row: a rollout.

    Returns:
        Its `episode`; the row itself where it is the only one.
    """
    return getattr(row, "episode", row)


def episodes(rows: Sequence[Any]) -> list[Any]:
    """Select the first row of each input.

    Args:
        rows: rollouts, those of one input next to each other.

    Returns:
        One row for each input, in order.
    """
    return list({id(episode_of(row)): row for row in reversed(rows)}.values())[::-1]


def _log(trainer: Any, rollouts: Sequence[Rolled]) -> None:
    """Token counts of what the policy wrote for each input, over all processes."""
    import torch

    mode = "train" if trainer.model.training else "eval"
    # tokens that the policy sampled for each input
    counts: dict[int, float] = {}
    for rollout in rollouts:
        counts[id(episode_of(rollout))] = counts.get(id(episode_of(rollout)), 0.0) + sum(rollout.mask)
    written = torch.tensor(list(counts.values()), device=trainer.accelerator.device)
    written = trainer.accelerator.gather(written)
    trainer.state.num_input_tokens_seen += int(written.sum())
    trainer._metrics[mode]["completions/mean_length"].append(float(written.mean()))
