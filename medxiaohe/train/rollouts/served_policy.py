"""Sample answers for reinforcement learning from vLLM's OpenAI-compatible server, with the current weights.

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve MODEL --enable-lora --max-lora-rank 64

Before each generation the policy's LoRA adapter is saved to the folder of unfinished work and loaded by the
server (`/v1/load_lora_adapter`), so server and training share one file system. The server returns the tokens
it read and wrote (`return_token_ids`). What it read must be what training renders, or the run stops: a policy
must not be trained on a prompt that it did not see.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.models import wire
from medxiaohe.models.backends.openai_compatible import OpenAICompatible, openai_compatible
from medxiaohe.models.families import family as families
from medxiaohe.models.render import Rendered
from medxiaohe.privacy import post
from medxiaohe.recipe import ranks
from medxiaohe.train.loop.parts import Parts
from medxiaohe.types import Message


@dataclass(frozen=True)
class PolicyServer:
    """Where answers are drawn, such as http://127.0.0.1:8000/v1; without a url they are drawn here."""

    url: str = ""
    api_key_env: str = ""
    privacy: Literal["local_only", "deid", "off"] = "local_only"
    timeout: float = 600.0  # seconds for one answer
    workers: int = 32  # answers asked for at once

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.workers < 1:
            raise ConfigError("server.timeout must be above 0 seconds and server.workers at least 1")


def refuse_what_cannot_be_served(parts: Parts) -> None:
    """Refuse a policy server unless LoRA adapters are all that is trained: nothing else reaches a running
    server.

    Args:
        parts: which parts are trained.

    Raises:
        ConfigError: something else is trained.
    """
    if parts.language != "lora" or parts.projector or parts.vision:
        raise ConfigError(
            "server: only LoRA adapters reach a running server: set parts to {language: lora, projector:"
            " false, vision: false}"
        )


@dataclass(frozen=True)
class Drawn:
    """Tokens that the policy wrote, and the log-likelihood of each where the server returns it."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] | None


class ServedPolicy:
    """The policy behind a server.

    Args:
        settings: of the server.
        processor: of the model, for the token that stands for an image: a policy never writes it.
        work: folder of the run's unfinished work, for adapters.
        max_new_tokens: of an answer.
        temperature: of sampling.
        seed: of the run.
    """

    def __init__(
        self,
        settings: PolicyServer,
        processor: Any,
        work: Path,
        *,
        max_new_tokens: int,
        temperature: float,
        seed: int,
    ):
        self._settings, self._place, self._seed = settings, work / "served", seed
        self._server: OpenAICompatible = openai_compatible(
            "policy",
            settings.url,
            api_key_env=settings.api_key_env,
            privacy=settings.privacy,
            timeout=settings.timeout,
        )
        image = families.of(processor).image_token_id(processor)
        # every setting that could change an answer: what is missing a server takes from the checkpoint
        self._sampling = {
            "max_tokens": max_new_tokens, "temperature": temperature, "top_p": 1.0, "top_k": -1, "min_p": 0.0,
            "repetition_penalty": 1.0, "logprobs": True, "return_token_ids": True,
            **({} if image is None else {"logit_bias": {str(image): -100}}),
        }  # fmt: skip
        self._loaded = ""  # name of the adapter that the server has

    def draw(
        self,
        trainer: Any,
        conversations: Sequence[Sequence[Message]],
        prompts: Sequence[Rendered],
        numbers: Sequence[int],
    ) -> list[Drawn]:
        """Draw an answer to each conversation with the current weights of the trainer.

        Args:
            trainer: whose model is the policy.
            conversations: what is asked.
            prompts: the same as training renders it.
            numbers: of the prompts in the run, for seeds.

        Returns:
            Tokens and log-likelihoods in the order of the conversations.

        Raises:
            ModelError: the server cannot be reached, cannot load the adapter, or read other tokens.
        """
        name = ranks.agree(self._publish(trainer) if ranks.is_first() else None)

        def asked(number: int) -> Drawn:
            """Request one answer and check the tokens that the server read.

            Returns:
                Tokens and log-likelihoods.
            """
            body = {
                "model": name, "messages": wire.conversation(conversations[number]), **self._sampling,
                "seed": self._seed_of(number, numbers),
            }  # fmt: skip
            return self._read(self._post("/chat/completions", body), prompts[number])

        with ThreadPoolExecutor(self._settings.workers) as pool:
            return list(pool.map(asked, range(len(conversations))))

    def _seed_of(self, index: int, numbers: Sequence[int]) -> int:
        """Derive a seed that differs for every answer of the run and is the same when a killed run draws it
        again.
        """
        copy = list(numbers[:index]).count(numbers[index])  # which of a prompt's answers
        keys = (str(self._seed), str(numbers[index]), str(copy), str(ranks.rank()))
        # a hash from 0 to 1, as a seed of 31 bits
        return int(io.unit_interval(*keys) * 2**31)

    def _publish(self, trainer: Any) -> str:
        """Save the adapter and have the server load it; returns its name, which changes with its weights."""
        draft = self._place / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(draft)
        name = f"policy-{io.sha256(draft / 'adapter_model.safetensors')[:16]}"
        if name == self._loaded:
            return name
        folder = self._place / name
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        result = {"lora_name": name, "lora_path": str(folder.absolute())}
        self._post("/load_lora_adapter", result, unless="already")
        if self._loaded:
            self._post("/unload_lora_adapter", {"lora_name": self._loaded})
            shutil.rmtree(self._place / self._loaded, ignore_errors=True)
        self._loaded = name
        return name

    def _post(self, path: str, body: dict[str, Any], unless: str = "") -> bytes:
        """Post to the server and return its answer; a refusal that contains the word `unless` is accepted."""
        target, data = self._server.destination(), json.dumps(body, ensure_ascii=False).encode()
        try:
            status, answer, _ = post.post(target, path, data, self._server.headers(), self._settings.timeout)
        except (post.TooLarge, *post.FAULTS) as error:
            raise ModelError(
                f"the server {target.authority} did not answer {path}: {type(error).__name__}: check that it"
                " runs; the last checkpoint is intact, and the same command continues from it"
            ) from error
        if status != 200 and not (unless and unless in answer.decode("utf-8", "replace")):
            raise ModelError(
                f"the server {target.authority} answered {status} to {path}: start vLLM with --enable-lora"
                " and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, on files that it shares with this process"
            )
        return answer

    def _read(self, answer: bytes, prompt: Rendered) -> Drawn:
        try:
            reply = json.loads(answer)
            choice = reply["choices"][0]
            read, written = reply["prompt_token_ids"], tuple(map(int, choice["token_ids"]))
            rows = (choice.get("logprobs") or {}).get("content")
            logprobs = tuple(float(row["logprob"]) for row in rows) if rows else None
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise ModelError(
                f"the server {self._server.destination().authority} does not tell its tokens: it must know"
                " return_token_ids, as vLLM does"
            ) from error
        if list(read) != list(prompt.tokens):
            pairs = enumerate(zip(read, prompt.tokens, strict=False))
            position = next((i for i, (a, b) in pairs if a != b), min(len(read), len(prompt.tokens)))
            raise ModelError(
                f"the server read other tokens than training renders, from token {position} of"
                f" {len(prompt.tokens)} on: serve the same checkpoint with its own chat template"
            )
        return Drawn(written, logprobs if logprobs and len(logprobs) == len(written) else None)
