"""Verify a folder of traces with the standard library alone: nothing of medxiaohe is installed or trusted.

    python verify_trace.py DIR [--key NAME+HASH+BASE64] [--since CHECKPOINT]

The levels `intact` and `resolved` of `medxiaohe trace verify`; docs/traces.md has the format. Pixels are
decoded from PNG of 8 bits in RGB or grey. Exit code 0, or 1 with each bad record named, or 2 without a log.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
import zlib
from pathlib import Path

FORMAT, ORIGIN, MAX_INT = "medxiaohe/trace/1", "medxiaohe/traces", 2**53 - 1
STEP = {"step": int, "of": str, "who": str, "model": str, "after": list, "tokens_in": int, "tokens_out": int}
FIELDS = {
    "source": {"of": str}, "generation": STEP, "call": STEP, "decision": STEP, "answer": {"stop": str},
    "evidence": {"of": str, "by": str, "source": str},
    "claim": {"of": str, "at": (list, type(None)), "needs": str, "evidence": list},
    "ruling": {"claim": str, "label": str, "evidence": list, "by": str},
}  # fmt: skip
HEAD = {"id": str, "kind": str, "format": str, "records": int, "leaves": list, "root": str, "origin": dict}
STEPS = {"generation": ("ask", "rank"), "call": ("use",), "decision": ("note",)}
LABELS = ("supported", "contradicted", "unsupported", "unjudged")
EVIDENCE = "passage relation region measurement calculation entity prior record turn".split()
SHA256 = re.compile("[0-9a-f]{64}")


class Bad(Exception):
    """A bad record: its id, and why."""


def need(true, record, why):
    if not true:
        raise Bad(record, why)


# ---- canonical JSON (RFC 8785) and Merkle trees (RFC 9162) ---------------------------------------------


def dumps(value, depth=0):
    if depth > 64 or isinstance(value, float) or (isinstance(value, int) and abs(value) > MAX_INT):
        raise ValueError("no canonical form")
    if isinstance(value, dict):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be"))
        return (
            "{"
            + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{dumps(value[k], depth + 1)}" for k in keys)
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(dumps(item, depth + 1) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def loads(data):
    value = json.loads(data.decode())
    if dumps(value).encode() != data:
        raise ValueError("not canonical JSON")
    return value


def sha(data):
    return hashlib.sha256(data).digest()


def root(hashes):
    if len(hashes) < 2:
        return hashes[0] if hashes else sha(b"")
    k = 1 << ((len(hashes) - 1).bit_length() - 1)
    return sha(b"\1" + root(hashes[:k]) + root(hashes[k:]))


# ---- Ed25519 (RFC 8032, section 5.1.7) and signed notes (C2SP) -----------------------------------------

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def plus(a, b):
    x = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = x[1] - x[0], z - t, z + t, x[1] + x[0]
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    result = (0, 1, 1, 0)
    while n:
        result, point, n = plus(result, point) if n & 1 else result, plus(point, point), n >> 1
    return result


def point(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (not x and sign):
        raise ValueError("not a point")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


def signed(text, signature, key):
    try:
        a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    except (ValueError, IndexError):
        return False
    base = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    one, two = times(s, base), plus(r, times(h, a))
    same = (one[0] * two[2] - two[0] * one[2]) % P == 0 == (one[1] * two[2] - two[1] * one[2]) % P
    return len(signature) == 64 and s < L and same


def checkpoint(path, key):
    """Size and root of a checkpoint; Bad where it is none, or is not signed with the key."""
    try:
        text, blank, below = path.read_bytes().decode().partition("\n\n")
        origin, size, hash = (text if blank else text.removesuffix("\n")).split("\n")
        lines = [line.split(" ") for line in below.splitlines()]
        found = [
            (name, base64.b64decode(data, validate=True)) for dash, name, data in lines if dash == "\u2014"
        ]
        size, hash = int(size), base64.b64decode(hash, validate=True)
        need(len(found) == len(lines) and len(hash) == 32 and size >= 0, "checkpoint", "not a checkpoint")
    except (OSError, ValueError):
        raise Bad("checkpoint", "not a checkpoint, or none is there") from None
    if key:
        name, _, data = key.strip().split("+", 2)
        public = base64.b64decode(data)
        id = sha(name.encode() + b"\n" + public)[:4]
        note = f"{text}\n".encode() if blank else text.encode()
        right = any(n == name and s[:4] == id and signed(note, s[4:], public[1:]) for n, s in found)
        need(right, "checkpoint", f"not signed by {name}")
    return origin, size, hash


# ---- one trace -----------------------------------------------------------------------------------------


def name_of(line, i):
    match = re.search(rb'"id":"([a-z]+/\d+)"', line)
    return match[1].decode() if match else f"record {i}"


def parsed(line, i):
    try:
        record = loads(line)
    except (ValueError, RecursionError) as error:
        raise Bad(name_of(line, i), str(error)) from None
    need(isinstance(record, dict), f"record {i}", "not an object")
    return record


def shaped(record, fields):
    need(record.keys() == fields.keys(), record.get("id", ""), "a field is unknown or missing")
    for key, kind in fields.items():
        right = isinstance(record[key], kind) and not isinstance(record[key], bool)
        need(right, record["id"], f"{key} has a value of the wrong type")


def read_records(lines):
    """The records of a trace, without its head."""
    count, records = len(lines) - 1, []
    head = parsed(lines[-1], count)
    shaped(head, HEAD)
    need(head["format"] == FORMAT, head["id"], "of another version")
    hashes = [sha(b"\0" + line) for line in lines[:-1]]
    for i, line in enumerate(lines[:-1]):
        need(
            head["leaves"][i : i + 1] == [hashes[i].hex()[:16]],
            name_of(line, i),
            "not the record that was sealed",
        )
        record = parsed(line, i)
        kind = record.get("kind")
        need(kind in FIELDS and record.get("id") == f"{kind}/{i}", name_of(line, i), "id and kind do not fit")
        file = {"sha256": str} if kind == "source" and record.get("of") != "prompt" else {}
        shaped(record, {"id": str, "kind": str, "sealed": str, **FIELDS[kind], **file})
        records.append(record)
    right = head["id"] == f"head/{count}" and head["records"] == count == len(head["leaves"])
    need(right, name_of(lines[-1], count), "the head is of another number of records")
    need(head["root"] == root(hashes).hex(), head["id"], "the root is not that of the records")
    need(all(isinstance(v, str) for v in head["origin"].values()), head["id"], "the origin must be text")
    return records


def opened(records, head, line):
    """id -> value of the records that are open."""
    try:
        row = loads(line) if line else {"trace": "", "openings": {}}
        openings = {id: (salt, value) for id, (salt, value) in row["openings"].items()}
        need(row["trace"] in ("", sha(head).hex()), "openings", "they are of another trace")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Bad("openings", "not a line of openings") from None
    for record in records:
        need(SHA256.fullmatch(record["sealed"]), record["id"], "its commitment is no SHA-256")
        if record["id"] in openings:
            salt, value = openings[record["id"]]
            right = isinstance(salt, str) and re.fullmatch("[0-9a-f]{32}", salt)
            same = right and sha(bytes.fromhex(salt) + dumps(value).encode()).hex() == record["sealed"]
            need(same, record["id"], "its opening is not what was sealed")
    extra = sorted(openings.keys() - {record["id"] for record in records})
    need(not extra, extra[0] if extra else "", "an opening of a record that is not there")
    return {id: value for id, (_, value) in openings.items()}


def refers(record, earlier, steps):
    id, kind, of = record["id"], record["kind"], record.get("of")

    def to(name, *kinds):
        need(
            isinstance(name, str) and earlier.get(name, {}).get("kind") in kinds,
            id,
            f"refers to {name!a:.40}",
        )

    cited = record.get("evidence", [])
    if kind == "source":
        need(of in ("prompt", "image", "document"), id, "a source of an unknown kind")
        need(of == "prompt" or SHA256.fullmatch(record["sha256"]), id, "its digest is no SHA-256")
    elif kind in STEPS:
        after = record["after"]
        need(of in STEPS[kind] and record["step"] == steps, id, f"step {steps} should be here")
        need(
            all(type(n) is int and 0 <= n < steps for n in after) and after == sorted(set(after)), id, "after"
        )
        need(min(record["tokens_in"], record["tokens_out"]) >= 0, id, "a negative number of tokens")
    elif kind == "evidence":
        to(record["by"], "call", "decision", "answer")
        need(of in EVIDENCE, id, "evidence of an unknown kind")
        if record["source"]:
            to(record["source"], "source")
    elif kind == "claim":
        to(of, "answer")
        need(record["needs"] in ("image", "text", "prior", "none"), id, "needs something unknown")
    elif kind == "ruling":
        to(record["claim"], "claim")
        need(record["label"] in LABELS, id, "an unknown label")
        need(record["label"] != "supported" or cited, id, "supported by nothing")
    for name in cited:
        to(name, "evidence")
    need(len(set(map(str, cited))) == len(cited), id, "names the same evidence twice")


def results(value):
    if isinstance(value, dict):
        if value.get("type") == "ToolResult":
            return value.get("evidence", [])
        return [row for item in value.values() for row in results(item)]
    return [row for item in value for row in results(item)] if isinstance(value, list) else []


def said(messages):
    return [
        "\n".join(p for p in m["parts"] if isinstance(p, str)) for m in messages if m["role"] == "assistant"
    ]


def agrees(record, values, by_id):
    id, kind, value = record["id"], record["kind"], values[record["id"]]
    need(isinstance(value, dict), id, "its opening is no object")
    if kind == "source" and record["of"] == "prompt":
        value["id"]
    elif kind == "evidence":
        row = value["evidence"]
        need(record["by"] not in values or row in results(values[record["by"]]), id, "nothing returned it")
        shown = row["images"][0]["sha256"] if row.get("images") else row.get("sha256", "")
        stated = by_id[record["source"]]["sha256"] if record["source"] else ""
        need(shown == stated and row.get("kind", "passage") == record["of"], id, "of another source or kind")
    elif kind == "answer":
        fits = (
            not value["error"]
            if record["stop"] == "answered"
            else value["error"] or record["stop"] != "failed"
        )
        need(fits, id, "its error does not fit why it stopped")
        own, asked = said(value["messages"]), values.get("source/0")
        if not own and asked is not None:
            own = said(asked.get("messages", [])[: value["begins"]])
        last = own[-1] if own else ""
        need(
            (not own and asked is None) or value["text"] == last, id, "not the last message of the assistant"
        )
    elif kind == "claim" and record["of"] in values and record["at"] is not None:
        (start, end), text = record["at"], values[record["of"]]["text"]
        right = 0 <= start < end <= len(text) and text[start:end] == value["quote"]
        need(right, id, "its span of the answer does not hold its quote")


# ---- the log -------------------------------------------------------------------------------------------


def rgb(data):
    """Width, height and rows of RGB pixels of a PNG; None where this program cannot decode it."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if bits != 8 or colour not in (0, 2) or interlaced:
        return width, height, None
    at, packed, n = 8, b"", 3 if colour else 1
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        packed += data[at + 8 : at + 8 + length] if data[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    raw, rows, up = zlib.decompress(packed), [], bytearray(width * n)
    for y in range(height):
        kind, row = (
            raw[y * (width * n + 1)],
            bytearray(raw[y * (width * n + 1) + 1 : (y + 1) * (width * n + 1)]),
        )
        for i in range(len(row)):
            a, b, c = (row[i - n], up[i], up[i - n]) if i >= n else (0, up[i], 0)
            pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
            paeth = a if pa <= pb and pa <= pc else b if pb <= pc else c
            row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        rows.append(bytes(row) if n == 3 else bytes(v for v in row for _ in range(3)))
        up = row
    return width, height, rows


def blob(folder, name):
    path = folder / "blobs" / name[:2] / name
    return path.read_bytes() if path.is_file() else None


def resolves(folder, record, values, by_id):
    """True where the locator opens, False where it could not be looked at; Bad where it is wrong."""
    id, source = record["id"], by_id.get(record.get("source"), record)
    data = blob(folder, source["sha256"]) if "sha256" in source else None
    right = data is not None and sha(data).hex() == source["sha256"]
    if record["kind"] == "source":
        need(data is None or right, id, "its file in blobs/ has other bytes than were recorded")
    if record["kind"] == "source" or not right or id not in values:
        return right
    row, at = values[id]["evidence"], values[id]["evidence"].get("at", {})
    if source["of"] == "document":
        text, span = data.decode(), at.get("span") or (0, 0)
        fits = 0 <= span[0] < span[1] <= len(text) and text[slice(*span)] == row["text"]
        need(fits or ("span" not in at and row["text"] in text), id, "its words are not there")
        return True
    image, pixels = rgb(data), b""
    if image is None:
        return False
    for box in [row["images"][0].get("box"), *([at["box"]] if at.get("box") else [])]:
        left, top, right, bottom = box or (0, 0, *image[:2])
        need(0 <= left < right <= image[0] and 0 <= top < bottom <= image[1], id, "its box is outside")
        pixels += (right - left).to_bytes(4, "big")
        pixels += b"".join(line[3 * left : 3 * right] for line in (image[2] or ())[top:bottom])
    recorded = values[id]["pixels"]
    need(not recorded or not image[2] or sha(pixels).hex() == recorded, id, "the region shows other pixels")
    return bool(recorded and image[2])


def verify(folder, key="", since=None):
    """Problems [(trace, record, why)], and counts of what was checked, not checked, and closed."""
    problems, heads, lines, count = [], [], [], {"checked": 0, "not checked": 0, "closed": 0}
    path = folder / "openings.jsonl"
    openings = path.read_bytes().split(b"\n") if path.is_file() else []
    for line in (folder / "log.jsonl").read_bytes().splitlines(keepends=True):
        lines.append(line[:-1] if line.endswith(b"\n") else line)
        if not line.endswith(b"\n") or not re.search(rb'"id":"head/\d+","kind":"head"', line):
            continue
        n, heads = len(heads), [*heads, sha(b"\0" + lines[-1])]
        try:
            records = read_records(lines)
            values = opened(records, lines[-1], openings[n] if n < len(openings) else b"")
            by_id, steps = {}, 0
            for record in records:
                refers(record, by_id, steps)
                steps, by_id[record["id"]] = steps + ("step" in record), record
            kinds = (
                [r["kind"] for r in records].count("answer"),
                [r["id"] for r in records if r.get("of") == "prompt"],
            )
            need(kinds == (1, ["source/0"]), f"head/{len(records)}", "not one prompt, first, and one answer")
            for check in (agrees, resolves):
                for record in records:
                    if check is resolves and ("sha256" in record or record["kind"] == "evidence"):
                        count["checked" if resolves(folder, record, values, by_id) else "not checked"] += 1
                    elif check is agrees and record["id"] in values:
                        try:
                            agrees(record, values, by_id)
                        except (KeyError, TypeError, AttributeError, IndexError, ValueError):
                            raise Bad(record["id"], "its opening has not its fields") from None
            count["closed"] += len(records) - len(values)
        except Bad as bad:
            problems.append((n, *bad.args))
        lines = []
    if lines:
        problems.append((-1, "log", "the log was truncated"))
    try:
        origin, size, hash = checkpoint(folder / "checkpoint", key)
        need(origin == ORIGIN, "checkpoint", "of another log")
        need((size, hash) == (len(heads), root(heads)), "log", "not the log that its checkpoint covers")
        if since:
            _, size, hash = checkpoint(Path(since), key)
            need(size <= len(heads) and root(heads[:size]) == hash, "log", "truncated, or a fork")
    except Bad as bad:
        problems.append((-1, *bad.args))
    return problems, count


if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("folder", type=Path)
    options.add_argument("--key", default="", help="without it the signature is not checked")
    options.add_argument("--since", help="a checkpoint that you kept")
    given = options.parse_args()
    if not (given.folder / "log.jsonl").is_file():
        sys.exit(options.error(f"{given.folder} is no folder of traces"))
    bad, counts = verify(given.folder, given.key, given.since)
    print(
        ", ".join(
            f"locators and sources {k}: {v}" if k != "closed" else f"closed: {v}" for k, v in counts.items()
        )
    )
    print("\n".join(f"bad: trace {n}, {record}: {why}" for n, record, why in bad) or "no bad record")
    sys.exit(bool(bad))
