"""Diagnose reinforcement learning while it runs, and stop it when there is nothing to learn.

Everything here is computed from the rollouts written so far, which a checkpoint holds: a resumed run decides
as the first one did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe.train.rollouts.prompt_schedule import without_signal

UNREADABLE = 0.95  # share of the answers that could not be parsed
SOLVED = 0.99  # mean reward from which every prompt counts as solved
TOOLS_AT_ALL = 0.05  # share of turns with tools below which there was nothing to lose
FEWER = 0.5  # times the share of turns with tools
LONGER = 1.5  # times the tokens of a turn
Rows = Sequence[Mapping[str, Any]]


def diagnosis(rollouts: Rows, num_prompts: int, num_generations: int, patience: int) -> str:
    """Diagnose a run without a learning signal: equal rewards in every group of the last `patience`
    generations.

    Args:
        rollouts: rows of rollouts.jsonl.
        num_prompts: prompts of a generation.
        num_generations: answers to each prompt.
        patience: generations; 0: never.

    Returns:
        Why training should stop, and what to do; "" while any of these groups had different rewards.
    """
    # the last `patience` full generations
    size = num_prompts * num_generations
    last = (
        rollouts[(len(rollouts) // size - patience) * size :]
        if patience and len(rollouts) >= patience * size
        else []
    )
    if not last or len(without_signal(last, num_generations)) * num_generations < len(last):
        return ""
    seen = f"in {patience} generations in a row every answer of a group earned the same"
    judged = [row for row in last if row["reward"] is not None]
    if not judged:
        return (
            f"{seen}: nothing, because no answer could be judged ({last[-1].get('why', '')[:120]}): see to"
            " the judge"
        )
    unreadable = [row for row in judged if row["status"] in ("unparsed", "refused", "truncated")]
    if len(unreadable) >= UNREADABLE * len(judged):
        example = unreadable[-1]
        return (
            f"{seen}: {len(unreadable)} of {len(judged)} answers could not be read, such as"
            f" {example['answer'][:80]!r} ({example.get('why', '')[:80]}): raise max_completion_length, or"
            " fine-tune on answers in the task's form first"
        )
    mean = sum(row["reward"] for row in judged) / len(judged)
    if mean >= SOLVED:
        return f"{seen}: every one is right: take harder prompts, with train.select"
    if not any(row["reward"] for row in judged):
        return (
            f"{seen}: every one is wrong: take easier prompts with train.select, add hints (hint_steps), or"
            " fine-tune longer first"
        )
    return f"{seen} (mean {mean:.2f}): raise temperature or num_generations, or set entropy_target"


def collapse(rollouts: Rows, size: int, window: int) -> str:
    """Detect that talk replaces tools, and say what to do.

    Under plain GRPO replies grow and calls of tools vanish (Healthcare AI GYM, arXiv 2605.02943). The last
    `window` generations are compared with the `window` generations that had most turns with tools: at most
    `FEWER` of their share of turns with tools, turns at least `LONGER` times as long, and no higher reward.

    Args:
        rollouts: rows of rollouts.jsonl, whose `parts` have `tool_turns` and `turn_tokens`.
        size: rows of a generation.
        window: generations; 0: never.

    Returns:
        Why training should stop; "" where it should not.
    """
    count = len(rollouts) // size if window else 0
    if count < 2 * window or not window:
        return ""
    # (share of turns with tools, tokens a turn, reward) of each generation, then means of each window of them
    means = [_talk(rollouts[i * size : (i + 1) * size]) for i in range(count)]
    spans = [means[i : i + window] for i in range(0, count - window + 1)]
    tools, tokens, reward = (
        [sum(item[k] for item in span) / window for span in spans] for k in range(3)
    )  # of each span
    # the window that called most tools, which must end before the last window begins
    best = max(range(len(spans)), key=lambda i: tools[i])
    fewer = tools[best] >= TOOLS_AT_ALL and tools[-1] <= FEWER * tools[best]
    longer = tokens[-1] >= LONGER * tokens[best]
    if best + window > len(spans) - 1 or not (fewer and longer and reward[-1] <= reward[best]):
        return ""
    return (
        f"talk has swallowed the tools: {tools[best]:.0%} of the turns of generations {best + 1} to"
        f" {best + window} called one, with {tokens[best]:.0f} tokens a turn; of the last {window}"
        f" generations {tools[-1]:.0%} do, with {tokens[-1]:.0f} tokens, and earn no more"
        f" ({reward[best]:.2f} then, {reward[-1]:.2f} now): set distillation.coef, lower"
        " max_completion_length or learning_rate, or go"
        " on from an earlier checkpoint"
    )


def _talk(rows: Rows) -> tuple[float, float, float]:
    """Average a generation: share of turns with tools, tokens a turn, reward."""
    parts = [row.get("parts", {}) for row in rows]
    rewards = [row["reward"] for row in rows if row["reward"] is not None]
    return (
        sum(item.get("tool_turns", 0.0) for item in parts) / len(parts),
        sum(item.get("turn_tokens", 0.0) for item in parts) / len(parts),
        sum(rewards) / max(1, len(rewards)),
    )


def components(rollouts: Rows, step: int, size: int, num_iterations: int) -> dict[str, float]:
    """Average what made up the rewards of a step.

    Args:
        rollouts: rows of rollouts.jsonl.
        step: optimizer step, 1 is the first.
        size: rows of a generation.
        num_iterations: steps that use one generation.

    Returns:
        Shares of statuses, means of `correct` and of each part, and the share of hints; {} for a step without
        rollouts.
    """
    # steps 1 to `num_iterations` use generation 0, and so on
    generation = (step - 1) // num_iterations
    rows = rollouts[generation * size : (generation + 1) * size]
    if not rows:
        return {}
    result = {
        status: sum(row["status"] == status for row in rows) / len(rows)
        for status in ("unparsed", "refused", "truncated", "unjudged", "unsafe")
    }
    result = {status: share for status, share in result.items() if share or status == "unparsed"}
    columns: dict[str, list[float]] = {}
    for row in rows:
        if row.get("correct") is not None:
            columns.setdefault("correct", []).append(row["correct"])
        for name, value in row.get("parts", {}).items():
            columns.setdefault(name, []).append(value)
    hints = [row["hint"] for row in rows if "hint" in row]
    means = {name: sum(values) / len(values) for name, values in columns.items()}
    return {
        name: round(value, 4)
        for name, value in {**result, **means, **({"hint": hints[0]} if hints else {})}.items()
    }
