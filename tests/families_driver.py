"""Train tiny checkpoints of several families, one after the other, in the processes of one launcher.

    torchrun --nproc_per_node 2 tests/families_driver.py JOBS.json

JOBS.json is a list of {settings of train.sft, data, out, validation}. What a job raises is written to
out/error.txt and ends the run, for the other processes would wait for this one.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from medxiaohe import torchvision_ops


def train(job: dict[str, Any]) -> None:
    from accelerate.state import AcceleratorState

    from medxiaohe.recipe.settings import build
    from medxiaohe.train.loop.fit import FitSettings
    from medxiaohe.train.sft import sft

    out = Path(job["out"])
    out.mkdir(parents=True, exist_ok=True)
    held = Path(job["validation"]) if job.get("validation") else None
    sft(build(FitSettings, job["settings"], "with"), out, data=Path(job["data"]), validation=held)
    AcceleratorState._reset_state()  # which layers are sharded differs between families


if __name__ == "__main__":
    torchvision_ops.declare()
    for number, job in enumerate(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))):
        try:
            train(job)
        except BaseException:
            (Path(job["out"]) / "error.txt").write_text(f"job {number}\n{traceback.format_exc()}")
            os._exit(1)
