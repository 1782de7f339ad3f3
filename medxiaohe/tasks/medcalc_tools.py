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
    """MedCalc-Bench with a calculator, a calendar and body mass index as tools.

    Args:
        path: CSV of MedCalc-Bench; "" for ${MEDXIAOHE_DATA}/tools/medcalc_bench.csv.

    Returns:
        The task; data is read when its samples are.
    """
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
