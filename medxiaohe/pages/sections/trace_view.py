"""Data of a trace page: the open records of a trace, and the evidence of each sentence.

Built of records and openings, not of a Trace, so that a redacted copy has a page too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe.scoring._sentences import sentence_spans
from medxiaohe.traces.blobs import Blobs
from medxiaohe.traces.canonical import unpacked
from medxiaohe.traces.records import Opening, Record
from medxiaohe.traces.verdict import Verdict

WEAKEST = ("contradicted", "unsupported", "unjudged", "supported")  # the label of a sentence is its weakest
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the answer with its claims."""

    text: str
    label: str  # of the weakest ruling; "" where there is no claim
    claims: tuple[str, ...]  # ids of claim records
    evidence: tuple[str, ...]  # ids of evidence records that its rulings rest on


@dataclass(frozen=True, slots=True)
class Picture:
    """An image with the boxes of evidence in it."""

    source: str  # id of its record
    sha256: str
    frame: int | None
    boxes: tuple[tuple[str, Box, str], ...]  # id of the evidence, box in pixels, words


@dataclass(frozen=True, slots=True)
class View:
    """One trace with the values of its open records."""

    index: int
    name: str
    records: Sequence[Record]
    values: Mapping[str, Any]  # id of a record -> what it opens to
    blobs: Blobs
    verdict: Verdict

    def of_kind(self, *kinds: str) -> list[Record]:
        """Select records by kind.

        Returns:
            records of any of these kinds, in order.
        """
        return [record for record in self.records if record["kind"] in kinds]

    @property
    def head(self) -> Record:
        """Head of the trace.

        Returns:
            the last record, which has the origin of the trace.
        """
        return self.records[-1]

    @property
    def answer(self) -> Record:
        """Answer of the trace.

        Returns:
            the record of the answer, open or closed.
        """
        return self.of_kind("answer")[0]

    def rulings_on(self, claim: str) -> list[Record]:
        """Select the rulings on a claim.

        Args:
            claim: id of its record.

        Returns:
            records of rulings, in order.
        """
        return [record for record in self.of_kind("ruling") if record["claim"] == claim]


def view(
    index: int,
    name: str,
    records: Sequence[Record],
    openings: Mapping[str, Opening],
    blobs: Blobs,
    verdict: Verdict,
) -> View:
    """Combine the records of a trace with the values that their openings reveal.

    Args:
        index: number of the trace in its log.
        name: of the trace, the hash of its head.
        records: public records, the head last.
        openings: id of a record -> what opens it; closed records have none.
        blobs: images and documents by SHA-256.
        verdict: the result of verifying the folder.
    """
    values = {id: unpacked(value) for id, (_, value) in openings.items()}
    return View(index, name, records, values, blobs, verdict)


def sentences(shown: View) -> list[Sentence]:
    """Split the answer into sentences with their claims, weakest ruling and cited evidence.

    Args:
        shown: the trace.

    Returns:
        sentences in order; [] if the answer is closed.
    """
    value = shown.values.get(shown.answer["id"])
    if value is None:
        return []
    text = str(value["text"])
    results = []
    for start, end in sentence_spans(text):
        claims = [c for c in shown.of_kind("claim") if c["at"] and start <= c["at"][0] < end]
        rulings = [ruling for claim in claims for ruling in shown.rulings_on(claim["id"])]
        labels = {ruling["label"] for ruling in rulings} | ({"unjudged"} if claims and not rulings else set())
        label = next((item for item in WEAKEST if item in labels), "")
        cited = dict.fromkeys(id for item in (*rulings, *claims) for id in item["evidence"])
        ids = tuple(claim["id"] for claim in claims)
        results.append(Sentence(text[start:end], label, ids, tuple(cited)))
    return results


def pictures(shown: View) -> list[Picture]:
    """Collect the images of a trace with the boxes of its open evidence.

    Args:
        shown: the trace.

    Returns:
        each image and frame once, those of the prompt first.
    """
    boxes: dict[tuple[str, int | None], list[tuple[str, Box, str]]] = {}
    sources = {record["id"]: record for record in shown.of_kind("source") if record["of"] == "image"}
    for id in sources:
        boxes[id, None] = []
    for record in shown.of_kind("evidence"):
        value = shown.values.get(record["id"])
        if value is None or record["source"] not in sources or not value["evidence"].get("images"):
            continue
        row = value["evidence"]
        at, image = row.get("at") or {}, row["images"][0]
        frame = image.get("frame") if at.get("frame") is None else at["frame"]
        box = at.get("box") or image.get("box")
        entries = boxes.setdefault((record["source"], frame), [])
        if box:
            entries.append((record["id"], (box[0], box[1], box[2], box[3]), str(row.get("text", ""))))
    shared = {id for (id, frame), rows in boxes.items() if frame is not None and rows}
    return [
        Picture(id, sources[id]["sha256"], frame, tuple(rows))
        for (id, frame), rows in boxes.items()
        if rows or frame is not None or id not in shared
    ]


def passage(shown: View, record: Record) -> tuple[str, str, str]:
    """Locate the text of evidence in its document.

    Args:
        shown: the trace.
        record: an open record of evidence.

    Returns:
        (text before, the evidence, text after); before and after are "" if the document is missing or
        differs.
    """
    row = shown.values[record["id"]]["evidence"]
    text = str(row.get("text", ""))
    at = row.get("at") or {}
    source = next((item for item in shown.records if item["id"] == record["source"]), None)
    if source is None or source.get("of") != "document":
        return "", text, ""
    try:
        document = (shown.blobs.read(source["sha256"]) or b"").decode()
    except ValueError:
        return "", text, ""
    start = at["span"][0] if at.get("span") else document.find(text)
    end = start + len(text)
    if start < 0 or document[start:end] != text:
        return "", text, ""
    return document[:start], text, document[end:]
