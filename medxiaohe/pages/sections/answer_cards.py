"""Example answers as cards: the image, the question, the gold answer, and the answer of each stage."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from medxiaohe import images
from medxiaohe.errors import DataError
from medxiaohe.pages.elements.html import Html, details, excerpt, tag
from medxiaohe.pages.sections.example_answers import OUTCOMES, Example, Judgement
from medxiaohe.types import ImageRef, Message, Trace

SIDE = 224  # pixels of a thumbnail
IMAGES = 3  # of one sample
SHORT = 420  # letters of an answer before it is folded


def card(example: Example, *, pictures: bool) -> Html:
    """Show an example: its images, question, gold answer, and the answers of all stages with their verdicts.

    Args:
        example: with traces and judgements by stage.
        pictures: whether thumbnails are embedded.
    """
    sample = example.sample
    question = next((m for m in reversed(sample.prompt.messages) if m.role == "user"), sample.messages[0])
    head = tag(
        "header",
        tag(
            "span", example.outcome, class_=f"badge {_slug(example.outcome)}", title=OUTCOMES[example.outcome]
        ),
        tag("span", example.task, class_="task"),
        tag("code", excerpt(sample.id, 48)),
    )
    body = [
        _thumbnails(sample.images) if pictures and sample.images else None,
        tag(
            "div",
            _long(question.text, "question"),
            _choices(sample.choices, sample.target),
            _gold(example),
            class_="asked",
        ),
    ]
    answers = [_answer(stage, trace, judged) for stage, (trace, judged) in example.answers.items()]
    style = "example pictured" if pictures and sample.images else "example"
    return tag(
        "article",
        head,
        body,
        tag("dl", answers),
        class_=style,
        data_outcome=_slug(example.outcome),
        data_task=example.task,
    )


def _slug(outcome: str) -> str:
    return outcome.replace(" ", "-")


def _choices(choices: Sequence[str], target: str) -> Html | None:
    if not choices:
        return None
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    items = []
    for letter, choice in zip(letters, choices, strict=False):
        items.append(
            tag("li", tag("b", letter), " ", choice, class_="gold" if target in (letter, choice) else None)
        )
    return tag("ul", items, class_="choices")


def _gold(example: Example) -> Html:
    sample = example.sample
    gold = sample.target or (sample.messages[-1].text if sample.messages[-1].role == "assistant" else "")
    return tag(
        "p",
        tag("span", "Gold answer ", class_="quiet"),
        tag("strong", excerpt(gold, SHORT) or "none given"),
        class_="answer",
    )


def _answer(stage: str, trace: Trace, judged: Judgement) -> Html:
    verdict = judged.verdict
    tone = (
        verdict if verdict in ("right", "wrong", "unparsed", "refused", "truncated", "unjudged") else "partly"
    )
    tone = "unjudged" if verdict == "error" else tone
    mark = {"right": "\u2713", "wrong": "\u2717", "partly": "\u25d0"}.get(tone, "\u2013")
    answer = (
        [tag("p", f"The model failed: {trace.error}", class_="quiet")]
        if trace.error
        else [_long(trace.answer, "answer")]
    )
    parsed = tag(
        "p",
        tag("span", "read as ", class_="quiet"),
        tag("code", excerpt(judged.parsed, 120)) if judged.parsed else "nothing",
        class_="parsed",
    )
    why = tag("p", excerpt(judged.why, 240), class_="quiet parsed") if judged.why else None
    calls = sum(len(message.calls) for message in _new(trace))
    used = tag("p", f"{calls} tool calls", class_="quiet parsed") if calls else None
    return tag(
        "div",
        tag("dt", stage, tag("span", f"{mark} {verdict}", class_=f"verdict {tone}")),
        tag("dd", answer, used, parsed, why),
    )


def _new(trace: Trace) -> Sequence[Message]:
    return trace.messages[len(trace.prompt.messages) :]


def _long(words: str, class_: str) -> Html:
    """Show text in a paragraph; more than SHORT letters are folded."""
    words = words.strip()
    if not words:
        return tag("p", "an empty answer" if class_ == "answer" else "no text", class_="quiet")
    if len(words) <= SHORT:
        return tag("p", words, class_=class_, dir="auto")
    rest = details("the whole text", tag("p", excerpt(words, 6_000), class_=class_, dir="auto"))
    return tag("div", tag("p", excerpt(words, SHORT), class_=class_, dir="auto"), rest)


def _thumbnails(refs: Sequence[ImageRef]) -> Html:
    pictures = [_thumbnail(ref) for ref in refs[:IMAGES]]
    note = tag("p", f"and {len(refs) - IMAGES} more images", class_="quiet") if len(refs) > IMAGES else None
    return tag("div", pictures, note, class_="pictures")


def _thumbnail(ref: ImageRef) -> Html:
    """Embed a JPEG thumbnail; for a file that cannot be opened, show the reason instead."""
    try:
        pixels = images.open_image(ref)
    except DataError as error:
        reason = str(error).replace(ref.uri, Path(ref.uri).name)
        return tag("p", reason, class_="missing")
    pixels.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    pixels.save(data, "JPEG", quality=78, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
    return tag("img", src=uri, width=pixels.width, height=pixels.height, alt="Image of this question")
