"""MedCalc-Bench with tools: the model may call an arithmetic calculator and a calendar, and body mass index
by name.

The same items and limits as `medcalc`, so the difference is what the tools are worth. None of the 54 formulae
is one of its tools.
"""

from functools import partial

from medxiaohe.scoring.numeric import numeric
from medxiaohe.tasks import medcalc
from medxiaohe.types import Task

FINGERPRINTS = {"test": "ef069242e793d2fd"}


def medcalc_tools(path: str = "") -> Task:
    """`path` is the CSV of MedCalc-Bench; by default ${MEDXIAOHE_DATA}/tools/medcalc_bench.csv."""
    return Task(
        "medcalc_tools",
        partial(medcalc.samples, path, "medcalc_tools"),
        (numeric,),
        medcalc.example("medcalc_tools"),
        medcalc.LICENSE,
        tools=("calculate", "add_days", "bmi"),
        prompt="plain",
        cluster="note",
        splits=("test",),
        tags=(*medcalc.TAGS, "tools"),
        fingerprints={} if path else FINGERPRINTS,
    )
