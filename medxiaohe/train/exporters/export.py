"""Export data and settings to other trainers: ms-swift, LLaMA-Factory, verl. They start with the command in
README.md.

    data.jsonl or data.parquet   the rows, in the trainer's own format
    images/                      the pixels that our models would see, as PNG, each once
    *.yaml                       the trainer's settings, from ours of the same names
    reward.py                    for reinforcement learning: the task's scorer under the trainer's signature
    left_out.jsonl               {id, why} of rows that the trainer's format cannot hold
    export.json                  counts

What is exported follows from the stage's file: documents.jsonl (cpt), instructions.jsonl (sft), prompts.jsonl
(rl), pairs.jsonl (dpo). All three trainers mark an image by `<image>` in the text; such words in the text
itself are broken up, so that they do not count as images.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import images, io, plugins, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import wire
from medxiaohe.rewards.exports import column
from medxiaohe.train.loop import pairs
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.row_index import offered
from medxiaohe.train.rl import RLSettings
from medxiaohe.types import ImageRef, Message, Sample, ToolResult

TARGETS = ("ms_swift", "llama_factory", "verl")
FILES = {"cpt": "documents.jsonl", "sft": "instructions.jsonl", "rl": "prompts.jsonl", "dpo": pairs.FILE}
IMAGE = "<image>"
MARK = re.compile(r"<(image|video|audio)>")


class Unsaid(Exception):
    """The format of the other trainer cannot hold this row."""


@dataclass(frozen=True)
class Turn:
    """role: document, system, user, assistant, call (content is a list of {name, arguments}) or result."""

    role: str
    content: Any


@dataclass(frozen=True)
class Row:
    """A row before it has a trainer's format. `images` are paths, one for each IMAGE mark, in order."""

    id: str
    turns: tuple[Turn, ...]
    images: tuple[str, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    sample: str = ""  # JSON, with the gold: for the reward
    task: str = ""
    target: str = ""
    chosen: str = ""
    rejected: str = ""


@dataclass(frozen=True)
class Job:
    """Input of a trainer's settings. `place` is the folder of the export, `data` the file of rows in it."""

    kind: str
    model: str
    place: Path
    data: str
    settings: Any
    template: str = ""
    has_images: bool = False


def export(
    data: Path, target: str, out: Path, model: str, kind: str = "", settings: Any = None, template: str = ""
) -> dict[str, Any]:
    """Export the rows of a finished stage and training settings to another trainer.

    Args:
        data: folder of the stage.
        target: ms_swift, llama_factory or verl.
        out: folder to create; it is published whole.
        model: checkpoint that the trainer starts from.
        kind: cpt, sft, rl or dpo; "": that of the only file of rows in `data`.
        settings: of the stage that would train here; None: RLSettings() for rl, else FitSettings().
        template: name of the trainer's chat template, for LLaMA-Factory.

    Returns:
        The counts of export.json: {target, kind, rows, left_out, images}

    Raises:
        ConfigError: an unknown trainer, a kind that it does not have, no file of rows or several, or rows
            that were not compared with a test split.
        DataError: no row can be written in the trainer's format.
    """
    if target not in TARGETS:
        raise ConfigError(f"no trainer {target!r}{plugins.nearest(target, TARGETS)}")
    trainer = importlib.import_module(f"medxiaohe.train.exporters.{target}")
    kind = kind or _kind(data)
    if kind not in trainer.KINDS:
        raise ConfigError(f"{trainer.NAME} {trainer.LACKS[kind]}")
    if not (data / FILES[kind]).is_file():
        raise ConfigError(f"{data} has no {FILES[kind]}, which {kind} is exported from")
    settings = settings or (RLSettings() if kind == "rl" else FitSettings())
    refuse_unchecked(data, settings.allow_contaminated, "export")
    target_folder = out.resolve()
    with io.publish(out) as draft:
        pictures = _Pictures(draft / "images", target_folder / "images")
        left_out: list[dict[str, str]] = []
        rows = list(_said(trainer, kind, data, pictures, left_out))
        if not rows:
            raise DataError(
                f"no row of {data / FILES[kind]} can be said to {trainer.NAME}:"
                f" {left_out[0]['why'] if left_out else 'it is empty'}"
            )
        name = trainer.write(kind, draft, rows)
        job = Job(kind, model, target_folder, name, settings, template, bool(pictures.known))
        for file, text in trainer.files(job).items():
            io.write_text(draft / file, text)
        io.write_jsonl(draft / "left_out.jsonl", left_out)
        counts = {
            "target": target,
            "kind": kind,
            "rows": len(rows),
            "left_out": len(left_out),
            "images": len(pictures.known),
        }
        io.write_json(draft / "export.json", counts)
    return counts


def _kind(data: Path) -> str:
    results = [
        kind for kind, file in FILES.items() if (data / file).is_file() and (data / file).stat().st_size
    ]
    if len(results) != 1:
        raise ConfigError(
            f"{data} has rows for {', '.join(results) or 'nothing'}: say which to export, as --kind"
            f" {'|'.join(FILES)}"
        )
    return results[0]


def _said(
    trainer: Any, kind: str, data: Path, pictures: _Pictures, left_out: list[dict[str, str]]
) -> Iterator[dict[str, Any]]:
    for row in progress.track(list(_rows(kind, data, pictures, left_out)), f"export {kind}"):
        try:
            yield trainer.row(kind, row)
        except Unsaid as why:
            left_out.append({"id": row.id, "why": str(why)})


def _rows(kind: str, data: Path, pictures: _Pictures, left_out: list[dict[str, str]]) -> Iterator[Row]:
    if kind == "dpo":
        for pair in pairs.read(data / pairs.FILE):
            try:
                turns, paths = _turns(pair.messages, pictures)
                yield Row(pair.id, turns, paths, chosen=_plain(pair.chosen), rejected=_plain(pair.rejected))
            except Unsaid as why:
                left_out.append({"id": pair.id, "why": str(why)})
        return
    for sample in io.read_samples(data / FILES[kind]):
        try:
            yield _row(kind, sample, pictures)
        except Unsaid as why:
            left_out.append({"id": sample.id, "why": str(why)})


def _row(kind: str, sample: Sample, pictures: _Pictures) -> Row:
    turns, paths = _turns(sample.prompt.messages if kind == "rl" else sample.messages, pictures)
    calls = any(turn.role == "call" for turn in turns)
    shown = tuple(wire.schemas(offered(sample.source))) if calls else ()
    return Row(
        sample.id, turns, paths, shown, column(sample) if kind == "rl" else "", sample.source, sample.target
    )


def _turns(messages: Sequence[Message], pictures: _Pictures) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    turns: list[Turn] = []
    paths: list[str] = []
    for message in messages:
        results = [content for content in message.parts if isinstance(content, ToolResult)]
        for result in results:
            if any(isinstance(content, ImageRef) for content in result.parts):
                raise Unsaid("a tool's result has an image")
            texts = [content for content in result.parts if isinstance(content, str)] + (
                [f"error: {result.error}"] if result.error else []
            )
            turns.append(Turn("result", _plain("\n".join(texts))))
        if results:
            continue
        shown = [content for content in message.parts if isinstance(content, (str, ImageRef))]
        text = "\n".join(_plain(content) if isinstance(content, str) else IMAGE for content in shown)
        paths += [pictures.path(content) for content in shown if isinstance(content, ImageRef)]
        if message.calls and text.strip():
            raise Unsaid("a message has words beside a call of a tool")
        if message.calls:
            turns.append(
                Turn(
                    "call", [{"name": call.name, "arguments": dict(call.arguments)} for call in message.calls]
                )
            )
        else:
            turns.append(Turn(message.role, text))
    return tuple(turns), tuple(paths)


def _plain(text: str) -> str:
    return MARK.sub(r"< \1>", text)


class _Pictures:
    """Images as PNG files below the export, each once; paths are those of the published folder."""

    def __init__(self, draft: Path, published: Path) -> None:
        self.draft, self.place = draft, published
        self.known: dict[ImageRef, str] = {}

    def path(self, ref: ImageRef) -> str:
        """Write an image once, and give its path in the published folder.

        Args:
            ref: the image.

        Returns:
            An absolute path.
        """
        if ref not in self.known:
            name = f"{io.fingerprint(io.to_json(ref))}.png"
            io.write(self.draft / name, lambda file: images.open_image(ref).save(file, format="PNG"))
            self.known[ref] = name
        return str(self.place / self.known[ref])


# ---- what the trainers' files share -------------------------------------------------------------------


def settings_yaml(values: Mapping[str, Any]) -> str:
    """Format settings as YAML, None left out, in the given order.

    Args:
        values: names and values, nested.

    Returns:
        A YAML document.
    """
    import yaml

    return yaml.safe_dump(
        {key: value for key, value in values.items() if value is not None},
        sort_keys=False,
        allow_unicode=True,
    )


def jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines.

    Args:
        path: file to write.
        rows: that JSON can hold.
    """
    io.write_jsonl(path, rows)


def text_of(content: Any) -> str:
    """Convert the content of a turn to text.

    Args:
        content: text, or calls of tools.

    Returns:
        The text itself; calls as JSON.
    """
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
