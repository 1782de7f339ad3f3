"""Transcripts as Praat TextGrids, long or short form; the files of one consultation are merged by time.

Made for PriMock57 (Papadopoulos Korfiatis et al. 2022), one file for the doctor and one for the patient:
names that differ after the last "_" belong together. `notes` names a folder of JSON files with a `note`; a
consultation that has one becomes a question for that note, another one a document. Tags such as <UNSURE> are
taken out unless `keep_tags`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from medxiaohe.data.formats import files
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import DataError
from medxiaohe.types import Message, Sample

_HEAD = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 9\ntiers? <exists>\nsize ='
    " 1\nitem []:\n    item [1]:\n"
)
_TIER = (
    '        class = "IntervalTier"\n        name = "{}"\n        xmin = 0\n        xmax = 9\n       '
    " intervals: size = 1\n"
)
_TEXT = '        intervals [1]:\n            xmin = {}\n            xmax = 9\n            text = "{}"\n'
EXAMPLE = {
    "day1_doctor.TextGrid": _HEAD + _TIER.format("Doctor") + _TEXT.format(0.5, "How can I help you?"),
    "day1_patient.TextGrid": (
        _HEAD
        + _TIER.format("Patient")
        + _TEXT.format(2.25, "I have had <UNSURE>fever</UNSURE> since Monday.")
    ),
}
ASK = "Write the clinical note of this consultation."
MAX_TEXTGRID = 16 * 2**20


def textgrid(
    path: Path, *, notes: str = "", ask: str = ASK, keep_tags: bool = False, license: str = "not stated"
) -> Iterator[Sample | DeadLetter]:
    """Read transcripts of consultations.

    Args:
        path: a .TextGrid file, or a folder of them.
        notes: folder of JSON files with a `note` each; "": no notes.
        ask: the question that asks for the note.
        keep_tags: keep tags such as <UNSURE>.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    paths = files.files(path, ".textgrid")
    for name, group in groupby(paths, key=_consultation):
        together = list(group)
        try:
            turns = sorted(
                (turn for file in together for turn in _turns(file, len(together) > 1)),
                key=lambda turn: turn[0],
            )
            yield _sample(name, turns, _note(path, notes, name), ask, keep_tags, license)
        except DataError as error:
            letter = files.rejected(name, error)
            bad = next((file for file in together if file.name in letter.reason), together[0])
            yield DeadLetter(name, letter.reason, letter.code, files.digest_of(bad), letter.offset)


def _consultation(file: Path) -> str:
    return file.stem.rpartition("_")[0] or file.stem


def _turns(file: Path, by_file: bool) -> list[tuple[float, str, str]]:
    """List (begin in seconds, speaker, text) of every interval with a text; the speaker is the end of the
    file's name, else the tier.
    """
    data = files.content(file, MAX_TEXTGRID)
    try:
        grid = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected("encoding", f"{file.name}: not UTF-8: {error.reason}", error.start) from error
    if "TextGrid" not in grid[:200]:
        raise Rejected("format", f"{file.name}: not a TextGrid", 0)
    # Without brackets and keys the long form is the short one: a flat list of numbers and quoted texts.
    flat = [
        m[0]
        for m in re.finditer(r'"(?:[^"]|"")*"|\[\d*\]|(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?', grid)
        if m[0][0] != "["
    ]
    queue = iter(flat[5:])  # "ooTextFile", "TextGrid", xmin, xmax, number of tiers
    turns: list[tuple[float, str, str]] = []
    try:
        for _ in range(int(flat[4])):
            # a generator would hide that it ends
            kind, tier, _, _ = [_unquoted(next(queue)) for _ in range(4)]
            for _ in range(int(next(queue))):
                begin = float(next(queue))
                if kind == "IntervalTier":
                    next(queue)
                if words := " ".join(_unquoted(next(queue)).split()):
                    turns.append(
                        (begin, file.stem.rpartition("_")[2].capitalize() if by_file else tier, words)
                    )
    except (StopIteration, IndexError, ValueError) as error:
        raise Rejected(
            "truncated", f"{file.name}: the TextGrid ends before its last tier", len(data)
        ) from error
    return turns


def _unquoted(token: str) -> str:
    return token[1:-1].replace('""', '"') if token[0] == '"' else token


def _sample(
    name: str, turns: list[tuple[float, str, str]], note: str, ask: str, keep_tags: bool, license: str
) -> Sample:
    lines: list[str] = []
    speaker = ""
    for _, tier, words in turns:
        words = words if keep_tags else " ".join(re.sub(r"</?[A-Z_]+\s*/?>", " ", words).split())
        if not words:
            continue
        if tier == speaker:
            lines[-1] += f" {words}"
        else:
            lines.append(f"{tier}: {words}")
        speaker = tier
    if not lines:
        raise Rejected("empty", "nobody says anything")
    spoken = "\n".join(lines)
    messages = (
        (Message("user", (f"{ask}\n\n{spoken}",)), Message("assistant", (note,)))
        if note
        else (Message("document", (spoken,)),)
    )
    meta = {"turns": len(lines), "seconds": round(turns[-1][0], 1)}
    return Sample(id=name, messages=messages, source="textgrid", license=license, study_id=name, meta=meta)


def _note(path: Path, notes: str, name: str) -> str:
    file = (path if path.is_dir() else path.parent) / notes / f"{name}.json"
    if not notes or not file.is_file():
        return ""
    try:
        return str(json.loads(files.content(file, MAX_TEXTGRID)).get("note") or "").strip()
    except (ValueError, AttributeError, RecursionError) as error:
        raise Rejected("json", f"{file.name}: not JSON with a `note`: {error}") from error
