"""GRPOTrainer of TRL 1.16 over rollouts of our own: turns, tools and images come from `train.rollout`, the
update is TRL's.

TRL's hooks are too narrow for it: `rollout_func` loses images (only those of the data set reach the loss),
`tools` renders and parses by TRL's own templates, and a batch that mixes rows with and without images is
refused by the processor. So what is replaced is where completions come from and which pixels go with them;
advantages, masks, losses and metrics stay TRL's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from medxiaohe.train.rollouts.rollout import Rollout, joined

Roll = Callable[[Any, Sequence[int]], list[Rollout]]  # trainer, row numbers -> rollouts in that order


def rolling(trainer: type, roll: Roll) -> Any:
    """A class of GRPOTrainer whose completions are those of `roll`. `rolled` has those of the batch in
    hand."""

    class Rolling(trainer):  # type: ignore[misc, valid-type]
        rolled: Sequence[Rollout] = ()
        # of the batch that is scored; the loss gets its own from the buffer
        _pixels: dict[str, Any] | None = None

        def _generate_and_score_completions(self, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
            self.rolled = roll(self, [row["row"] for row in inputs])
            self._pixels = pixels(self.rolled, self.accelerator.device)
            out = super()._generate_and_score_completions(inputs)
            out |= self._pixels
            self._pixels = None
            return dict(out)

        def _generate(self, prompts: Sequence[Any]) -> tuple[Any, ...]:
            ids = [one.tokens[: one.num_prompt] for one in self.rolled]
            completions = [one.tokens[one.num_prompt :] for one in self.rolled]
            _log(self, self.rolled)
            texts = [[{"role": "assistant", "content": one.talk.trace.answer}] for one in self.rolled]
            return ids, completions, [one.mask for one in self.rolled], texts, None, {}, None, []

        def _get_per_token_logps_and_entropies(self, *args: Any, **more: Any) -> Any:
            return super()._get_per_token_logps_and_entropies(
                *args, **(more if self._pixels is None else more | self._pixels)
            )

    return Rolling


def pixels(rollouts: Sequence[Rollout], device: Any) -> dict[str, Any]:
    """Image features of all rows, in the order of their image tokens, and how many images each row has; {}
    without images."""
    features = joined([part for one in rollouts for part in one.features])
    if not features:
        return {}
    return {name: tensor.to(device) for name, tensor in features.items()} | {
        "num_images": [one.num_images for one in rollouts]
    }


def _log(trainer: Any, rollouts: Sequence[Rollout]) -> None:
    """Token counts of what the policy wrote, over all processes."""
    import torch

    mode = "train" if trainer.model.training else "eval"
    written = torch.tensor([float(sum(one.mask)) for one in rollouts], device=trainer.accelerator.device)
    written = trainer.accelerator.gather(written)
    trainer.state.num_input_tokens_seen += int(written.sum())
    trainer._metrics[mode]["completions/mean_length"].append(float(written.mean()))
