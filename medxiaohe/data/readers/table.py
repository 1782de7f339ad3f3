"""Any table: .csv, .tsv, .jsonl, .json or .parquet rows become documents or questions by naming columns.

    {reader: table, path: cases.csv, options: {columns: {user: "{vignette} What is it?", assistant: answer,
    id: case_id}}}

A value of `columns` is a column ("answer"), a place in one ("snippets.0.text"), or a text with such names in
braces. Keys: `text` (a document), or `user` and `assistant`, and `system`; or `messages`, a column with a
chat. `image` (a path or a list), `choices` (a column, or a list of them) with `answer_index` (a letter, or a
number counted from `first_index`) or `target`; `id`, `patient_id`, `study_id`, `split`, `license`. Where
`columns` says nothing, the usual names are taken (`USUAL`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.formats import chat, files
from medxiaohe.data.formats.records import ENDINGS, Record, at, records, told
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.plugins import nearest
from medxiaohe.types import Sample

EXAMPLE = {
    "cards.csv": (
        "id,question,answer,patient_id\n1,Which valve lies between the left chambers?,The mitral valve.,p1\n"
    ),
    "notes.tsv": "id\ttext\nn1\tNo effusion is seen.\n",
}
USUAL = {
    "text": ("text", "caption", "report", "note"), "user": ("question", "instruction", "prompt"),
    "assistant": ("answer", "response", "output"), "image": ("image", "images", "image_path", "file_name"),
    "id": ("id",),
    "choices": ("choices", "options"), "patient_id": ("patient_id",), "study_id": ("study_id",),
    "split": ("split",),
    "license": ("license",), "system": ("system",), "messages": ("messages",),
}  # fmt: skip
KEYS = (*USUAL, "target", "answer_index")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def table(
    path: Path,
    *,
    columns: Mapping[str, Any] | None = None,
    rows: str = "",
    explode: str = "",
    files_named: str = "*",
    images: str = "",
    meta: Sequence[str] = (),
    first_index: int = 0,
    split: str = "",
    license: str = "not stated",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """`rows`: where the rows stand in a .json file. `explode`: a column with a list; each entry is a row, its
    place is `item`. `images`: the folder of the images, from the table's. `files_named`: which files of a
    folder, such as "train*.csv". `allow_outside`: folders beside the data's own from which rows may
    name images.
    """
    if wrong := [key for key in columns or {} if key not in KEYS]:
        raise ConfigError(f"columns: no key {wrong[0]!r}{nearest(wrong[0], KEYS)}")
    found = [file for file in files.files(path, *ENDINGS) if file.match(files_named) or not path.is_dir()]
    if not found:
        raise DataError(f"no file {files_named} in {path}")
    own = [(path if path.is_dir() else path.parent) / images] if images else []  # the user wrote `images`
    within = io.confined(path, [*own, *allow_outside])
    map_, extra = dict(columns or {}), {"split": split, "license": license}

    def read(file: Path) -> Iterator[Sample | DeadLetter]:
        for record in records(file, rows):
            if isinstance(record, DeadLetter):
                yield record
                continue
            for one in _exploded(record, explode):
                try:
                    made = row_of_chat(one.row, map_ or usual(one.row), first_index)
                    sample = chat.sample(
                        {**{k: v for k, v in extra.items() if v}, **made},
                        file.parent / images,
                        one.where,
                        within,
                    )
                    yield io.lifted(replace(sample, meta={key: at(one.row, key) for key in meta}))
                except DataError as error:
                    yield files.rejected(one.where, error, one.raw, one.offset)

    yield from files.each(found, read, path)


def _exploded(record: Record, explode: str) -> Iterator[Record]:
    if not explode:
        yield record
        return
    try:
        items = at(record.row, explode)
    except Rejected:
        items = []
    for number, item in enumerate(items if isinstance(items, list) else [], start=1):
        yield replace(record, where=f"{record.where}.{number}", row={**record.row, "item": item})


def usual(row: Mapping[str, Any]) -> dict[str, str]:
    names = {str(column).strip().lower(): str(column) for column in row}
    return {key: names[name] for key, usual in USUAL.items() for name in usual[::-1] if name in names}


def row_of_chat(row: Mapping[str, Any], columns: Mapping[str, Any], first_index: int) -> dict[str, Any]:
    """A row of the chat layout."""
    made = {
        key: cell
        for key in ("id", "target", "patient_id", "study_id", "split", "license")
        if (cell := said(row, columns.get(key)))
    }
    pictures = _pictures(row, columns.get("image"))
    choices = _choices(row, columns.get("choices"))
    if "messages" in columns:
        return {**made, "messages": at(row, columns["messages"]), "images": pictures}
    if "assistant" not in columns and "answer_index" not in columns:
        text = said(row, columns.get("text"))
        if not text.strip():
            raise Rejected("empty", "text is empty")
        parts = [*({"type": "image", "image": p} for p in pictures), {"type": "text", "text": _safe(text)}]
        return {**made, "messages": [{"role": "document", "content": parts}]}
    answer = said(row, columns.get("assistant"))
    if "answer_index" in columns:
        index = _index(told(at(row, columns["answer_index"])), choices, first_index)
        answer, made["target"] = answer or f"{LETTERS[index]}. {choices[index]}", LETTERS[index]
    asked = "\n".join(
        filter(
            None,
            [said(row, columns.get("user")), *(f"{a}. {c}" for a, c in zip(LETTERS, choices, strict=False))],
        )
    )
    if not asked.strip() or not answer.strip():
        raise Rejected("empty", "no question" if not asked.strip() else "no answer")
    system = said(row, columns.get("system"))
    user = [*({"type": "image", "image": p} for p in pictures), {"type": "text", "text": _safe(asked)}]
    turns: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    turns += [{"role": "user", "content": user}, {"role": "assistant", "content": _safe(answer)}]
    return {**made, "messages": turns, "choices": choices}


def _safe(text: str) -> str:
    """A table has no placeholders: what looks like one is text."""
    return text.replace(chat.PLACEHOLDER, "< image >")


def said(row: Mapping[str, Any], column: Any) -> str:
    """A cell, or a text with cells in braces; "" for no column."""
    if column is None:
        return ""
    if "{" in column:
        return re.sub(r"\{([^{}]+)\}", lambda found: told(at(row, found[1])), column).strip()
    return told(at(row, column)).strip()


def _pictures(row: Mapping[str, Any], column: str | None) -> list[Any]:
    if column is None:
        return []
    value = said(row, column) if "{" in column else at(row, column)
    return [v for v in (value if isinstance(value, (list, tuple)) else [value]) if v]


def _choices(row: Mapping[str, Any], column: Any) -> list[str]:
    if column is None:
        return []
    value = [said(row, c) for c in column] if isinstance(column, (list, tuple)) else at(row, column)
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        raise Rejected("row", f"choices must be a list, not {type(value).__name__}")
    return [told(choice) for choice in value if told(choice)]


def _index(cell: str, choices: list[str], first_index: int) -> int:
    cell = cell.strip()
    place = LETTERS.find(cell.upper()) if len(cell) == 1 and cell.isalpha() else -1
    if place < 0 and re.fullmatch(r"\d{1,3}(\.0)?", cell):
        place = int(float(cell)) - first_index
    if not 0 <= place < len(choices):
        raise Rejected("row", f"the answer {cell[:40]!r} is none of {len(choices)} choices")
    return place
