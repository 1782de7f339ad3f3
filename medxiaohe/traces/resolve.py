"""Check the locators of a trace: its sources have the recorded bytes, a span of a document has the quoted
text, a box lies in its image and shows the same pixels.
"""

from __future__ import annotations

import hashlib
from typing import Any

from medxiaohe.errors import DataError
from medxiaohe.traces.blobs import Blobs
from medxiaohe.traces.frames import frame_size
from medxiaohe.traces.intact import Opened
from medxiaohe.traces.records import Pixels, Record, pixels_digest, regions
from medxiaohe.traces.verdict import Verdict
from medxiaohe.types import ImageRef, Locator

_ABSENT = "a source is not in blobs/"


class Resolver:
    """Checker of traces against files by digest."""

    def __init__(self, blobs: Blobs, pixels: Pixels | None) -> None:
        self.blobs, self.pixels = blobs, pixels
        self._frames: dict[str, tuple[bool, tuple[int, int] | None]] = {}  # digest -> right bytes, frame

    def check(self, opened: Opened, verdict: Verdict) -> None:
        """Check the sources, spans and regions of a trace, and add the results to the verdict.

        Args:
            opened: the open records of a trace.
            verdict: the verdict that is added to.
        """
        sources = {r["id"]: r for r in opened.records if r["kind"] == "source"}
        wrong = {id for id, record in sources.items() if "sha256" in record and self._source(record) is False}
        for record in opened.records:
            if record["id"] in wrong:
                why = "its file in blobs/ has other bytes than were recorded"
                verdict.add(opened.index, record["id"], "resolved", why)
            elif record["kind"] == "source" and "sha256" in record:
                self._count(verdict, "" if self._source(record) else _ABSENT)
            elif record["kind"] == "evidence":
                self._evidence(record, opened, sources.get(record["source"]), verdict)

    def _count(self, verdict: Verdict, skipped: str) -> None:
        level = verdict.levels["resolved"]
        if skipped:
            level.skip(skipped)
        else:
            level.checked += 1

    def _source(self, record: Record) -> bool | None:
        """Check that the file of a source has the recorded bytes; None where it is missing."""
        name = record["sha256"]
        if name not in self._frames:
            data = self.blobs.read(name)
            if data is None:
                return None
            self._frames[name] = hashlib.sha256(data).hexdigest() == name, frame_size(data)
        return self._frames[name][0]

    def _evidence(self, record: Record, opened: Opened, source: Record | None, verdict: Verdict) -> None:
        value = opened.value(record["id"])
        level = verdict.levels["resolved"]
        if value is None:
            level.closed += 1
            return
        if source is None:
            level.skip("evidence names no source by digest")
            return
        if not self._source(source):
            level.skip(_ABSENT)  # other bytes were added as a problem of the source
            return
        try:
            row = value["evidence"]
            if source["of"] == "document":
                why, skipped = self._quote(row, source["sha256"]), ""
            else:
                why, skipped = self._region(row, value["pixels"], source["sha256"])
        except (KeyError, TypeError, ValueError, AttributeError):
            why, skipped = "its locator is not valid", ""
        if why:
            verdict.add(opened.index, record["id"], "resolved", why)
        else:
            self._count(verdict, skipped)

    def _quote(self, row: dict[str, Any], name: str) -> str:
        try:
            text = (self.blobs.read(name) or b"").decode()
        except ValueError:
            return "its document is not UTF-8"
        span = row.get("at", {}).get("span")
        if span is None:
            return "" if row["text"] in text else "its words are not in the document"
        start, end = span
        if not 0 <= start < end <= len(text):
            return f"the span {start}:{end} is outside its document of {len(text)} letters"
        return "" if text[start:end] == row["text"] else f"the span {start}:{end} holds other words"

    def _region(self, row: dict[str, Any], recorded: str, name: str) -> tuple[str, str]:
        """Why a region is wrong, and why it was not looked at."""
        shown = row["images"][0]
        boxes = [box for box in (shown.get("box"), row.get("at", {}).get("box")) if box is not None]
        frame = self._frames[name][1]
        for left, top, right, bottom in boxes:
            if frame and not (0 <= left < right <= frame[0] and 0 <= top < bottom <= frame[1]):
                return (
                    f"the box {left}, {top}, {right}, {bottom} is outside {frame[0]} x {frame[1]} pixels",
                    "",
                )
        if not recorded:
            return ("", "no digest of the region was recorded") if boxes else ("", "")
        if self.pixels is None:
            return "", "pixels were not decoded"
        box = tuple(shown["box"]) if shown.get("box") else None
        image = ImageRef(str(self.blobs.path(name)), frame=shown.get("frame"), box=box)
        at = row.get("at", {})
        locator = Locator(box=tuple(at["box"]) if at.get("box") else None, frame=at.get("frame"))
        try:
            digest = pixels_digest(regions(image, locator), self.pixels)
        except DataError as error:
            return str(error), ""
        if not digest:
            return "", "pixels were not decoded"
        return ("" if digest == recorded else "the region shows other pixels"), ""
