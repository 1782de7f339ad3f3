"""Run vLLM in this process: the fast backend for large models on a GPU.

Not run by the tests, which have no GPU: they cover only what happens when vLLM is not installed. It speaks
the same messages as `openai_compatible`; vLLM applies the chat template of the checkpoint itself. It does not
know the starter: its LLaVA takes CLIP, SigLIP and Pixtral vision towers, the starter's is DINOv2.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from medxiaohe import plugins
from medxiaohe.models import checkpoint, wire
from medxiaohe.types import Message, Tool

MAX_IMAGES = 32  # in one conversation


def vllm(
    model: str,
    max_new_tokens: int = 16,
    temperature: float = 0.0,
    seed: int = 0,
    gpus: int = 1,
    max_length: int | None = None,
) -> VLLM:
    """`model` is a folder or a hub id; `gpus` share the weights; `max_length` in tokens, the model's own when
    None.

    Args:
        model: a folder in hub layout or a hub id.
        max_new_tokens: tokens of a reply at most.
        temperature: 0 is greedy decoding.
        seed: of sampling.
        gpus: that share the weights.
        max_length: tokens of prompt and reply at most; None: the model's own.

    Returns:
        the loaded model

    Raises:
        MissingExtra: vLLM is not installed.
    """
    plugins.need("vllm", why=f"running the model {model!r} with vLLM")
    # it would report its use, which is a remote call
    os.environ.update(VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1")
    from vllm import LLM, SamplingParams

    engine = LLM(
        model=checkpoint.resolve(model), tensor_parallel_size=gpus, max_model_len=max_length, seed=seed,
        limit_mm_per_prompt={"image": MAX_IMAGES}, generation_config="vllm",
    )  # fmt: skip
    return VLLM(model, engine, SamplingParams(max_tokens=max_new_tokens, temperature=temperature, seed=seed))


class VLLM:
    """A vLLM engine behind the interface of models; build it with `vllm`."""

    def __init__(self, name: str, engine: Any, sampling: Any) -> None:
        self.name, self.engine, self.sampling = name, engine, sampling

    def with_seed(self, seed: int) -> VLLM:
        """Copy the backend with another sampling seed; both share the engine.

        Returns:
            the copy.
        """
        sampling = self.sampling.clone()
        sampling.seed = seed
        return VLLM(self.name, self.engine, sampling)

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Generate one reply for each conversation in one batch.

        Args:
            tools: functions that the model may call; vLLM writes them by the chat template.

        Returns:
            assistant messages, in order.
        """
        requests = [wire.conversation(messages) for messages in conversations]
        outputs = self.engine.chat(requests, self.sampling, tools=wire.schemas(tools) or None, use_tqdm=False)
        return [
            wire.reply_from_text(output.outputs[0].text, messages, tools)
            for output, messages in zip(outputs, conversations, strict=True)
        ]
