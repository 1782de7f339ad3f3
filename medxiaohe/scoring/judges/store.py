"""Verdicts on disk, by what was asked of whom: a file for each judge and wording, one line for each call.

A line has the hash of the prompt, the reply as it came, and the verdicts read out of it. A kill loses at most
the call that was under way. Texts of patients may be quoted in replies: the folder is for its owner only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medxiaohe import io
from medxiaohe.scoring.judges.questions import Question, Verdict, digest


class Store:
    """Without a folder, verdicts are kept for the life of the process."""

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._known: dict[Path | None, dict[str, Verdict]] = {}

    def get(self, judge: str, version: str, question: Question, item: str) -> Verdict | None:
        return self._of(judge, version).get(key(question, item))

    def put(self, judge: str, version: str, question: Question, verdicts: Sequence[Verdict]) -> None:
        """Keep the verdicts of one call, one for each item of the question."""
        keys = [key(question, item) for item in question.items]
        self._of(judge, version).update(zip(keys, verdicts, strict=True))
        if path := self._path(judge, version):
            said = [{"key": k, "label": v.label, "why": v.why} for k, v in zip(keys, verdicts, strict=True)]
            row = {
                "judge": judge,
                "kind": question.kind,
                "prompt": verdicts[0].prompt,
                "reply": verdicts[0].reply,
                "verdicts": said,
            }
            io.append_jsonl(path, [row])

    def _of(self, judge: str, version: str) -> dict[str, Verdict]:
        path = self._path(judge, version)
        memory = path if path else Path(digest(judge, version))
        if memory not in self._known:
            self._known[memory] = _load(path) if path else {}
        return self._known[memory]

    def _path(self, judge: str, version: str) -> Path | None:
        return self.folder / f"{digest(judge, version)[:24]}.jsonl" if self.folder else None


def key(question: Question, item: str) -> str:
    return digest(question.kind, question.context, question.text, item)[:32]


def _load(path: Path) -> dict[str, Verdict]:
    with io.storage(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    io.drop_torn_line(path)
    if not path.is_file():
        return {}
    return {
        said["key"]: Verdict(said["label"], said["why"], row["prompt"], row["reply"], row["judge"])
        for row in io.read_jsonl(path)
        for said in row["verdicts"]
    }
