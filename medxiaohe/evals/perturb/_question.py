"""The question of a sample split into its parts, so that a perturbation changes one part only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medxiaohe import io
from medxiaohe.types import ImageRef, Message, Sample

LETTERS = "ABCDEFGHIJ"
INSTRUCTION = re.compile(
    r"\s*(?:\b(?:Please"
    r" )?(?:Answer|Reply|Respond|Choose|Select)\b[^\n]*|请[^\n]*(?:回答|选择|作答)[^\n]*)\s*\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Around:
    """Context of a perturbation: seed, images of the task, folder and rewriting model."""

    seed: int = 0
    images: Sequence[ImageRef] = ()  # of the items of the task
    folder: Path = Path()  # of changed images
    rewrite: Callable[[str], str] | None = None  # a model that rewrites a text

    def draw(self, *keys: str) -> float:
        """Deterministic random number.

        Args:
            keys: what it depends on, beside the seed.

        Returns:
            from 0 to below 1
        """
        return io.unit_interval("perturb", str(self.seed), *keys)


@dataclass(frozen=True)
class Question:
    """The last message of the user, in parts: `stem`, lettered `options` with their marks, and `after`."""

    sample: Sample
    message: int  # index of the message, and of the text part in it
    part: int
    stem: str
    marks: tuple[str, ...] = ()  # "A. ", "B. ", ...
    options: tuple[str, ...] = ()
    after: str = ""

    def changed(
        self, stem: str | None = None, options: Sequence[str] | None = None, target: str | None = None
    ) -> Sample:
        """Replace the stem, the options or the gold of the sample.

        Args:
            stem: the new question without options; None: unchanged.
            options: the new options, as many as before; None: unchanged.
            target: the new gold; None: unchanged.

        Returns:
            the sample with the new text, and with its gold answer in words to match
        """
        stem, options = (
            self.stem if stem is None else stem,
            tuple(self.options if options is None else options),
        )
        lines = "\n".join(f"{mark}{option}" for mark, option in zip(self.marks, options, strict=True))
        parts = list(self.sample.messages[self.message].parts)
        parts[self.part] = f"{stem}{lines}{self.after}"
        messages = list(self.sample.messages)
        messages[self.message] = replace(messages[self.message], parts=tuple(parts))
        new_target = self.sample.target if target is None else target
        choices = options if self.options else self.sample.choices
        if self.options and messages[-1].role == "assistant":
            messages[-1] = Message("assistant", (self._gold(messages[-1].text, new_target, options),))
        return replace(self.sample, messages=tuple(messages), choices=choices, target=new_target)

    def _gold(self, written: str, target: str, options: Sequence[str]) -> str:
        """The gold answer in words, in the present style: letters alone, the option alone, or both."""
        if not set(target) <= set(LETTERS[: len(options)]) or not set(self.sample.target) <= set(
            LETTERS[: len(options)]
        ):
            return written
        if written.strip() == self.sample.target:
            return target
        texts = [options[LETTERS.index(letter)] for letter in target]
        if len(target) == 1 and written.strip() == self.options[LETTERS.index(self.sample.target)]:
            return texts[0]
        return "\n".join(f"{letter}. {text}" for letter, text in zip(target, texts, strict=True))


def question(sample: Sample) -> Question | None:
    """Split the last question of a sample into its parts.

    Args:
        sample: the item.

    Returns:
        stem, options and the rest; None if no message of the user has text
    """
    user_messages = [i for i, message in enumerate(sample.prompt.messages) if message.role == "user"]
    if not user_messages:
        return None
    index = user_messages[-1]
    texts = [i for i, part in enumerate(sample.messages[index].parts) if isinstance(part, str)]
    for part in reversed(texts):
        if sample.choices and (split_question := _lettered(sample, index, part)):
            return split_question
    if not texts:
        return None
    full_text = str(sample.messages[index].parts[texts[-1]])
    end = match.start() if (match := INSTRUCTION.search(full_text)) else len(full_text)
    return Question(sample, index, texts[-1], full_text[:end], after=full_text[end:])


def _lettered(sample: Sample, message: int, part: int) -> Question | None:
    text = str(sample.messages[message].parts[part])
    marks, start, position = [], -1, 0
    for letter, choice in zip(LETTERS, sample.choices, strict=False):
        pattern = re.compile(
            rf"^([ \t]*\(?{letter}[.):、：]\)?[ \t]*){re.escape(choice)}[ \t]*$", re.MULTILINE
        )
        match = pattern.search(text, position)
        if not match or (start >= 0 and text[position : match.start()].strip()):
            return None
        start = match.start() if start < 0 else start
        position = match.end()
        marks.append(match[1])
    return Question(sample, message, part, text[:start], tuple(marks), sample.choices, text[position:])


def lettered(sample: Sample) -> Question | None:
    """Split a multiple-choice question whose target is letters.

    Args:
        sample: the item.

    Returns:
        the parts; None for other questions
    """
    parts = question(sample)
    if parts is None or not parts.options or not sample.target or sample.target in sample.choices:
        return None
    return parts if set(sample.target) <= set(LETTERS[: len(parts.options)]) else None


def edit(sample: Sample, change: Callable[[str], str], options: bool = False) -> Sample | None:
    """Change the stem of a question, and its options if asked.

    Args:
        sample: the item.
        change: text -> changed text.
        options: whether the options are changed too.

    Returns:
        the changed item; None if nothing changes or two options become equal
    """
    parts = question(sample)
    if parts is None:
        return None
    stem = change(parts.stem)
    others = [change(option) for option in parts.options] if options else list(parts.options)
    if (stem, others) == (parts.stem, list(parts.options)) or len(set(others)) < len(others):
        return None
    return parts.changed(stem, others)


def swap_images(sample: Sample, change: Callable[[ImageRef], ImageRef | None]) -> Sample:
    """Change every image of a sample.

    Args:
        sample: the item.
        change: image -> its replacement; None removes it.

    Returns:
        the sample with the new images
    """
    messages = []
    for message in sample.messages:
        parts = [change(part) if isinstance(part, ImageRef) else part for part in message.parts]
        messages.append(replace(message, parts=tuple(part for part in parts if part is not None)))
    return replace(sample, messages=tuple(messages))


def asked(
    text: str, *options: str, target: str = "", gold: str = "", images: Sequence[ImageRef] = ()
) -> Sample:
    """Make a sample for an EXAMPLE.

    Args:
        text: the question.
        options: of a multiple-choice question, lettered from A.
        target: letter of the right option, or the answer.
        gold: the answer in words; "": from the target.
        images: shown before the text.

    Returns:
        one message of the user and the gold answer
    """
    lines = "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    ask = f"{text}{lines}\nAnswer with the letter." if options else text
    gold = gold or (f"{target}. {options[LETTERS.index(target)]}" if options else target)
    messages = (Message("user", (*images, ask)), Message("assistant", (gold,)))
    return Sample("example/1", messages, target=target, choices=options)
