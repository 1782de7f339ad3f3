"""AgentClinic-MedQA (Schmidgall et al. 2024): a doctor model talks with a simulated patient, orders tests,
and says its diagnosis.

The workflow `patient` answers from the facts of the case (agents/patient.py); the diagnosis is not among
them, but a history or a test result may name it, as in the original. Cases were made of MedQA test questions:
a model trained on those has seen them. All of it is test. The diagnosis is compared by name: with `tree`
synonyms of the tree count, without it the spelling. Published results let a language model decide.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.tasks._common import item, known_split, place
from medxiaohe.tasks._names import named
from medxiaohe.types import Sample, Task

LICENSE = "MIT"
FINGERPRINTS = {"test": "54c87ec43f028890"}
RESULTS = ("Physical_Examination_Findings", "Test_Results")


def agentclinic(path: str = "", tree: Path | None = None) -> Task:
    """AgentClinic-MedQA: diagnosis after a dialogue with a simulated patient, compared by name.

    Args:
        path: JSON lines of OSCE_Examination; "" for ${MEDXIAOHE_DATA}/cases/agentclinic_medqa_extended.jsonl.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "agentclinic",
        partial(samples, path),
        (named(tree),),
        example(),
        LICENSE,
        workflow="patient",
        prompt="doctor",
        cluster="case",
        splits=("test",),
        tags=("text", "english", "cases", "dialogue", "agent"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: test, the only one.

    Yields:
        Items with the facts of their case, in an order that depends only on the number of the row.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing, or a row is not a case of AgentClinic.
    """
    known_split(split, ("test",))
    file = place(path, "cases/agentclinic_medqa_extended.jsonl")
    rows = list(io.read_jsonl(file))
    for number in sorted(range(len(rows)), key=lambda i: io.unit_interval("order", "agentclinic", str(i))):
        try:
            yield _question(rows[number]["OSCE_Examination"], f"agentclinic/{number:03d}")
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file}, row {number}: not a case of AgentClinic: {error!r}") from error


def _question(case: Mapping[str, Any], id: str) -> Sample:
    gold = " ".join(case["Correct_Diagnosis"].replace("’", "'").split())
    return item(
        id,
        case["Objective_for_Doctor"].strip(),
        f"FINAL DIAGNOSIS: {gold}",
        target=gold,
        license=LICENSE,
        study_id=id,
        split="test",
        facts=facts(case),
    )


def facts(case: Mapping[str, Any]) -> dict[str, Any]:
    """Extract the facts that the simulated patient answers from.

    Args:
        case: an OSCE_Examination.

    Returns:
        `patient`: texts by topic; `results`: texts by name of examination or test.

    Raises:
        KeyError: the case has no Patient_Actor.
    """
    patient = [
        {"topic": _words(name), "text": " ".join(_leaves(value))}
        for name, value in case["Patient_Actor"].items()
    ]
    results = [
        row
        for result in RESULTS
        for row in _findings(case.get(result) or {}, _words(result) if result == RESULTS[0] else "")
    ]
    return {"patient": [row for row in patient if row["text"]], "results": results}


def _findings(value: Any, name: str) -> Iterator[dict[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _findings(inner, f"{name} {_words(key)}".strip())
    elif text := " ".join(_leaves(value)):
        yield {"name": name, "text": text}


def _leaves(value: Any) -> Iterator[str]:
    """Every text in a nested value, as a sentence."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif text := str(value if value is not None else "").strip():
        yield text if text.endswith((".", "!", "?")) else f"{text}."


def _words(name: str) -> str:
    return name.replace("_", " ").removesuffix(" Findings").strip()


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    case = {
        "Objective_for_Doctor": "Assess and diagnose the patient presenting with thirst and weight loss.",
        "Patient_Actor": {
            "Demographics": "14-year-old boy",
            "History": "He has been thirsty for three weeks. He gets up at night to urinate.",
            "Symptoms": {"Primary_Symptom": "Thirst", "Secondary_Symptoms": ["Weight loss", "Tiredness"]},
            "Past_Medical_History": "None.",
            "Social_History": "Goes to school. Plays football.",
            "Review_of_Systems": "No fever, no cough.",
        },
        "Physical_Examination_Findings": {"Vital_Signs": {"Heart_Rate": "110 bpm"}},
        "Test_Results": {"Blood_Tests": {"Glucose": "420 mg/dL"}, "Urinalysis": {"Ketones": "+++"}},
        "Correct_Diagnosis": "Type 1 diabetes mellitus",
    }
    return _question(case, "agentclinic/example")
