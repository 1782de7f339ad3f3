"""Traces that anyone can verify offline: tamper-evident records of what a workflow did.

records.py seals a trace, store.py appends it to a log, verify.py checks a log; docs/traces.md has the format.
"""

from medxiaohe.traces.blobs import Blobs
from medxiaohe.traces.records import Sealed, by_digest, restore, seal
from medxiaohe.traces.store import Log
from medxiaohe.traces.verdict import LEVELS, Problem, Verdict
from medxiaohe.traces.verify import Compare, Compared, Replayed, verify

__all__ = [
    "LEVELS",
    "Blobs",
    "Compare",
    "Compared",
    "Log",
    "Problem",
    "Replayed",
    "Sealed",
    "Verdict",
    "by_digest",
    "restore",
    "seal",
    "verify",
]
