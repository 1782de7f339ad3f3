"""MedCalc-Bench (Khandekar et al. 2024): a number computed from a patient note, within the limits of the
owners.

Half of the notes, by hash; all of it is test. Decimal results may be 5 % off, scores and dates not at all;
some limits of the data are tighter for negative numbers, and we take them as lying on both sides. Formulas
are not given to the model.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import partial

from medxiaohe.errors import DataError
from medxiaohe.scoring.numeric import numeric
from medxiaohe.tasks._common import item, known_split, place, shuffled
from medxiaohe.tasks._prompts import asked
from medxiaohe.tasks._rows import table
from medxiaohe.types import Sample, Task

LICENSE = "CC BY-SA 4.0"
FINGERPRINTS = {"test": "8c0f81635384552c"}
TAGS = ("text", "english", "calculation")


def medcalc(path: str = "") -> Task:
    """MedCalc-Bench: a number computed from a patient note, within the owners' limits.

    Args:
        path: CSV of MedCalc-Bench; "" for ${MEDXIAOHE_DATA}/tools/medcalc_bench.csv.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "medcalc",
        partial(samples, path, "medcalc"),
        (numeric,),
        example("medcalc"),
        LICENSE,
        prompt="plain",
        cluster="note",
        splits=("test",),
        tags=TAGS,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, task: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        task: name of the task, for id and source.
        split: test, the only one.

    Yields:
        One item for each row, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing, or a row is not of MedCalc-Bench.
    """
    known_split(split, ("test",))
    file = place(path, "tools/medcalc_bench.csv")
    for row in shuffled(table(file), key=lambda row: row.get("Row Number", "")):
        try:
            yield _question(row, task)
        except (KeyError, ValueError, SyntaxError) as error:
            raise DataError(f"{file}: not a row of MedCalc-Bench: {error!r}") from error


def _question(row: Mapping[str, str], task: str) -> Sample:
    gold, words = answer(row)
    note = " ".join(row["Note ID"].split())
    return item(
        f"{task}/{row['Row Number']}",
        # the question says in which form
        asked("plain", f"Patient note: {row['Patient Note']}\nQuestion: {row['Question'].strip()}"),
        words,
        target=gold,
        license=LICENSE,
        # templates number their notes anew
        study_id=note if row["Note Type"] == "Extracted" else f"{row['Calculator ID']}-{note}",
        split="test",
        meta={"calculator": row["Calculator Name"], "kind": row["Category"], "output": row["Output Type"]},
    )


# calculators whose value is in per cent, which the data does not say: "0.247" of FENa is 0.247 %
PERCENT = ("Fractional Excretion of Sodium", "Framingham Risk Score")


def answer(row: Mapping[str, str]) -> tuple[str, str]:
    """Read the gold answer of a row with its limits.

    Args:
        row: of MedCalc-Bench.

    Returns:
        (target, answer in words): "25.017 (23.766 to 26.268)", a date, or weeks and days.

    Raises:
        KeyError: a column is missing.
        ValueError: limits are not numbers.
    """
    stated = row["Ground Truth Answer"].strip()
    if stated.startswith("("):
        weeks, days = ast.literal_eval(stated)
        return f"{weeks}, {days}", f"({weeks}, {days})"
    if row["Output Type"] == "date":
        return stated, stated
    # the data swaps the limits of some negative values
    low, high = sorted((float(row["Lower Limit"]), float(row["Upper Limit"])))
    gold = f"{stated} %" if row["Calculator Name"].startswith(PERCENT) else stated
    return (gold if low == high else f"{gold} ({low:.10g} to {high:.10g})"), stated


def example(task: str) -> Sample:
    """Build the example item of the task.

    Args:
        task: name of the task, for id and source.

    Returns:
        A made-up item in the layout of the data set.
    """
    row = {
        "Row Number": "example",
        "Note ID": "example",
        "Note Type": "Extracted",
        "Calculator ID": "5",
        "Calculator Name": "Mean arterial pressure",
        "Category": "physical",
        "Output Type": "decimal",
        "Patient Note": "A 40-year-old woman with headache. Blood pressure 120/90 mmHg.",
        "Question": "What is the mean arterial pressure in mm Hg?",
        "Ground Truth Answer": "100",
        "Lower Limit": "95",
        "Upper Limit": "105",
    }
    return _question(row, task)
