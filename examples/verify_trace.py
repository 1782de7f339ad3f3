"""Verify a folder of traces with the standard library alone: nothing of medxiaohe is installed or trusted.

The levels `intact` and `resolved` of `medxiaohe trace verify`; docs/traces.md has the format. Pixels are
decoded from PNG of 8 bits in RGB or grey. Exit code 0, or 1 with each bad record named, or 2 without a log.
"""

import argparse
import base64
import hashlib
import json
import re
import zlib
from pathlib import Path

FORMAT, ORIGIN, MAX_INT, MAX_RECORDS = "medxiaohe/trace/1", "medxiaohe/traces", 2**53 - 1, 100_000
# Fields of records: a type, the words that may stand there, or "@" and the kinds of records it may name.
STEP = {"step": int, "who": str, "model": str, "after": list, "tokens_in": int, "tokens_out": int}
FIELDS = {
    "source": {"of": "prompt image document"}, "answer": {"stop": str}, "call": {**STEP, "of": "use"},
    "generation": {**STEP, "of": "ask rank"}, "decision": {**STEP, "of": "note"},
    "evidence": {"of": "passage relation region measurement calculation entity prior record turn",
                 "by": "@call decision answer", "source": str},
    "claim": {"of": "@answer", "at": (list, type(None)), "needs": "image text prior none", "evidence": list},
    "ruling": {"claim": "@claim", "label": "supported contradicted unsupported unjudged", "by": str,
               "evidence": list},
}  # fmt: skip
HEAD = {"id": str, "kind": str, "format": str, "records": int, "leaves": list, "root": str, "origin": dict}
SHA256, ID = re.compile("[0-9a-f]{64}"), re.compile(rb'"id":"([a-z]+/\d+)"')
NOTE = re.compile("([^\n]+)\n(0|[1-9]\\d*)\n([A-Za-z0-9+/]{43}=)\n(?:\n((?:\u2014 \\S+ \\S+\n)*))?")
IS_HEAD = re.compile(rb'"id":"head/\d+","kind":"head"')
WRONG = (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError)
class Bad(Exception):
    """A bad record: its id, and why."""
def need(true, record, why):
    if not true:
        raise Bad(record, why)
# Canonical JSON (RFC 8785) and Merkle trees (RFC 9162).
def dumps(value, depth=0):
    if depth > 64 or isinstance(value, float) or (isinstance(value, int) and abs(value) > MAX_INT):
        raise ValueError("no canonical form")
    if isinstance(value, dict):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be"))
        rows = (f"{json.dumps(k, ensure_ascii=False)}:{dumps(value[k], depth + 1)}" for k in keys)
        return "{" + ",".join(rows) + "}"
    rows = [dumps(item, depth + 1) for item in value] if isinstance(value, list) else None
    return json.dumps(value, ensure_ascii=False) if rows is None else "[" + ",".join(rows) + "]"
def loads(data, id):
    try:
        value = json.loads(data.decode())
        need(isinstance(value, dict) and dumps(value).encode() == data, id, "not a canonical JSON object")
        return value
    except (ValueError, RecursionError) as error:
        raise Bad(id, str(error)) from None
def sha(data):
    return hashlib.sha256(data).digest()
def root(hashes):
    if len(hashes) < 2:
        return hashes[0] if hashes else sha(b"")
    k = 1 << ((len(hashes) - 1).bit_length() - 1)
    return sha(b"\1" + root(hashes[:k]) + root(hashes[k:]))
# Ed25519 (RFC 8032, section 5.1.7) on affine points, and signed notes (C2SP).
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
def plus(a, b):
    t = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + t, -1, P)
    return x % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P
def times(n, point):
    rest = times(n >> 1, plus(point, point)) if n else (0, 1)
    return plus(rest, point) if n & 1 else rest
def point(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (not x and sign):
        raise ValueError("not a point")
    return x if x & 1 == sign else P - x, y
def signed(text, signature, key):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    base = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    return len(signature) == 64 and s < L and times(s, base) == plus(r, times(h, a))
def checkpoint(path, key):
    """Origin, size and root of a checkpoint; Bad where it is none, or is not signed with the key."""
    try:
        origin, size, hash, below = NOTE.fullmatch(path.read_bytes().decode()).groups()
        lines = re.findall("\u2014 (\\S+) (\\S+)\n", below or "")
        found = [(name, base64.b64decode(data, validate=True)) for name, data in lines]
        if key:
            name, _, public = key.strip().split("+", 2)
            public = base64.b64decode(public)
            id, text = sha(name.encode() + b"\n" + public)[:4], f"{origin}\n{size}\n{hash}\n".encode()
            right = any(n == name and s[:4] == id and signed(text, s[4:], public[1:]) for n, s in found)
            need(right, "checkpoint", f"not signed by {name}")
    except (OSError, ValueError, AttributeError, IndexError):
        raise Bad("checkpoint", "not a checkpoint, none is there, or the key is none") from None
    return origin, int(size), base64.b64decode(hash)
def name_of(line, i):
    return match[1].decode() if (match := ID.search(line)) else f"record {i}"
def shaped(record, fields):
    need(record.keys() == fields.keys(), record.get("id", ""), "a field is unknown or missing")
    for key, kind in fields.items():
        right = isinstance(record[key], str if isinstance(kind, str) else kind)
        need(right and type(record[key]) is not bool, record["id"], f"{key} has a value of the wrong type")
def read_records(lines):
    """The records of a trace, without its head."""
    count, last, records = len(lines) - 1, name_of(lines[-1], len(lines) - 1), []
    shaped(head := loads(lines[-1], last), HEAD)
    need(head["format"] == FORMAT, last, "of another version")
    hashes = [sha(b"\0" + line) for line in lines[:-1]]
    for i, line in enumerate(lines[:-1]):
        same = head["leaves"][i : i + 1] == [hashes[i].hex()[:16]]
        need(same, id := name_of(line, i), "not the record that was sealed")
        record = loads(line, id)
        kind = record.get("kind")
        need(kind in FIELDS and record.get("id") == f"{kind}/{i}", id, "id and kind do not fit")
        file = {"sha256": str} if kind == "source" and record.get("of") != "prompt" else {}
        shaped(record, {"id": str, "kind": str, "sealed": str, **FIELDS[kind], **file})
        records.append(record)
    need((last, head["records"], len(head["leaves"])) == (f"head/{count}", count, count), last, "of others")
    need(head["root"] == root(hashes).hex(), last, "the root is not that of the records")
    need(all(isinstance(v, str) for v in head["origin"].values()), last, "the origin must be text")
    return records
def opened(records, head, line):
    """id -> value of the records that are open."""
    row = loads(line, "openings") if line else {"trace": "", "openings": {}}
    try:
        openings = {id: (salt, value) for id, (salt, value) in row["openings"].items()}
        need(row["trace"] in ("", sha(head).hex()), "openings", "they are of another trace")
    except WRONG:
        raise Bad("openings", "not a line of openings") from None
    for record in records:
        need(SHA256.fullmatch(record["sealed"]), id := record["id"], "its commitment is no SHA-256")
        salt, value = openings.get(id, ("0" * 32, None))
        right = re.fullmatch("[0-9a-f]{32}", str(salt))
        same = right and sha(bytes.fromhex(salt) + dumps(value).encode()).hex() == record["sealed"]
        need(same or id not in openings, id, "its opening is not what was sealed")
    for id in sorted(openings.keys() - {record["id"] for record in records}):
        raise Bad(id, "an opening of a record that is not there")
    return {id: value for id, (_, value) in openings.items()}
def refers(record, earlier, steps):
    """A record refers to earlier records of the right kind only, so there is no circle."""
    id, cited = record["id"], record.get("evidence", [])
    fields = {**FIELDS[record["kind"]], **({"source": "@source"} if record.get("source") else {})}
    links = [(record[key], kind[1:]) for key, kind in fields.items() if str(kind)[0] == "@"]
    for name, kinds in [*links, *((name, "evidence") for name in cited)]:
        right = isinstance(name, str) and earlier.get(name, {}).get("kind") in kinds.split()
        need(right, id, f"refers to {name!a:.40}")
    words = {key: words.split() for key, words in fields.items() if isinstance(words, str)}
    need(all(record[key] in w for key, w in words.items() if w[0][0] != "@"), id, "a word that is none")
    need("sha256" not in record or SHA256.fullmatch(record["sha256"]), id, "its digest is no SHA-256")
    after = record.get("after", [])
    need(record.get("step", steps) == steps, id, f"step {steps} should be here")
    right = all(type(n) is int and 0 <= n < steps for n in after) and after == sorted(set(after))
    need(right, id, "follows a step that is not earlier")
    need(min(record.get("tokens_in", 0), record.get("tokens_out", 0)) >= 0, id, "a negative number of tokens")
    need(record.get("label") != "supported" or cited, id, "supported by nothing")
    need(len(set(map(str, cited))) == len(cited), id, "names the same evidence twice")
def results(value):
    if isinstance(value, dict) and value.get("type") == "ToolResult":
        return value.get("evidence", [])
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [row for item in items for row in results(item)]
def replies(messages):
    own = [m["parts"] for m in messages if m["role"] == "assistant"]
    return ["\n".join(part for part in parts if isinstance(part, str)) for parts in own]
def agrees(_, record, values, by_id):
    """What a record opens to fits the record and what others open to."""
    id, kind, value = record["id"], record["kind"], values[record["id"]]
    need(isinstance(value, dict), id, "its opening is no object")
    need(record.get("of") != "prompt" or "id" in value, id, "its opening has no id")
    if kind == "evidence":
        row = value["evidence"]
        need(record["by"] not in values or row in results(values[record["by"]]), id, "nothing returned it")
        shown = row["images"][0]["sha256"] if row.get("images") else row.get("sha256", "")
        stated = by_id[record["source"]]["sha256"] if record["source"] else ""
        need(shown == stated and row.get("kind", "passage") == record["of"], id, "of another source or kind")
    elif kind == "answer":
        wrong = {"answered": bool(value["error"]), "failed": not value["error"]}.get(record["stop"])
        need(not wrong, id, "its error does not fit why it stopped")
        asked = values.get("source/0")
        own = replies(value["messages"]) or replies((asked or {}).get("messages", [])[: value["begins"]])
        same = (not own and asked is None) or value["text"] == (own[-1] if own else "")
        need(same, id, "not the last message of the assistant")
    elif kind == "claim" and record["of"] in values and record["at"] is not None:
        (start, end), text = record["at"], values[record["of"]]["text"]
        right = 0 <= start < end <= len(text) and text[start:end] == value["quote"]
        need(right, id, "its span of the answer does not hold its quote")

def rgb(data):
    """Width, height and rows of RGB pixels of a PNG; None where this program cannot decode it."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    bits, colour, _, _, interlaced = data[24:29]
    if bits != 8 or colour not in (0, 2) or interlaced:
        return width, height, None
    at, packed, n = 8, b"", 3 if colour else 1
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        packed, at = packed + data[at + 8 : end] * (data[at + 4 : at + 8] == b"IDAT"), end + 4
    raw, rows, up = zlib.decompress(packed), [], bytearray(width * n)
    for start in range(0, height * (width * n + 1), width * n + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + width * n])
        for i in range(len(row)):
            a, b, c = (row[i - n], up[i], up[i - n]) if i >= n else (0, up[i], 0)
            pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
            paeth = a if pa <= pb and pa <= pc else b if pb <= pc else c
            row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        rows, up = [*rows, bytes(row) if n == 3 else bytes(v for v in row for _ in range(3))], row
    return width, height, rows
def resolves(folder, record, values, by_id):
    """True where the locator opens, False where it could not be looked at; Bad where it is wrong."""
    id, source = record["id"], by_id.get(record.get("source"), record)
    path = folder / "blobs" / source.get("sha256", "")[:2] / source.get("sha256", "none")
    data = path.read_bytes() if path.is_file() else None
    right = data is not None and sha(data).hex() == source["sha256"]
    need(record["kind"] != "source" or data is None or right, id, "its file in blobs/ has other bytes")
    if record["kind"] == "source" or not right or id not in values:
        return right
    row, at = values[id]["evidence"], values[id]["evidence"].get("at", {})
    if source["of"] == "document":
        text, (start, end) = data.decode(), at.get("span") or (0, 0)
        fits = 0 <= start < end <= len(text) and text[start:end] == row["text"]
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
def check_trace(folder, lines, line, count):
    """Count what of one trace was checked; Bad with its first bad record."""
    records, by_id, steps = read_records(lines), {}, 0
    values = opened(records, lines[-1], line)
    for record in records:
        refers(record, by_id, steps)
        steps, by_id[record["id"]] = steps + ("step" in record), record
    count["closed"] += len(records) - len(values)
    ends = [r["id"] for r in records if r.get("of") == "prompt" or r["kind"] == "answer"]
    right = ends[:1] == ["source/0"] and [id[:6] for id in ends] == ["source", "answer"]
    need(right, f"head/{len(records)}", "not one prompt, first, and one answer")
    for check in (agrees, resolves):
        for record in records:
            located = "sha256" in record or record["kind"] == "evidence"
            try:
                if record["id"] in values if check is agrees else located:
                    name = "checked" if check(folder, record, values, by_id) else "not checked"
                    count[name] += check is resolves
            except WRONG:
                raise Bad(record["id"], "its opening has not its fields") from None
def verify(folder, key="", since=None):
    """Problems [(trace, record, why)], and counts of what was checked, not checked, and closed."""
    problems, heads, lines, count = [], [], [], {"checked": 0, "not checked": 0, "closed": 0}
    openings = open(path, "rb") if (path := folder / "openings.jsonl").is_file() else iter(())
    for line in open(folder / "log.jsonl", "rb"):
        lines.append(line.removesuffix(b"\n"))
        if line.endswith(b"\n") and IS_HEAD.search(line):
            heads.append(sha(b"\0" + lines[-1]))
            try:
                check_trace(folder, lines, next(openings, b"").removesuffix(b"\n"), count)
            except Bad as bad:
                problems.append((len(heads) - 1, *bad.args))
            lines = []
        elif len(lines) > MAX_RECORDS:
            break
    if lines:
        problems.append((-1, "log", "the log was truncated, or its records have no head"))
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
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--key", default="", help="without it the signature is not checked")
    options.add_argument("--since", help="a checkpoint that you kept")
    given = options.parse_args()
    if not (given.folder / "log.jsonl").is_file():
        options.error(f"{given.folder} is no folder of traces")
    bad, counts = verify(given.folder, given.key, given.since)
    print("locators and sources", ", ".join(f"{k}: {v}" for k, v in counts.items()))
    print("\n".join(f"bad: trace {n}, {record}: {why}" for n, record, why in bad) or "no bad record")
    raise SystemExit(bool(bad))
