"""Read one sentence for each setting from the code that defines it, for `medxiaohe show` and docs/reference.

The sentence is where the setting is defined, as a comment behind it or above it:

    near_text: float = 0.8  # Jaccard index of word 5-grams from which two texts are one; 0: exact copies only

or under "Attributes:" in the docstring of the dataclass. `COMMON` has those that mean the same everywhere.
"""

from __future__ import annotations

import ast
import functools
import inspect
import io as text_io
import re
import textwrap
import tokenize
from dataclasses import fields

COMMON = {
    "against": "tasks whose test items are kept out: rows that match one are dropped",
    "allow_contaminated": "use rows that were not compared with test splits",
    "backend": "what runs the model: a name of `medxiaohe list models`",
    "batch_size": "conversations that are generated together",
    "engine": "local: processes of this machine; ray: tasks on a cluster",
    "form": "rwr: Med-RwR's grammar; calls: the model's own tool calls",
    "gradient_accumulation_steps": "passes whose gradients make one optimizer step",
    "kinds": "kinds of entities, such as disease, phenotype or anatomy",
    "learning_rate": "peak learning rate of the weights that are trained, the projector's apart",
    "limit": "prompts; 0: all",
    "loss_type": "name of the loss, as TRL names it",
    "lr_scheduler_type": "course of the learning rate over the steps",
    "max_grad_norm": "gradients are clipped to this norm",
    "max_length": "tokens of a row at most",
    "max_new_tokens": "tokens of a reply at most",
    "max_rounds": "rounds of tool calls in a conversation at most",
    "max_steps": "optimizer steps",
    "model": "what to start from where no stage gives a model: starter, a folder in hub layout, or a hub id",
    "num_train_epochs": "passes over the rows",
    "options": "options of the backend, such as url and api_key_env",
    "parts": "which parts are trained: language (lora, full, none), lora_r, lora_targets, projector, vision",
    "per_device_train_batch_size": "rows that go through the model together on one device",
    "projector_learning_rate": "peak learning rate of the projector; null: learning_rate",
    "retriever": "where passages come from: path or url, and top, the passages for a query",
    "reward": "how an answer is rewarded: scorers and their weights, rubric, safety (docs/rewards.md)",
    "right": "an answer that scores at least so much counts as right",
    "save_steps": "optimizer steps between checkpoints; a killed run continues from the newest",
    "seed": "random seed; the same seed gives the same result on one machine",
    "shard_mb": "megabytes of input in a shard; does not change the result",
    "temperature": "of sampling: 1 samples from the model's own probabilities",
    "title": "of the page",
    "warmup_steps": "optimizer steps until the learning rate is at its peak",
    "weight_decay": "decoupled weight decay of AdamW",
    "workers": "processes; does not change the result",
}
NO_SENTENCE = re.compile(r"(type|fmt|noqa|pragma|mypy)\b[: ]|-{4,}")  # comments for tools


def sentences(kind: type) -> dict[str, str]:
    """The sentence of each field of a dataclass that has one; those of base classes too.

    Args:
        kind: a dataclass of settings.

    Returns:
        Field -> sentence, without the fields that have none.
    """
    result: dict[str, str] = {}
    for item in reversed(kind.__mro__):  # base classes first, so that subclasses may say otherwise
        if "__dataclass_fields__" in vars(item):
            result |= _own(item)
    result = COMMON | result
    return {field.name: result[field.name] for field in fields(kind) if result.get(field.name)}


@functools.lru_cache(maxsize=256)
def _own(kind: type) -> dict[str, str]:
    """Read the sentences of a class itself, without its bases."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # made at run time, or the source is not there
        return {}
    body = ast.parse(source).body[0]
    if not isinstance(body, ast.ClassDef):
        return {}
    comments = _comments(source)
    lines = {node.lineno: node for node in body.body if isinstance(node, ast.AnnAssign)}
    result = _attributes(ast.get_docstring(body) or "")
    for line, node in lines.items():
        if not isinstance(node.target, ast.Name):
            continue
        # behind the field, on any of its lines; else above it, up to the field before
        words = [comments[at][0] for at in range(line, (node.end_lineno or line) + 1) if at in comments]
        at = line - 1
        above: list[str] = []
        while at in comments and comments[at][1]:
            above.insert(0, comments[at][0])
            at -= 1
        if sentence := " ".join([*above, *words]).strip():
            result[node.target.id] = sentence
    return result


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    """Map lines to (words of the comment, whether the line has nothing else)."""
    result = {}
    for token in tokenize.generate_tokens(text_io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            words = token.string.lstrip("# ").strip()
            if not NO_SENTENCE.match(words):
                result[token.start[0]] = (words, not token.line[: token.start[1]].strip())
    return result


def _attributes(docstring: str) -> dict[str, str]:
    """Map names to sentences of the section "Attributes:" of a docstring."""
    section = re.search(r"^Attributes:\n((?:[ \t]+.*\n?|\n)+)", inspect.cleandoc(docstring), re.MULTILINE)
    if not section:
        return {}
    result: dict[str, str] = {}
    for line in textwrap.dedent(section[1]).split("\n"):
        if starts := re.match(r"(\w+)(?: \([^)]*\))?: (.+)", line):
            last = starts[1]
            result[last] = starts[2].strip()
        elif line.strip() and result:
            result[last] += " " + line.strip()
    return result
