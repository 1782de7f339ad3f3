"""Read and write files: every durable write of medxiaohe is atomic and goes through here.

writing.py writes files, folders.py publishes the folders of stages, reading.py and rows.py read rows back.
"""

from medxiaohe.io import code
from medxiaohe.io.confine import Confined, confined, open_regular
from medxiaohe.io.folders import (
    MANIFEST,
    RECORD,
    content,
    digest,
    drop_scratch,
    publish,
    read_record,
    recover,
    scratch,
    verify,
)
from medxiaohe.io.notes import annotations_from_json, lifted, provenance_from_json
from medxiaohe.io.reading import MAX_LINE_BYTES, blocks, lines, parse_row, read_json, read_jsonl, read_samples
from medxiaohe.io.rows import (
    encoded,
    fingerprint,
    message_from_json,
    noted,
    sample_from_json,
    sha256,
    step_from_json,
    to_json,
    trace_from_json,
    unit_interval,
    unwritable,
)
from medxiaohe.io.writing import (
    append_bytes,
    append_jsonl,
    drop_torn_line,
    in_turn,
    make_folder,
    storage,
    write,
    write_json,
    write_jsonl,
    write_text,
)

__all__ = [
    "MANIFEST",
    "MAX_LINE_BYTES",
    "RECORD",
    "Confined",
    "annotations_from_json",
    "append_bytes",
    "append_jsonl",
    "blocks",
    "code",
    "confined",
    "content",
    "digest",
    "drop_scratch",
    "drop_torn_line",
    "encoded",
    "fingerprint",
    "in_turn",
    "lifted",
    "lines",
    "make_folder",
    "message_from_json",
    "noted",
    "open_regular",
    "parse_row",
    "provenance_from_json",
    "publish",
    "read_json",
    "read_jsonl",
    "read_record",
    "read_samples",
    "recover",
    "sample_from_json",
    "scratch",
    "sha256",
    "step_from_json",
    "storage",
    "to_json",
    "trace_from_json",
    "unit_interval",
    "unwritable",
    "verify",
    "write",
    "write_json",
    "write_jsonl",
    "write_text",
]
