"""GRPO with a tool, the whole algorithm in one file: python examples/rl_loop.py

Nobody knows a patient's potassium without a look at the laboratory: the tool `lab`. Demonstrations teach the
form, half of them look and answer, half say "unknown". Reward alone then teaches that looking pays.

Shao et al. 2024 (DeepSeekMath, arXiv 2402.03300), section 4.1; without a KL term and with the higher upper
clip of Yu et al. 2025 (DAPO, arXiv 2503.14476), section 3.1. `train.agentic` does this for real models.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer

from medxiaohe import plugins
from medxiaohe.models.render import IGNORED, Rendered, batch, render, render_prompt
from medxiaohe.models.starter import CHAT_TEMPLATE
from medxiaohe.models.text_only import TextProcessor
from medxiaohe.models.turns import render_next
from medxiaohe.models.wire import reply_from_text
from medxiaohe.scoring.exact import exact
from medxiaohe.tools import tool
from medxiaohe.tools.toolbox import call_tool
from medxiaohe.types import Message, Sample, Tool, ToolCall, Trace

MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = "user\nassistant\ntool\nIs the potassium of patient low, normal or high?\nlow\nnormal\nhigh\nunknown\n"
TEXT += '<tool_call>\n{"name": "lab", "arguments": {"test": "potassium"}}\n</tool_call>'
DEMONSTRATIONS, QUESTIONS, GROUP, STEPS, UPDATES = 60, 4, 8, 8, 2
CLIP_LOW, CLIP_HIGH, MAX_MESSAGES, MAX_NEW_TOKENS = 0.2, 0.28, 4, 32


@dataclass
class Rollout:
    sample: Sample
    messages: list[Message]
    row: Rendered  # tokens as they were sampled, and a mask: True where the policy sampled them

    @property
    def reward(self) -> float:
        return exact(self.sample, Trace(self.sample.prompt, tuple(self.messages))).value or 0.0


def questions(seed: int) -> Iterator[Sample]:
    draw = random.Random(seed)
    while True:
        asked = Message("user", (f"Is the potassium of patient {draw.randint(10, 99)} low, normal or high?",))
        target = draw.choice(("low", "normal", "high"))
        yield Sample("potassium", (asked, Message("assistant", (target,))), target=target)


def lab_of(sample: Sample) -> Tool:
    def lab(test: str) -> str:
        """Result of a laboratory test of this patient."""
        return sample.target if test == "potassium" else "not measured"

    return tool(lab)


def build() -> tuple[Any, TextProcessor]:
    """A Llama of two layers with random weights, and a byte-level BPE tokenizer."""
    plugins.need("torch", "transformers", why="this example")
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([TEXT] * 2, special_tokens=MARKS, show_progress=False)
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(bpe.to_str()))
    words.pad_token, words.eos_token, words.chat_template = MARKS[0], MARKS[2], CHAT_TEMPLATE
    config = LlamaConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
    config.vocab_size, config.initializer_range, config.tie_word_embeddings = len(words), 0.1, True
    config.pad_token_id, config.eos_token_id = words.pad_token_id, words.eos_token_id
    return LlamaForCausalLM(config), TextProcessor(words, "tiny")


def demonstration(sample: Sample, look: bool) -> list[Message]:
    call = ToolCall("0", "lab", {"test": "potassium"})
    looked = [Message("assistant", (call,)), Message("tool", (call_tool(call, [lab_of(sample)]),))]
    end = [*looked, sample.messages[1]] if look else [Message("assistant", ("unknown",))]
    return [sample.messages[0], *end]


def converse(policy: Any, processor: TextProcessor, samples: list[Sample]) -> list[Rollout]:
    """Sample conversations to their ends, those that still go on in one batch."""
    rows = [Rollout(s, [*s.prompt.messages], render_prompt(s.prompt.messages, processor)) for s in samples]
    words = processor.tokenizer
    while going := [one for one in rows if one.messages[-1].role != "assistant"]:
        inputs = batch([one.row for one in going], processor, "left")
        del inputs["labels"]  # top_k 0: sample from the whole distribution of the policy
        new = policy.generate(**inputs, do_sample=True, top_k=0, max_new_tokens=MAX_NEW_TOKENS)
        for one, turn in zip(going, new[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            turn = turn[: turn.index(words.eos_token_id) + 1] if words.eos_token_id in turn else turn
            text, tools = words.decode(turn, skip_special_tokens=True), [lab_of(one.sample)]
            one.messages.append(reply_from_text(text, one.messages, tools))
            one.row = Rendered((*one.row.tokens, *turn), (*one.row.mask, *[True] * len(turn)))
            if turn[-1] == words.eos_token_id and one.messages[-1].calls and len(one.messages) < MAX_MESSAGES:
                results = tuple(call_tool(call, tools) for call in one.messages[-1].calls)
                one.messages.append(Message("tool", results))
                outside = render_next(one.messages, processor)  # its mask is False
                one.row = Rendered(one.row.tokens + outside.tokens, one.row.mask + outside.mask)
    return rows


def log_probabilities(policy: Any, inputs: dict[str, Any]) -> Any:
    """Of every token after the first, given those before it: [conversations, length - 1]."""
    logits = policy(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, :-1]
    return logits.log_softmax(-1).gather(-1, inputs["input_ids"][:, 1:, None]).squeeze(-1)


def grpo(policy: Any, processor: TextProcessor, optimizer: Any, samples: list[Sample]) -> float:
    """One step on a group of conversations for each question; their mean reward."""
    rows = converse(policy, processor, [sample for sample in samples for _ in range(GROUP)])
    rewards = torch.tensor([one.reward for one in rows]).view(-1, GROUP)
    spread = rewards.std(1, keepdim=True) + 1e-4
    advantages = ((rewards - rewards.mean(1, keepdim=True)) / spread).view(-1, 1)
    inputs = batch([one.row for one in rows], processor)
    mask = inputs["labels"][:, 1:] != IGNORED  # True where the policy sampled the token
    old = log_probabilities(policy, inputs).detach()
    for _ in range(UPDATES):
        ratio = (log_probabilities(policy, inputs) - old).exp()
        clipped = ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH)
        gain = torch.minimum(ratio * advantages, clipped * advantages) * mask
        update(policy, optimizer, -(gain.sum(1) / mask.sum(1)).mean())  # over tokens, then conversations
    return float(rewards.mean())


def update(policy: Any, optimizer: Any, loss: Any) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.step()


def main() -> None:
    torch.manual_seed(0)
    (policy, processor), source = build(), questions(seed=1)
    optimizer = torch.optim.AdamW(policy.parameters(), 5e-3, weight_decay=0.0)
    for _ in range(DEMONSTRATIONS):
        rows = [render(demonstration(next(source), look=n % 2 == 0), processor) for n in range(16)]
        update(policy, optimizer, policy(**batch(rows, processor)).loss)
    held_out, optimizer.param_groups[0]["lr"] = list(islice(questions(seed=2), 64)), 1e-3
    print(f"before: reward {sum(one.reward for one in converse(policy, processor, held_out)) / 64:.2f}")
    for number in range(STEPS):
        print(f"step {number}: {grpo(policy, processor, optimizer, list(islice(source, QUESTIONS))):.2f}")
    print(f"after: reward {sum(one.reward for one in converse(policy, processor, held_out)) / 64:.2f}")


if __name__ == "__main__":
    main()
