"""Appends five traces to the folder named, two at a time; run by the test that kills it."""

import sys
from pathlib import Path

from medxiaohe import traces
from medxiaohe.types import Evidence, Message, Prompt, Step, ToolResult, Trace

DOCUMENT = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of abc

folder = Path(sys.argv[1])
log = traces.Log(folder)
for begin in range(0, 5, 2):
    sealed = []
    for n in range(begin, min(begin + 2, 5)):
        asked = Message("user", (f"Question {n}",))
        found = Evidence("e", "abc", "a book", sha256=DOCUMENT)
        steps = (Step(0, "note", "read", got=ToolResult("", (), (found,))),)
        made = Trace(Prompt(f"p/{n}", (asked,)), (asked, Message("assistant", ("Yes.",))), steps=steps)
        sealed.append(traces.seal(made, b"a secret of sixteen bytes"))
    log.append(sealed, {DOCUMENT: b"abc"})
    print(begin, flush=True)
