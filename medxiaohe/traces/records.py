"""Convert a trace to records, one line of canonical JSON each, and back.

    {"id": "source/0", "kind": "source", "of": "prompt", "sealed": SHA-256}
    {"id": "generation/1", "kind": "generation", "step": 0, "model": ..., "sealed": ...}
    ...
    {"id": "head/7", "kind": "head", "leaves": [...], "root": ..., "origin": {...}}

What may be private (words, arguments, file names) is not in the line. The line has `sealed`, the commitment
SHA-256(salt || canonical value), and the opening {salt, value} lies in another file: whoever redacts leaves
openings out, and no line changes. The salt is an HMAC over the value, so equal runs have equal lines and
nobody without the secret can guess a short value. No line holds a time or the bytes of an image.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.traces import merkle
from medxiaohe.traces.canonical import dumps, packed, unpacked
from medxiaohe.types import Evidence, ImageRef, Locator, Trace

FORMAT = "medxiaohe/trace/1"
KINDS = ("source", "evidence", "call", "generation", "decision", "answer", "claim", "ruling", "head")
MAX_RECORDS = 100_000  # of one trace
SALT_BYTES = 16
_STEPS = {"ask": "generation", "rank": "generation", "use": "call", "note": "decision"}

Record = dict[str, Any]
Opening = tuple[str, Any]  # salt in hex, value
Pixels = Callable[[ImageRef], bytes | None]  # RGB bytes of what a reference shows


@dataclass(frozen=True, slots=True)
class Sealed:
    """Written form of a trace: public lines, and the openings of what they seal."""

    lines: tuple[bytes, ...]  # canonical records, the head last
    openings: Mapping[str, Opening]  # id of a record -> its opening
    values: Mapping[str, bytes]  # id of a record -> canonical bytes of its value
    files: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of an image -> the file it was in

    @property
    def head(self) -> bytes:
        """The last line, which has the Merkle root over the others.

        Returns:
            canonical JSON without a line break.
        """
        return self.lines[-1]


def commitment(salt: bytes, data: bytes) -> str:
    """Compute the commitment to a value: SHA-256(salt || data).

    Args:
        salt: bytes of the salt.
        data: canonical JSON of the value.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(salt + data).hexdigest()


def opening_line(trace: str, salts: Mapping[str, str], values: Mapping[str, bytes]) -> bytes:
    """Write the canonical line that opens the sealed records of a trace.

    Args:
        trace: its name, the SHA-256 of its head.
        salts: record id -> salt in hex.
        values: record id -> canonical JSON of the value; an id without a salt is left out.

    Returns:
        {"openings": {id: [salt, value]}, "trace": ...}, ids sorted.
    """
    rows = b",".join(b'"%b":["%b",%b]' % (i.encode(), salts[i].encode(), values[i]) for i in sorted(salts))
    return b'{"openings":{%b},"trace":"%b"}' % (rows, trace.encode())


def head_of(lines: Sequence[bytes], origin: Mapping[str, str]) -> bytes:
    """Write the head of a trace: hashes of its records, the Merkle root over them, and what produced the
    trace.

    Args:
        lines: canonical JSON of each record, in order.
        origin: digests of model, tools, settings and versions.

    Returns:
        canonical JSON without a line break.
    """
    hashes = [merkle.leaf_hash(line) for line in lines]
    return dumps(
        {
            "id": f"head/{len(lines)}",
            "kind": "head",
            "format": FORMAT,
            "records": len(lines),
            "leaves": [item.hex()[:16] for item in hashes],  # they only name a changed record; the root binds
            "root": merkle.root(hashes).hex(),
            "origin": dict(origin),
        }
    )


def seal(
    trace: Trace,
    secret: bytes,
    *,
    digests: Mapping[str, str] | None = None,
    pixels: Pixels | None = None,
) -> Sealed:
    """Convert a trace to sealed records.

    Args:
        trace: what is recorded.
        secret: of whoever records, at least 16 bytes; salts are derived from it.
        digests: of model, tools and stores, added to those of `trace.origin`.
        pixels: reads what an ImageRef shows, to record the digest of each region.

    Returns:
        lines, openings and the files of images.

    Raises:
        DataError: what no record can hold: half of a surrogate pair, NaN, a ruling on a claim that is not
            there, a claim or ruling that rests on evidence that no tool result of the trace has.
    """
    if len(secret) < SALT_BYTES:
        raise DataError(f"the secret of the salts has {len(secret)} bytes: it needs {SALT_BYTES}")
    return _Writer(trace, secret, pixels).sealed({**trace.origin, **(digests or {})})


def restore(records: Sequence[Record], openings: Mapping[str, Opening]) -> Trace:
    """Rebuild the trace from its records and openings.

    Args:
        records: of one trace, the head included.
        openings: record id -> (salt, value).

    Returns:
        the trace, its images named by digest.

    Raises:
        DataError: an opening is missing, or the records are not of a trace.
    """
    row: dict[str, Any] = {"steps": [], "claims": [], "rulings": []}
    names: dict[str, str] = {}  # id of an evidence or claim record -> id in the trace

    def opened(record: Record) -> dict[str, Any]:
        if record["id"] not in openings:
            raise DataError(f"{record['id']} is closed, so the trace cannot be rebuilt")
        value = unpacked(openings[record["id"]][1])
        if not isinstance(value, dict):
            raise DataError(f"{record['id']} opens to what is no object")
        return value

    try:
        for record in records:
            kind = record["kind"]
            if kind == "source" and record["of"] == "prompt":
                row["prompt"] = opened(record)
            elif kind in ("generation", "call", "decision"):
                public = {k: record[k] for k in ("who", "model", "after", "tokens_in", "tokens_out")}
                value = opened(record)
                row["steps"].append({"n": record["step"], "kind": record["of"], **public, **value})
            elif kind == "evidence":
                names[record["id"]] = opened(record)["evidence"]["id"]
            elif kind == "answer":
                value = opened(record)
                own = value["messages"]
                prompt_messages = row["prompt"].get("messages", [])[: value["begins"]]
                row |= {"messages": [*prompt_messages, *own], "error": value["error"]}
                row["stop"] = record["stop"]
            elif kind == "claim":
                value = opened(record)
                names[record["id"]] = value["claim"]["id"]
                references = {"at": record["at"], "evidence": [names[item] for item in record["evidence"]]}
                row["claims"].append({**value["claim"], "needs": record["needs"], **references})
            elif kind == "ruling":
                row["rulings"].append(
                    {
                        "claim": names[record["claim"]],
                        "label": record["label"],
                        "evidence": [names[item] for item in record["evidence"]],
                        "by": record["by"],
                        **opened(record),
                    }
                )
            elif kind == "head":
                row["origin"] = record["origin"]
        return io.trace_from_json(row)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"the records are not of a trace: {error!r}") from error


def regions(shown: ImageRef, at: Locator | None) -> list[ImageRef]:
    """List the regions that evidence refers to: an image, and the box of its locator where that has one.

    Args:
        shown: the image.
        at: where the evidence lies, in pixels.

    Returns:
        the image, and the same with the box
    """
    if at is None or at.box is None:
        return [shown]
    return [shown, replace(shown, box=at.box, frame=shown.frame if at.frame is None else at.frame)]


def pixels_digest(parts: Sequence[ImageRef], pixels: Pixels | None) -> str:
    """Hash the decoded pixels of regions with SHA-256.

    Args:
        parts: regions of images.
        pixels: region -> its decoded bytes, or None.

    Returns:
        64 hex digits, or ""
    """
    shown = [pixels(part) for part in parts] if pixels else []
    data = [part for part in shown if part is not None]
    return hashlib.sha256(b"".join(data)).hexdigest() if len(data) == len(parts) else ""


def renamed(value: Any) -> Any:
    """Name images in JSON rows by the digest of their bytes.

    Args:
        value: JSON data; not changed.

    Returns:
        a copy in which an ImageRef with a digest has the uri "sha256:DIGEST".
    """
    if isinstance(value, dict):
        row = {key: renamed(item) for key, item in value.items()}
        if row.get("type") == "ImageRef" and row.get("sha256"):
            row["uri"] = f"sha256:{row['sha256']}"
        return row
    return [renamed(item) for item in value] if isinstance(value, list) else value


def _pictures(got: Any) -> list[ImageRef]:
    """Images that a tool returned for the model to look at."""
    return [part for part in getattr(got, "parts", ()) if isinstance(part, ImageRef)]


class _Writer:
    """Writer that numbers records and resolves references to earlier ones."""

    def __init__(self, trace: Trace, secret: bytes, pixels: Pixels | None) -> None:
        self.trace, self.secret, self.pixels = trace, secret, pixels
        self.lines: list[bytes] = []
        self.openings: dict[str, Opening] = {}
        self.values: dict[str, bytes] = {}
        self.files: dict[str, str] = {}
        self._sources: dict[str, str] = {}  # SHA-256 -> id of its record
        self._evidence: dict[str, str] = {}  # id in the trace -> id of its record
        self._claims: dict[str, str] = {}

    def sealed(self, origin: Mapping[str, str]) -> Sealed:
        """Write the records of the trace: prompt, images, steps, answer, conclusions, and the head.

        Args:
            origin: digests of what produced the trace.

        Returns:
            lines, openings and the files of images.

        Raises:
            DataError: there are more than MAX_RECORDS records.
        """
        trace = self.trace
        self._add("source", {"of": "prompt"}, io.to_json(trace.prompt))
        for image in (image for message in trace.prompt.messages for image in message.images):
            self._image(image)
        for step in trace.steps:
            row = io.to_json(step)
            public = {
                "step": step.n,
                "of": step.kind,
                "who": step.who,
                "model": step.model,
                "after": list(step.after),
                "tokens_in": step.tokens_in,
                "tokens_out": step.tokens_out,
            }
            value = {key: row[key] for key in ("given", "got", "digest") if key in row}
            id = self._add(_STEPS[step.kind], public, value)
            for image in _pictures(step.got):
                self._image(image)
            self._found(getattr(step.got, "evidence", ()), id)
        begins = len(trace.prompt.messages)
        if trace.messages[:begins] != trace.prompt.messages:
            begins = 0  # the workflow returned a conversation of its own
        own = trace.messages[begins:]
        value = {
            "begins": begins,  # messages of the prompt that the conversation starts with
            "messages": io.to_json(list(own)),
            "text": trace.answer,
            "error": trace.error,
        }
        answer = self._add("answer", {"stop": trace.stop}, value)
        for message in own:
            for part in message.parts:
                self._found(getattr(part, "evidence", ()), answer)
        self._conclusions(answer)
        if len(self.lines) > MAX_RECORDS:
            raise DataError(f"a trace of {len(self.lines):,} records: at most {MAX_RECORDS:,}")
        self.lines.append(head_of(self.lines, origin))
        return Sealed(tuple(self.lines), self.openings, self.values, self.files)

    def _conclusions(self, answer: str) -> None:
        """Claims of the answer and the rulings on them."""
        text = self.trace.answer
        for claim in self.trace.claims:
            at = list(claim.at) if claim.at else None
            quote = text[claim.at[0] : claim.at[1]] if claim.at else ""
            public = {"of": answer, "at": at, "needs": claim.needs, "evidence": self._cited(claim.evidence)}
            row = io.to_json(claim)
            value = {"claim": {k: row[k] for k in ("id", "text", "finding") if k in row}, "quote": quote}
            self._claims[claim.id] = self._add("claim", public, value)
        for ruling in self.trace.rulings:
            if ruling.claim not in self._claims:
                raise DataError(f"a ruling is on the claim {ruling.claim!r}, which the trace does not have")
            if ruling.label == "supported" and not ruling.evidence:
                raise DataError(f"the claim {ruling.claim!r} is ruled supported, by no evidence: name it")
            public = {
                "claim": self._claims[ruling.claim],
                "label": ruling.label,
                "evidence": self._cited(ruling.evidence),
                "by": ruling.by,
            }
            self._add("ruling", public, {"why": ruling.why})

    def _found(self, evidence: Sequence[Evidence], by: str) -> None:
        for item in evidence:
            if item.id not in self._evidence:
                self._evidence[item.id] = self._one(item, by)

    def _one(self, item: Evidence, by: str) -> str:
        shown = item.images[0] if item.images else None
        source, region = "", ""
        if shown is not None:
            source = self._image(shown)
            region = pixels_digest(regions(shown, item.at), self.pixels)
        elif item.sha256:
            source = self._source(item.sha256, "document", {"name": item.source})
        public = {"of": item.kind, "by": by, "source": source}
        return self._add("evidence", public, {"evidence": io.to_json(item), "pixels": region})

    def _image(self, image: ImageRef) -> str:
        if image.sha256:
            self.files.setdefault(image.sha256, image.uri)
        return self._source(image.sha256, "image", {"name": ""}) if image.sha256 else ""

    def _source(self, sha256: str, of: str, value: dict[str, Any]) -> str:
        if sha256 not in self._sources:
            self._sources[sha256] = self._add("source", {"of": of, "sha256": sha256}, value)
        return self._sources[sha256]

    def _cited(self, ids: Sequence[str]) -> list[str]:
        if unknown := [id for id in ids if id not in self._evidence]:
            raise DataError(
                f"the evidence {unknown[0]!r} is in no tool result of the trace, so nobody saw it"
            )
        return [self._evidence[id] for id in ids]

    def _add(self, kind: str, public: Record, value: Any) -> str:
        id = f"{kind}/{len(self.lines)}"
        value = packed(renamed(value))
        path = f"{self.trace.prompt.id}\x1f{id}\x1f".encode("utf-8", "surrogatepass")
        data = dumps(value)
        salt = hmac.digest(self.secret, path + data, "sha256")[:SALT_BYTES]
        self.openings[id], self.values[id] = (salt.hex(), value), data
        self.lines.append(dumps({"id": id, "kind": kind, **public, "sealed": commitment(salt, data)}))
        return id


def by_digest(trace: Trace) -> Trace:
    """Name the images of a trace by the digest of their bytes.

    Returns:
        the trace as `restore` gives it back.
    """
    rows = renamed(io.to_json(trace))
    return io.trace_from_json(rows)
