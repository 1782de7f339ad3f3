"""Record traces of a workflow: a scripted model asks the tool `bmi` and answers; no weights are needed.

python examples/make_traces.py traces
python examples/make_traces.py traces --key clinic.key      after `medxiaohe trace key clinic --out clinic`
"""

import argparse
from pathlib import Path

from medxiaohe import traces
from medxiaohe.agents.answer import answer
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import Message, Prompt, ToolCall

PATIENTS = ((70.0, 1.75), (54.5, 1.62), (101.0, 1.80))

if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", default=Path("traces"))
    options.add_argument("--key", type=Path, help="a private key that signs")
    given = options.parse_args()
    tools = open_tools(["bmi"])
    found = []
    for number, (weight, height) in enumerate(PATIENTS):
        question = Message("user", (f"What is the body mass index of {weight} kg at {height} m?",))
        call = ToolCall("c1", "bmi", {"weight_kg": weight, "height_m": height})
        model = scripted(
            "example-model",
            [Message("assistant", (call,)), f"The body mass index is {weight / height**2:.1f} kg/m2."],
        )
        found += answer([Prompt(f"patient/{number}", (question,))], model, tools)
    log = traces.Log(given.folder, given.key.read_text() if given.key else "")
    names = log.append([traces.seal(trace, log.secret) for trace in found])
    print("\n".join(names))
