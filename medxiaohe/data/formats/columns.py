"""Name the columns of a row: which hold the question, the answer, the images, the patient.

A value of `columns` is a column ("answer"), a path into one ("snippets.0.text"), a text with columns in
braces ("{vignette} What is it?"), or a text that is the same in every row: {constant: Yes}, or any text with
a space that is not a column ("Is this normal?"). Keys: `text` (a document), or `user` and `assistant`, and
`system`; or `messages`, a column with a chat. `question` and `answer` are other names of `user` and
`assistant`. `image` (a path or a list), `choices` (a column, or a list of them) with `answer_index` (a
letter, or a number counted from `first_index`) or `target`; `id`, `patient_id`, `study_id`, `split`,
`license`. Where `columns` is left out, the usual names of published data sets are taken (`USUAL`, `usual`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from medxiaohe.data.formats import chat
from medxiaohe.data.formats.records import as_text, at
from medxiaohe.data.readers import Rejected
from medxiaohe.errors import ConfigError
from medxiaohe.plugins import nearest

# key -> usual names of the column, lower case, the likeliest last
USUAL = {
    "text": ("text", "caption", "report", "note"),
    "user": ("query", "question", "instruction", "prompt"),
    "assistant": ("completion", "answer", "response", "output"),
    "image": ("img_name", "figure_path", "file_name", "image_path", "images", "image"),
    "id": ("qid", "id"),
    "choices": ("options", "choices"),
    "answer_index": ("cop", "answer_label", "answer_idx", "answer_index"),
    "patient_id": ("subject_id", "patient_id"),
    "study_id": ("study_id",),
    "split": ("split",),
    "license": ("license",),
    "system": ("system",),
    "messages": ("messages",),
}
KEYS = (*USUAL, "target")
OTHER_NAMES = {"question": "user", "prompt": "user", "answer": "assistant", "response": "assistant",
               "caption": "text", "images": "image"}  # fmt: skip
# columns that hold one option each, as published: MedMCQA (opa ...), PMC-VQA (Choice A ...), others
OPTION_COLUMNS = ("op{}", "choice {}", "choice_{}", "option {}", "option_{}", "{}")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def normalised(columns: Mapping[str, Any] | None) -> dict[str, Any]:
    """Normalise the keys of the `columns` option of a reader.

    Args:
        columns: key, or another name of one -> column; None is empty.

    Returns:
        Canonical key -> column.

    Raises:
        ConfigError: a key that no row can have, or one that is given twice.
    """
    result: dict[str, Any] = {}
    for key, value in (columns or {}).items():
        canonical = OTHER_NAMES.get(key, key)
        if canonical not in KEYS:
            raise ConfigError(f"columns: no key {key!r}{nearest(key, (*KEYS, *OTHER_NAMES))}")
        if canonical in result:
            raise ConfigError(f"columns: {key!r} is another name of {canonical!r}, which is there too")
        result[canonical] = value
    return result


def usual(row: Mapping[str, Any]) -> dict[str, Any]:
    """Match the columns of a row with names that published data sets use.

    Args:
        row: the row of a table.

    Returns:
        Canonical key -> column; `choices` may be a list of columns, one an option.
    """
    names = {str(column).strip().lower(): str(column) for column in row}
    result: dict[str, Any] = {
        key: names[name] for key, aliases in USUAL.items() for name in aliases[::-1] if name in names
    }
    if "choices" not in result and (options := _option_columns(names)):
        result["choices"] = options
    if "choices" not in result:
        result.pop("answer_index", None)
    return result


def _option_columns(names: Mapping[str, str]) -> list[str]:
    """Find columns A, B, C ... in one of the usual spellings; [] where there are fewer than two."""
    for form in OPTION_COLUMNS:
        options: list[str] = []
        for letter in LETTERS.lower():
            if (name := form.format(letter)) not in names:
                break
            options.append(names[name])
        if len(options) > 1:
            return options
    return []


def chat_row(row: Mapping[str, Any], columns: Mapping[str, Any], first_index: int = 0) -> dict[str, Any]:
    """Convert a row of a table to the layout of data/formats/chat.py.

    Args:
        row: the row of a table.
        columns: canonical key -> column, as of `normalised` or `usual`.
        first_index: the number of the first option where `answer_index` is a number.

    Returns:
        A row with `messages`; questions with options have the letter of the answer as `target`.

    Raises:
        Rejected: a column is missing, a text or answer is empty, or the answer is not one of the options.
    """
    result: dict[str, Any] = {
        key: value
        for key in ("id", "target", "patient_id", "study_id", "split", "license")
        if (value := cell(row, columns.get(key)))
    }
    pictures = _pictures(row, columns.get("image"))
    choices = _choices(row, columns.get("choices"))
    if "messages" in columns:
        return {**result, "messages": at(row, columns["messages"]), "images": pictures}
    if "assistant" not in columns and "answer_index" not in columns:
        return {**result, "messages": [_document(row, columns, pictures)]}
    # a question: options are listed below it with letters
    answer, index = cell(row, columns.get("assistant")), _answer_index(row, columns, choices, first_index)
    if index is not None:
        # an answer that is only its own letter becomes the letter with its option
        answer = f"{LETTERS[index]}. {choices[index]}" if _is_label(answer) else answer
        result["target"] = LETTERS[index]
    prompt = "\n".join(
        filter(
            None,
            [cell(row, columns.get("user")), *(f"{a}. {c}" for a, c in zip(LETTERS, choices, strict=False))],
        )
    )
    if not prompt.strip() or not answer.strip():
        raise _nothing(row, columns, "question" if not prompt.strip() else "answer")
    system = cell(row, columns.get("system"))
    user = [*({"type": "image", "image": p} for p in pictures), {"type": "text", "text": _escaped(prompt)}]
    turns: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    turns += [{"role": "user", "content": user}, {"role": "assistant", "content": _escaped(answer)}]
    return {**result, "messages": turns, "choices": choices}


def _document(row: Mapping[str, Any], columns: Mapping[str, Any], pictures: list[Any]) -> dict[str, Any]:
    text = cell(row, columns.get("text"))
    if not text.strip():
        raise _nothing(row, columns, "text")
    parts = [*({"type": "image", "image": p} for p in pictures), {"type": "text", "text": _escaped(text)}]
    return {"role": "document", "content": parts}


def _nothing(row: Mapping[str, Any], columns: Mapping[str, Any], field: str) -> Rejected:
    """Explain why a row has no text, question or answer: an empty cell, or no column for it."""
    key = {"question": "user", "answer": "assistant"}.get(field, field)
    if key in columns:
        return Rejected("empty", f"{field} is empty")
    seen = ", ".join(map(str, row))[:200]
    example = "text: COLUMN" if field == "text" else "question: COLUMN, answer: COLUMN"
    if field == "text":
        example += "}, or columns={question: COLUMN or a text, answer: COLUMN"
    if not seen:
        return Rejected("empty", "no messages and no text: the row is empty")
    return Rejected(
        "row",
        f"no messages, and no column with the {field}: the columns are {seen}; set columns={{{example}}}",
    )


def _answer_index(
    row: Mapping[str, Any], columns: Mapping[str, Any], choices: list[str], first_index: int
) -> int | None:
    """Find the index of the right option, by `answer_index`, or by an `assistant` cell that is a letter, a
    number or the text of an option; None where the row does not say.
    """
    if "answer_index" in columns:
        return _index(as_text(at(row, columns["answer_index"])), choices, first_index)
    answer = cell(row, columns.get("assistant"))
    if len(choices) < 2 or not answer:
        return None
    if answer in choices:
        return choices.index(answer)
    return _index(answer, choices, first_index) if _is_label(answer) else None


def _is_label(answer: str) -> bool:
    """Tell whether an answer is nothing but a letter or a number of an option, or empty."""
    return re.fullmatch(r"[A-Za-z]?|\d{1,3}(\.0)?", answer.strip()) is not None


def _escaped(text: str) -> str:
    """Escape image placeholders: a table has none, so what looks like one is text."""
    return text.replace(chat.PLACEHOLDER, "< image >")


def cell(row: Mapping[str, Any], column: Any) -> str:
    """Read the text of a column, of a text with columns in braces, or of a constant.

    Args:
        row: the row of a table.
        column: a value of `columns` (docstring of this module); None: no column.

    Returns:
        The text without surrounding spaces; "" for no column.

    Raises:
        Rejected: row for a column that the row lacks, or a mapping other than {constant: TEXT}.
    """
    if column is None:
        return ""
    if isinstance(column, Mapping):
        if set(column) != {"constant"}:
            raise Rejected("row", f"columns: a text for all rows is written {{constant: TEXT}}, not {column}")
        return as_text(column["constant"]).strip()
    column = str(column)
    if column in row:
        return as_text(row[column]).strip()
    if "{" in column:
        filled: str = re.sub(r"\{([^{}]+)\}", lambda match: as_text(at(row, match[1])), column)
        return filled.strip()
    if " " in column.strip():
        return str(column.strip())
    return as_text(at(row, column)).strip()


def _pictures(row: Mapping[str, Any], column: Any) -> list[Any]:
    if column is None:
        return []
    value = cell(row, column) if "{" in str(column) and column not in row else at(row, column)
    return [v for v in (value if isinstance(value, (list, tuple)) else [value]) if v]


def _choices(row: Mapping[str, Any], column: Any) -> list[str]:
    if column is None:
        return []
    value = [cell(row, c) for c in column] if isinstance(column, (list, tuple)) else at(row, column)
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        raise Rejected("row", f"choices must be a list, not {type(value).__name__}")
    # published options repeat their letter: " A: Cerebral artery" (PMC-VQA)
    choices = [
        re.sub(rf"^\s*\(?{LETTERS[n % 26]}\s*[:.)]\s*", "", as_text(choice).strip())
        for n, choice in enumerate(value)
    ]
    while choices and not choices[-1]:
        choices.pop()  # columns of more options than this row has
    if "" in choices:  # without it, the options behind it would have other letters
        raise Rejected("row", f"option {LETTERS[choices.index('')]} is empty and a later one is not")
    return choices


def _index(label: str, choices: list[str], first_index: int) -> int:
    label = label.strip()
    number = LETTERS.find(label.upper()) if len(label) == 1 and label.isalpha() else -1
    if number < 0 and re.fullmatch(r"\d{1,3}(\.0)?", label):
        number = int(float(label)) - first_index
    if not 0 <= number < len(choices):
        raise Rejected("row", f"the answer {label[:40]!r} is not one of the {len(choices)} choices")
    return number
