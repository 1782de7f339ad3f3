"""Stage: which prompts need a tool, for train.agentic, by both layers of MedXIAOHE's filter of tool data
(arXiv 2602.12705, section 4.1.2): the task needs local detail, and the run with tools beats the run without.

    prompts.jsonl     the prompts that there is something to learn from
    tool_need.jsonl   {id, source, none, allowed, forced, need}: shares of right answers in each way of
                      asking, and what follows

    need
      none      right without a tool as often as `enough`, and no oftener with one: a tool would only be a
                habit
      allowed   with a tool to choose, right oftener than without by at least `margin`
      forced    only where it had to use one, right oftener by at least `margin`: the model does not reach for
                it by itself
      ""        never right, or no difference: left out

Every prompt is asked `draws` times in each way.

paper says                              we do, and why
the task must need local detail         with `coarse_side`, prompts with images are also asked without tools
                                        and with images shrunk to that side: `coarse` in tool_need.jsonl. What
                                        is right as often as `enough` there needs no detail, and so no tool
the run with tools must beat the run    by `margin`, over `draws`
without
questions that take several tool steps  with `least_calls`, right runs with tools must have called that many
                                        different things on average: `calls` in tool_need.jsonl
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import images, io, progress
from medxiaohe.agents.engine import run
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.backends.transformers import transformers
from medxiaohe.recipe.settings import HOW, decisive
from medxiaohe.tasks import make
from medxiaohe.train.agentic import NEEDS, Retriever, tools_by_task
from medxiaohe.train.loop.contamination_check import carry, refuse_unchecked
from medxiaohe.train.loop.fit import base_model, code, identity
from medxiaohe.train.rollouts import answer_rewards
from medxiaohe.train.rollouts.prompt_tasks import ScoresPrompts
from medxiaohe.train.rollouts.talk import FLOWS, Form
from medxiaohe.types import ImageRef, Sample, Task, Tool

USES = ("none", "allowed", "forced")
CHUNK = 32  # prompts; a finished chunk is on disk and is not asked again


@dataclass(frozen=True)
class ToolNeedSettings(ScoresPrompts):
    model: str = ""
    form: Form = "rwr"
    tools: tuple[str, ...] = ()  # names of `medxiaohe list tools`, beside those of the tasks
    retriever: Retriever = field(default_factory=Retriever)
    draws: int = 4  # answers to each prompt with and without tools
    temperature: float = 1.0
    max_new_tokens: int = 64
    max_rounds: int = 3
    enough: float = 0.75  # right without a tool this often: a tool is not needed
    margin: float = 0.25  # gain in right answers from which a tool counts as useful
    right: float = 0.5
    batch_size: Annotated[int, HOW] = 32
    coarse_side: int = 0  # pixels of the longer side of a shrunk image; 0: no such layer
    least_calls: float = 0.0  # different calls of a right run with tools
    limit: int = 0
    seed: int = 0
    allow_contaminated: bool = False

    def __post_init__(self) -> None:
        if self.coarse_side < 0 or self.least_calls < 0:
            raise ConfigError("coarse_side and least_calls must be at least 0")
        if self.draws < 1 or self.temperature <= 0 or self.max_rounds < 1:
            raise ConfigError("draws and max_rounds must be at least 1, temperature above 0")
        if not (0 < self.enough <= 1 and 0 < self.margin <= 1 and 0 < self.right <= 1):
            raise ConfigError("enough, margin and right must be shares above 0")
        if self.form == "rwr" and not (self.retriever.path or self.retriever.url):
            raise ConfigError("the form rwr asks a retriever: give retriever.path or retriever.url")


def tool_need(
    settings: ToolNeedSettings, out: Path, *, data: Path, model: Path | None = None, tree: Path | None = None
) -> dict[str, Any]:
    """Ask `prompts.jsonl` of a mixture without tools, with them, and with the duty to use one.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.
        model: folder of a training stage to start from; None: `settings.model`.
        tree: folder of a built tree, for tasks and rewards that need one.

    Returns:
        the summary of the stage: `need` {none, allowed, forced: number of prompts}, `kept`

    Raises:
        DataError: no prompt is left to learn from.
    """
    refuse_unchecked(data, settings.allow_contaminated, "tool need")
    base = base_model(settings, model)
    samples = list(io.read_samples(data / "prompts.jsonl"))[: settings.limit or None]
    tasks = {name: make(name, tree, from_data=True) for name in sorted({sample.source for sample in samples})}
    key = [
        "tool need",
        decisive(settings),
        io.content(data, "prompts.jsonl"),
        identity(base),
        code(),
        answer_rewards.code(),
    ]
    file = io.scratch(out, key) / "shares.jsonl"
    io.drop_torn_line(file)
    rows = list(io.read_jsonl(file)) if file.exists() else []
    engine = transformers(
        base, settings.batch_size, settings.max_new_tokens, settings.temperature, settings.seed
    )
    tools = tools_by_task(tasks, settings.tools, settings.retriever)
    meter = progress.Meter("tool need", len(samples))
    meter.advance(len(rows))
    for start in range(len(rows), len(samples), CHUNK):
        chunk = samples[start : start + CHUNK]
        new = shares(chunk, tasks, tools, engine, settings)
        if settings.coarse_side:
            coarse(new, chunk, tasks, engine, settings, file.parent / "shrunk")
        rows += new
        io.append_jsonl(file, new)
        meter.advance(len(new))
    meter.close()
    rows = [{**row, "need": need(row, settings)} for row in rows]
    selected = [sample for sample, row in zip(samples, rows, strict=True) if row["need"]]
    if not selected:
        means = {use: round(sum(row[use] for row in rows) / len(rows), 3) for use in USES}
        raise DataError(
            f"none of {len(rows)} prompts has anything to learn (right: {means}): take other prompts, or"
            " lower margin and enough"
        )
    io.write_jsonl(out / "prompts.jsonl", selected)
    io.write_jsonl(out / NEEDS, rows)
    carry(data, out)
    means = {use: round(sum(row[use] for row in rows) / len(rows), 4) for use in USES}
    return {
        "prompts": len(rows),
        "kept": len(selected),
        "need": dict(sorted(Counter(row["need"] or "left out" for row in rows).items())),
        **means,
    }


def shares(
    samples: Sequence[Sample],
    tasks: dict[str, Task],
    tools: Mapping[str, Sequence[Tool]],
    engine: Any,
    settings: ToolNeedSettings,
) -> list[dict[str, Any]]:
    """Ask prompts in each way, `draws` times, and count right answers.

    Args:
        samples: a chunk of prompts.
        tasks: by name, for their scorers.
        tools: by name of the task.
        engine: the model.
        settings: of the stage.

    Returns:
        Rows {id, source, none, allowed, forced: shares of right answers; calls: mean number of different
        calls
        in right runs with tools}, in order. With `forced`, an answer without a tool is not right.
    """
    rows: list[dict[str, Any]] = [
        {"id": sample.id, "source": sample.source, **dict.fromkeys(USES, 0.0)} for sample in samples
    ]
    calls: list[list[int]] = [[] for _ in samples]  # different ones, of right runs with tools
    # `draws` answers in each way; draw i has the same seed in all ways, so that they differ by tools alone
    for use in USES:
        for draw in range(settings.draws):
            seeded = engine.with_seed(settings.seed * 1000 + draw)
            prompts = [sample.prompt for sample in samples]
            offered = {
                id(prompt): () if use == "none" else tools[sample.source]
                for prompt, sample in zip(prompts, samples, strict=True)
            }
            traces = run(
                FLOWS[settings.form],
                prompts,
                seeded,
                lambda case, offered=offered: offered[id(case.prompt)],  # type: ignore[misc]
                settings={"rounds": settings.max_rounds, "use": use},
            )
            for row, own, sample, trace in zip(rows, calls, samples, traces, strict=True):
                # right: a reward of at least `right`, and for `forced` with a tool that really ran
                value = tasks[sample.source].scorers[0](sample, trace).value
                used = any(
                    message.role == "tool" for message in trace.messages[len(sample.prompt.messages) :]
                )
                if value is not None and value >= settings.right and (use != "forced" or used):
                    row[use] += 1 / settings.draws
                    if used:
                        uses = [step for step in trace.steps if step.kind == "use"]
                        own.append(len({repr((item.who, item.given["arguments"])) for item in uses}))
    for row, own in zip(rows, calls, strict=True):
        row["calls"] = round(sum(own) / len(own), 3) if own else 0.0
    return rows


def coarse(
    rows: Sequence[dict[str, Any]],
    samples: Sequence[Sample],
    tasks: dict[str, Task],
    engine: Any,
    settings: ToolNeedSettings,
    folder: Path,
) -> None:
    """Add to rows of prompts with images how often they are right without tools and with shrunk images.

    Args:
        rows: of `shares`, changed in place: `coarse` is a share.
        samples: the prompts, in the same order.
        tasks: by name, for their scorers.
        engine: the model.
        settings: `coarse_side` and `draws`.
        folder: for shrunk images.
    """
    pairs = [(row, sample) for row, sample in zip(rows, samples, strict=True) if sample.images]
    if not pairs:
        return
    prompts = [shrunk(sample, settings.coarse_side, folder).prompt for _, sample in pairs]
    for row, _ in pairs:
        row["coarse"] = 0.0
    for draw in range(settings.draws):
        seeded = engine.with_seed(settings.seed * 1000 + draw)
        chosen = {"rounds": settings.max_rounds, "use": "none"}
        traces = run(FLOWS[settings.form], prompts, seeded, (), settings=chosen)
        for (row, sample), trace in zip(pairs, traces, strict=True):
            value = tasks[sample.source].scorers[0](sample, trace).value
            if value is not None and value >= settings.right:
                row["coarse"] += 1 / settings.draws


def shrunk(sample: Sample, side: int, folder: Path) -> Sample:
    """Shrink the images of a sample.

    Args:
        sample: the prompt.
        side: pixels of the longer side at most; smaller images keep their size.
        folder: for the files.

    Returns:
        The sample with RGB images in `folder`.
    """
    import numpy as np

    def small(content: Any) -> Any:
        """Shrink an image; text is returned unchanged."""
        if not isinstance(content, ImageRef):
            return content
        image = images.open_image(content).convert("RGB")
        image.thumbnail((side, side))
        return images.keep(np.asarray(image), folder)

    messages = (replace(message, parts=tuple(map(small, message.parts))) for message in sample.messages)
    return replace(sample, messages=tuple(messages))


def need(row: dict[str, Any], settings: ToolNeedSettings) -> str:
    """Classify a prompt by its shares of right answers; rules at the top of this file.

    Args:
        row: of `shares`, with `coarse` where it was measured.
        settings: thresholds.

    Returns:
        "none", "allowed", "forced", or "" for a prompt to leave out.
    """
    # layer 1: a task that needs local detail, and several different calls
    several = row.get("calls", 0.0) >= settings.least_calls
    if row.get("coarse", 0.0) >= settings.enough or not several:
        return "none" if row["none"] >= settings.enough else ""
    # layer 2: the gain over no tool is at least `margin`
    if row["allowed"] >= row["none"] + settings.margin:
        return "allowed"
    if row["forced"] >= row["none"] + settings.margin:
        return "forced"
    return "none" if row["none"] >= settings.enough else ""
