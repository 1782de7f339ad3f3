"""Boxes around things in an image: one-to-one matches at an overlap (IoU) of 0.5, and how many were found.

`boxes` is F1, `boxes.precision`, `boxes.recall`, and `boxes.count` is 1 for as many boxes as the gold has.
Boxes are left, top, right, bottom, in the scale the prompt asks for. Pairs are matched greedily, the best
overlap first (as VOC and COCO do); there is no average precision, because a model that writes boxes gives
them no ranking score.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe.errors import DataError
from medxiaohe.scoring._answer import outside_thoughts, refuses
from medxiaohe.scoring._text import missing, plain
from medxiaohe.types import Message, Sample, Score, Trace

NUMBER = r"[-+]?\d+(?:\.\d+)?"
FOUR = re.compile(rf"[\[(]\s*({NUMBER})\s*,\s*({NUMBER})\s*,\s*({NUMBER})\s*,\s*({NUMBER})\s*[\])]")
PAIR = rf"\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)\s*,\s*\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)"
CORNERS = re.compile(
    rf"<box>\s*{PAIR}\s*</box>"
)  # Qwen-VL, and Qwen2-VL with its marks as `_marked` writes them
NAMED = re.compile(r"<ref>\s*([^<>]*?)\s*</ref>\s*((?:<box>[^<>]*</box>[\s,;]*)+)")
MARKS = (
    ("object_ref_start", "<ref>"),
    ("object_ref_end", "</ref>"),
    ("box_start", "<box>"),
    ("box_end", "</box>"),
)
FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
COMMA = re.compile(r",(?=\s*[\]}])")  # behind the last of a list, which JSON does not allow
SHORT = 12  # words of a reply that says in words that there is nothing
NOTHING = re.compile(
    r"^\W*(?:(?:there (?:is|are|was|were)|i (?:see|find|detect)"
    r"|(?:the|this) (?:image|picture|scan) (?:shows|has))"
    r" no(?:ne|thing)?\b|no(?:ne)?\b[^.,;]*(?:(?:present|seen|visible|found|detected|identified)\b|$)"
    r"|nothing\b"
    r"|没有|未见|无)",
    re.IGNORECASE,
)
BUT = re.compile(
    r"\b(?:but|however|except|although|only|other than|apart from|doubt|sure)\b|但|除", re.IGNORECASE
)
KEYS = ("box", "bbox", "bbox_2d", "box_2d", "boxes")
MOST = 1000  # boxes of a reply; matching compares every pair, so more is refused


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-aligned bounding box with a label, in pixels or any other unit."""

    left: float
    top: float
    right: float
    bottom: float
    label: str = ""


def boxes(sample: Sample, trace: Trace, *, iou: float = 0.5, scale: float = 1.0) -> Score:
    """Box F1: harmonic mean of precision and recall of one-to-one matches at an IoU threshold.

    Args:
        sample: its target is a JSON list of {label, box: [left, top, right, bottom]}.
        trace: its answer is scored.
        iou: intersection over union, from 0 to 1, from which two boxes match.
        scale: factor from the model's coordinates to those of the gold.

    Returns:
        F1 from 0 to 1; `unparsed` without a list of boxes

    Raises:
        DataError: the target is not a JSON list of boxes.
    """
    return _score("boxes", sample, trace, iou, scale)


def precision(sample: Sample, trace: Trace, *, iou: float = 0.5, scale: float = 1.0) -> Score:
    """Precision: share of the answer's boxes that match a gold box.

    Args:
        sample: its target is a JSON list of boxes.
        trace: its answer is scored.
        iou: least intersection over union of a match.
        scale: factor from the model's coordinates to those of the gold.

    Returns:
        From 0 to 1; `unparsed` without a list of boxes

    Raises:
        DataError: the target is not a JSON list of boxes.
    """
    return _score("boxes.precision", sample, trace, iou, scale)


def recall(sample: Sample, trace: Trace, *, iou: float = 0.5, scale: float = 1.0) -> Score:
    """Recall: share of the gold boxes that a box of the answer matches.

    Args:
        sample: its target is a JSON list of boxes.
        trace: its answer is scored.
        iou: least intersection over union of a match.
        scale: factor from the model's coordinates to those of the gold.

    Returns:
        From 0 to 1; `unparsed` without a list of boxes

    Raises:
        DataError: the target is not a JSON list of boxes.
    """
    return _score("boxes.recall", sample, trace, iou, scale)


def count(sample: Sample, trace: Trace) -> Score:
    """Box count: 1 where the answer has as many boxes as the gold, of each label where the gold has labels.

    Args:
        sample: its target is a JSON list of boxes.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` without a list of boxes

    Raises:
        DataError: the target is not a JSON list of boxes.
    """
    predicted, gold = parse(trace.answer), gold_boxes(sample)
    if predicted is None:
        return missing("boxes.count", trace, "no list of boxes")
    labelled = any(box.label for box in gold)
    same = (
        sorted(b.label for b in predicted) == sorted(b.label for b in gold)
        if labelled
        else len(predicted) == len(gold)
    )
    return Score(
        "boxes.count",
        float(same),
        parsed=str(len(predicted)),
        why=f"{len(predicted)} boxes, gold {len(gold)}",
    )


def _score(name: str, sample: Sample, trace: Trace, iou: float, scale: float) -> Score:
    predicted, gold = parse(trace.answer), gold_boxes(sample)
    if predicted is None:
        return missing(name, trace, "no list of boxes")
    scaled = [
        Box(b.left * scale, b.top * scale, b.right * scale, b.bottom * scale, b.label) for b in predicted
    ]
    hits = matches(scaled, gold, iou)
    # precision = TP / predicted, recall = TP / gold; no boxes on both sides is a perfect answer
    p = hits / len(predicted) if predicted else float(not gold)
    r = hits / len(gold) if gold else float(not predicted)
    value = {"boxes.precision": p, "boxes.recall": r}.get(name, 2 * p * r / (p + r) if p + r else 0.0)
    return Score(
        name,
        value,
        parsed=f"{len(predicted)} boxes",
        why=f"{hits} of {len(predicted)} boxes match, gold has {len(gold)}",
    )


def matches(predicted: list[Box], gold: list[Box], iou: float = 0.5) -> int:
    """Match boxes one to one with gold boxes of the same label, greedily by IoU.

    Args:
        predicted: boxes of the answer.
        gold: boxes of the reference.
        iou: least intersection over union of a pair.

    Returns:
        the number of pairs
    """
    # IoU of every pair with equal labels, the highest first
    pairs = sorted(
        (
            (overlap(a, b), i, j)
            for i, a in enumerate(predicted)
            for j, b in enumerate(gold)
            if not b.label or plain(a.label) == plain(b.label)
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    # greedy one-to-one assignment
    used_a, used_b = set[int](), set[int]()
    for area, i, j in pairs:
        if area >= iou and i not in used_a and j not in used_b:
            used_a.add(i)
            used_b.add(j)
    return len(used_a)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union; 0 for a box turned inside out.

    Args:
        a: a box in pixels or any other unit.
        b: a box in the same unit.

    Returns:
        from 0 to 1
    """
    width, height = min(a.right, b.right) - max(a.left, b.left), min(a.bottom, b.bottom) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    # |A and B| / (|A| + |B| - |A and B|)
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def gold_boxes(sample: Sample) -> list[Box]:
    """Read the boxes of the target.

    Raises:
        DataError: the target is not a JSON list of boxes.
    """
    result = _json(sample.target)
    if result is None:
        raise DataError(
            'the target of `boxes` must be JSON such as [{"label": "RBC", "box": [0, 0, 9, 9]}], not'
            f" {sample.target[:80]!r}"
        )
    return result


def parse(answer: str) -> list[Box] | None:
    """Parse the boxes of an answer: JSON, a fenced block, "(l, t), (r, b)" or "[l, t, r, b]".

    Args:
        answer: text of a reply, its thinking included.

    Returns:
        the boxes, at most `MOST`; [] for a stated absence; None
    """
    text = outside_thoughts(_marked(answer))
    start, end = text.find("["), text.rfind("]")
    result = _json(text[start : end + 1]) if 0 <= start < end else None
    if (
        result is None
        and len(fenced := [block for block in map(_json, FENCE.findall(text)) if block is not None]) == 1
    ):
        result = fenced[0]
    if result is None and text.count("[") == text.count("]"):  # else it was cut off
        result = _corners(text) + [_box(match) for match in FOUR.findall(text)] or None
    if result is None and _says_nothing(text):
        return []
    if result is None or (not result and refuses(text)) or len(result) > MOST:
        return None
    return result


def _marked(answer: str) -> str:
    """The answer with the marks of Qwen2-VL as those of Qwen-VL: <|box_start|> is <box>."""
    for mark, shown in MARKS:
        answer = answer.replace(f"<|{mark}|>", shown)
    return answer


def _corners(text: str) -> list[Box]:
    """Boxes given by two corners, with the label in front of them where there is one."""
    result = []
    for match in NAMED.finditer(text):
        result += [_box(four, match[1]) for four in CORNERS.findall(match[2])]
    return result + [_box(four) for four in CORNERS.findall(NAMED.sub(" ", text))]


def _says_nothing(text: str) -> bool:
    """Whether a short reply says in words that there is nothing: "There are no lesions." """
    return (
        len(text.split()) <= SHORT
        and not re.search(r"[\d\[\]?？]", text)
        and bool(NOTHING.match(text))
        and not BUT.search(text)
        and not refuses(text)
    )


def _json(text: str) -> list[Box] | None:
    """Boxes of JSON: [[l, t, r, b], ...], [{"label": ..., "box": [l, t, r, b]}, ...] or one of those
    alone."""
    try:
        rows = json.loads(COMMA.sub("", text))
        rows = [rows] if _is_box(rows) or isinstance(rows, dict) else rows
        return [box for row in rows for box in _boxes(row)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _boxes(row: Any) -> Iterator[Box]:
    if isinstance(row, dict):
        inside: Any = (
            next(row[key] for key in KEYS if key in row) if any(key in row for key in KEYS) else None
        )
        label = str(row.get("label", row.get("name", "")))
        for four in [inside] if _is_box(inside) else inside or []:
            if not _is_box(four):
                raise ValueError(row)
            yield _box(four, label)
    elif _is_box(row):
        yield _box(row)
    else:
        raise ValueError(row)


def _box(four: Sequence[Any], label: str = "") -> Box:
    left, top, right, bottom = map(float, four)
    return Box(left, top, right, bottom, label)


def _is_box(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 4
        and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in row)
    )


CASE_SENSITIVE = True  # the target is JSON
EXAMPLE = Sample(
    "boxes/example",
    (
        Message(
            "user",
            (
                (
                    "Where are the white blood cells? Answer with a JSON list of boxes, [left, top, right,"
                    " bottom] in pixels."
                ),
            ),
        ),
        Message("assistant", ("[[10, 20, 60, 80]]",)),
    ),
    target="[[10, 20, 60, 80]]",
)
