"""Appends five traces to the folder named, two at a time; run by the test that kills it."""

import sys
from pathlib import Path

from medxiaohe import traces
from medxiaohe.types import Message, Prompt, Trace

folder = Path(sys.argv[1])
log = traces.Log(folder)
for begin in range(0, 5, 2):
    sealed = []
    for n in range(begin, min(begin + 2, 5)):
        asked = Message("user", (f"Question {n}",))
        made = Trace(Prompt(f"p/{n}", (asked,)), (asked, Message("assistant", ("Yes.",))))
        sealed.append(traces.seal(made, b"a secret of sixteen bytes"))
    log.append(sealed, {"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad": b"abc"})
    print(begin, flush=True)
