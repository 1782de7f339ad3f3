"""Answer with any checkpoint in Hugging Face layout by plain transformers: batched, greedy by default.

Greedy is Pass@1. Sampling settings that a checkpoint carries in generation_config.json (top_p,
repetition_penalty, ...) are not used: two checkpoints are compared on the same terms, and the same call gives
the same bytes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from medxiaohe import io, plugins
from medxiaohe.errors import DataError
from medxiaohe.models import checkpoint, ranking, render, turns, wire
from medxiaohe.models.families import family as families
from medxiaohe.models.prefix import Beginnings
from medxiaohe.models.render import Rendered, Thinking
from medxiaohe.types import Message, Part, Tool, ToolCall, ToolResult

if TYPE_CHECKING:
    import torch

TOKENS_PER_PASS = 2048  # of a likelihood pass: bounds the memory that the logits of a large vocabulary take
MOST_COUNTED = 10_000  # texts whose number of tokens is remembered
IMAGE_LENGTH = 250  # tokens an image counts as, when conversations are sorted by length


def transformers(
    model: str,
    batch_size: int = 16,
    max_new_tokens: int = 16,
    temperature: float = 0.0,
    seed: int = 0,
    device: str = "auto",
    thinking: Thinking = "auto",
    device_map: str = "",
    attn_implementation: str = "",
) -> Transformers:
    """`model` is `starter`, a folder, or a hub id; `device` auto takes the GPU when there is one; `thinking`
    on or off asks the chat template for thoughts or for none; `device_map` auto spreads a model that is
    larger than one GPU over all of them.

    Args:
        model: starter, a folder in hub layout, or a hub id.
        batch_size: conversations that are generated together.
        max_new_tokens: tokens of a reply at most.
        temperature: 0 is greedy decoding.
        seed: of sampling.
        device: auto, cpu, cuda, ...
        thinking: auto, on or off: whether the chat template asks for thoughts.
        device_map: auto spreads the model over all GPUs.
        attn_implementation: as transformers names it; "": its default.

    Returns:
        the loaded model

    Raises:
        ModelError: the checkpoint cannot be loaded.
    """
    plugins.need("torch", "transformers", why=f"running the model {model!r}")
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = checkpoint.load(
        model, device, thinking=thinking, device_map=device_map, attn_implementation=attn_implementation
    )
    return Transformers(loaded, batch_size, max_new_tokens, temperature, seed)


class Transformers:
    """A loaded checkpoint behind the interface of models; build it with `transformers`."""

    def __init__(
        self, loaded: checkpoint.Loaded, batch_size: int, max_new_tokens: int, temperature: float, seed: int
    ) -> None:
        self.name = loaded.name
        self.model, self.processor = loaded.model, loaded.processor
        self.batch_size, self.seed = batch_size, seed
        self.pad, self.ends = special_ids(loaded)
        self.settings = generation(loaded, max_new_tokens, temperature)
        self.beginnings = Beginnings(self.model)
        self._tails: dict[tuple[str, int], tuple[int, ...]] = {}
        self._lengths: dict[str, int] = {}  # tokens of texts

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Generate one reply for each conversation; conversations of similar length share a batch.

        Args:
            conversations: each a sequence of messages that ends with what is answered.
            tools: functions that the model may call.

        Returns:
            assistant messages
        """
        replies = dict(pair for group in self.replies(conversations, tools) for pair in group)
        return [replies[i] for i in range(len(conversations))]

    def replies(
        self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()
    ) -> Iterator[list[tuple[int, Message]]]:
        """Generate replies batch by batch.

        Samples depend on the seed and the batch, not on earlier requests: a run that resumes
        after some batches continues like one that was never stopped.

        Args:
            conversations: each a sequence of messages that ends with what is answered.
            tools: functions that the model may call.

        Yields:
            groups of (index of the conversation, its reply)
        """
        for chosen, rows in self._batches(conversations, tools):
            texts = self._generate(rows, _seed(self.seed, rows))
            yield [
                (i, wire.reply_from_text(text, conversations[i], tools))
                for i, text in zip(chosen, texts, strict=True)
            ]

    def with_seed(self, seed: int) -> Transformers:
        """Copy the backend with another sampling seed; both share the weights.

        Returns:
            the copy.
        """
        backend = copy.copy(self)
        backend.seed = seed
        return backend

    def count(self, messages: Sequence[Message]) -> int:
        """Count the text tokens of messages.

        Returns:
            number of tokens; those of the chat template and of images are not counted.
        """
        return sum(self._tokens_of(text) for message in messages for text in _words(message.parts))

    def _tokens_of(self, text: str) -> int:
        if text not in self._lengths:
            if len(self._lengths) > MOST_COUNTED:
                self._lengths.clear()
            self._lengths[text] = len(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])
        return self._lengths[text]

    def token_nats(self, texts: Sequence[str], max_tokens: int = 256) -> list[tuple[float, int]]:
        """Score texts by their summed negative log-likelihood in nats, cut to `max_tokens`.

        The first token is not scored. Text that looks like a special token is read as plain text.

        Args:
            texts: plain texts.
            max_tokens: tokens of a text that are read.

        Returns:
            (nats, tokens) of each text
        """
        rows = []
        for text in texts:
            tokens = self.processor.tokenizer(text, add_special_tokens=False, split_special_tokens=True)[
                "input_ids"
            ][:max_tokens]
            rows.append(Rendered(tuple(tokens), (True,) * len(tokens)))
        return self._nats(rows)

    def choice_nats(
        self, conversations: Sequence[Sequence[Message]], answers: Sequence[Sequence[str]], end: bool = True
    ) -> list[list[float]]:
        """Score the answers to each conversation by negative log-likelihood in nats.

        `end` includes the end of the turn, so that "A" is not also the beginning of "All of these".

        Args:
            conversations: prompts.
            answers: for each prompt its answers in words.
            end: whether the end of the turn is part of an answer.

        Returns:
            for each prompt one number for each answer; the least is the likeliest
        """
        if not ranking.shares_prompts(self.model):
            rows = []
            for messages, choices in zip(conversations, answers, strict=True):
                prompt = render.render_prompt(messages, self.processor)
                rows += [self._with(prompt, self._tail(messages, answer, end)) for answer in choices]
            nats = iter(self._nats(rows))
            return [[next(nats)[0] for _ in choices] for choices in answers]
        results: dict[int, list[float]] = {}
        for chosen, prompts in self._batches(conversations):
            tails = [[self._tail(conversations[i], answer, end) for answer in answers[i]] for i in chosen]
            shared = self.beginnings.length(prompts)
            cache = self.beginnings.cache(prompts[0].tokens[:shared], len(prompts)) if shared else None
            results.update(
                zip(
                    chosen,
                    ranking.nats(self.model, self.processor, prompts, tails, cache, shared),
                    strict=True,
                )
            )
        return [results[i] for i in range(len(conversations))]

    def _batches(
        self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()
    ) -> Iterator[tuple[list[int], list[Rendered]]]:
        """Group conversations of similar length with their indices. Pixels are read batch by batch, text once
        for all.
        """
        rendered = [
            None if _pictures(messages) else render.render_prompt(messages, self.processor, tools)
            for messages in conversations
        ]
        sizes = [
            self._length(messages) if row is None else len(row.tokens)
            for messages, row in zip(conversations, rendered, strict=True)
        ]
        order = sorted(range(len(conversations)), key=sizes.__getitem__)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield (
                chosen,
                [
                    rendered[i] or render.render_prompt(conversations[i], self.processor, tools)
                    for i in chosen
                ],
            )

    def _length(self, messages: Sequence[Message]) -> int:
        texts = self.processor.tokenizer([message.text for message in messages], add_special_tokens=False)[
            "input_ids"
        ]
        return sum(map(len, texts)) + IMAGE_LENGTH * _pictures(messages)

    def _tail(self, messages: Sequence[Message], answer: str, end: bool) -> tuple[int, ...]:
        """Tokenise an answer as the chat template writes it; the tokens do not depend on the prompt.

        Behind a document they are those that the answer adds to its text, and no end (lm-eval does the same).
        """
        if messages[0].role == "document":
            before = render.render_prompt(messages, self.processor).tokens
            extended = (*messages[:-1], Message("document", (messages[-1].text + answer,)))
            return tuple(render.render_prompt(extended, self.processor).tokens[len(before) :])
        if not end:
            return tuple(
                self.processor.tokenizer(render.plain(answer, self.processor), add_special_tokens=False)[
                    "input_ids"
                ]
            )
        key = (answer, sum(m.role == "assistant" for m in messages))
        if key not in self._tails:
            row = self._scored(messages, answer)
            self._tails[key] = tuple(token for token, keep in zip(row.tokens, row.mask, strict=True) if keep)
        return self._tails[key]

    def _with(self, prompt: Rendered, tail: tuple[int, ...]) -> Rendered:
        """Append an answer to a prompt; only the answer is scored."""
        mask = (False,) * len(prompt.tokens) + (True,) * len(tail)
        return replace(prompt, tokens=prompt.tokens + tail, mask=mask)

    def _scored(self, messages: Sequence[Message], answer: str) -> Rendered:
        row = render.render_turns([*messages, Message("assistant", (answer,))], self.processor)[-1]
        prompt_length = len(render.render_prompt(messages, self.processor).tokens)
        return replace(row, mask=(False,) * prompt_length + row.mask[prompt_length:])

    def _generate(self, rows: Sequence[Rendered], seed: int) -> Iterator[str]:
        import torch

        shared = self.beginnings.length(rows)
        inputs: dict[str, Any] = self._inputs(rows, "left", shared)
        inputs.pop("labels")
        if shared:
            inputs["past_key_values"] = self.beginnings.cache(rows[0].tokens[:shared], len(rows))
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            output = self.model.generate(**inputs, generation_config=self.settings)
        for tokens in output[:, inputs["input_ids"].shape[1] :].tolist():
            end = next((i for i, token in enumerate(tokens) if token in self.ends), len(tokens))
            yield turns.written(tokens[:end], self.processor)

    def _nats(self, rows: Sequence[Rendered]) -> list[tuple[float, int]]:
        results: dict[int, tuple[float, int]] = {}
        for chosen in self._passes(rows):
            for i, result in zip(chosen, self._nats_of_batch([rows[i] for i in chosen]), strict=True):
                results[i] = result
        return [results.get(i, (0.0, 0)) for i in range(len(rows))]

    def _passes(self, rows: Sequence[Rendered]) -> Iterator[list[int]]:
        """Group the indices of rows for one forward pass; rows with nothing to score are left out."""
        chosen: list[int] = []
        for i in sorted(
            (i for i in range(len(rows)) if any(rows[i].mask[1:])), key=lambda i: len(rows[i].tokens)
        ):
            if chosen and (
                len(chosen) == self.batch_size or (len(chosen) + 1) * len(rows[i].tokens) > TOKENS_PER_PASS
            ):
                yield chosen
                chosen = []
            chosen.append(i)
        if chosen:
            yield chosen

    def _nats_of_batch(self, rows: Sequence[Rendered]) -> Iterator[tuple[float, int]]:
        import torch

        inputs = self._inputs(rows, "right")
        # logits at token t predict token t + 1: shift the labels by one
        labels_BT = inputs.pop("labels")[:, 1:]
        with torch.inference_mode():
            logits_BTV = self.model(**inputs).logits[:, :-1]
        for logits_TV, labels_T in zip(logits_BTV, labels_BT, strict=True):
            # row by row, so that only one row of logits is converted to float32
            total = torch.nn.functional.cross_entropy(
                logits_TV.float(), labels_T, ignore_index=render.IGNORED, reduction="sum"
            )
            yield float(total), int((labels_T != render.IGNORED).sum())

    def _inputs(self, rows: Sequence[Rendered], side: str, shared: int = 0) -> dict[str, torch.Tensor]:
        return render.on_device(render.batch(rows, self.processor, side, shared), self.model)


def _pictures(messages: Sequence[Message]) -> int:
    return sum(len(message.images) for message in messages)


def _seed(seed: int, rows: Sequence[Rendered]) -> int:
    return int(io.fingerprint([seed, [row.tokens for row in rows]]), 16) >> 1


def special_ids(loaded: checkpoint.Loaded) -> tuple[int, frozenset[int]]:
    """Look up the padding token and every token that ends a reply.

    Args:
        loaded: a model with its processor.

    Returns:
        (padding id, ids that end a reply)

    Raises:
        DataError: the tokenizer names no end or no padding.
    """
    tokenizer = loaded.processor.tokenizer
    declared = loaded.model.generation_config.eos_token_id
    declared = declared if isinstance(declared, list) else [declared]
    ends = {tokenizer.eos_token_id, *declared, turns.end_of_turn(loaded.processor)} - {None}
    if not ends or tokenizer.pad_token_id is None:
        raise DataError(
            f"the tokenizer of {loaded.name!r} names no eos_token or no pad_token: set both in its"
            " tokenizer_config.json"
        )
    return tokenizer.pad_token_id, frozenset(ends)


def generation(loaded: checkpoint.Loaded, max_new_tokens: int, temperature: float) -> Any:
    """Build a GenerationConfig that sets every value which could change an answer: transformers takes missing
    ones from the checkpoint.

    Args:
        loaded: for its padding and end tokens, and its image token, which is never generated: it would
            have no image.
        max_new_tokens: most tokens of a reply.
        temperature: 0 for greedy decoding; otherwise sampling over the full distribution (top_p 1, top_k
            off).

    Returns:
        a transformers.GenerationConfig.
    """
    from transformers import GenerationConfig

    sampling = (
        {"do_sample": True, "temperature": temperature, "top_p": 1.0, "top_k": 0}
        if temperature > 0
        else {"do_sample": False}
    )
    pad, ends = special_ids(loaded)
    image = families.of(loaded.processor).image_token_id(loaded.processor)
    return GenerationConfig(
        max_new_tokens=max_new_tokens, num_beams=1, repetition_penalty=1.0, no_repeat_ngram_size=0,
        pad_token_id=pad, eos_token_id=sorted(ends), suppress_tokens=None if image is None else [image],
        **sampling,
    )  # fmt: skip


def _words(parts: Iterable[Part]) -> Iterator[str]:
    """List the texts of a message, those inside tool results and calls included."""
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, ToolResult):
            yield from _words((*part.parts, part.error))
        elif isinstance(part, ToolCall):
            yield json.dumps([part.name, io.to_json(dict(part.arguments))], ensure_ascii=False)
