"""MedAgentBench (Jiang et al. 2025), the two kinds of task that need no FHIR server: file a blood pressure,
order a referral.

The model sees the instruction and the schema of the one call, and writes the call and FINISH([]) in one
reply; the body must be the one that instruction and schema fix. The other eight kinds read a patient's record
from the server, which is not part of the data. Half of the published tasks, by hash; all of it is test.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.json_calls import json_calls
from medxiaohe.tasks._common import item, known_split, place
from medxiaohe.types import Sample, Task

LICENSE = "MIT"
FINGERPRINTS = {"test": "008cfe5579cf5695"}
KINDS = {"task3": "POST {api_base}/Observation", "task8": "POST {api_base}/ServiceRequest"}
RULES = (
    "Write the call as POST {api_base}/RESOURCE with its JSON body on the next lines, and then FINISH([]). A"
    " patient is referred to as Patient/MRN, the system of SNOMED CT codes is http://snomed.info/sct, and the"
    " date is now. Fill in only what the instruction, the context and the schema fix: no display names and no"
    " other fields."
)


def medagentbench_orders(path: str = "") -> Task:
    """MedAgentBench orders: file a blood pressure, order a referral, as one FHIR call.

    Args:
        path: folder with medagentbench_tasks.json and medagentbench_funcs.json; "" for
            ${MEDXIAOHE_DATA}/tools.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "medagentbench_orders",
        partial(samples, path),
        (json_calls,),
        example(),
        LICENSE,
        prompt="fhir",
        cluster="patient",
        splits=("test",),
        tags=("text", "english", "tools"),
        gold=lambda sample: sample.messages[-1].text,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: test, the only one.

    Yields:
        One item for each task of kinds 3 and 8, in the order of the file.

    Raises:
        ConfigError: the task has no such split.
        DataError: the files are missing or not of MedAgentBench.
    """
    known_split(split, ("test",))
    folder = place(path, "tools")
    schemas = {schema["name"]: schema for schema in io.read_json(folder / "medagentbench_funcs.json")}
    try:
        for row in io.read_json(folder / "medagentbench_tasks.json"):
            if name := KINDS.get(row["id"].partition("_")[0]):
                yield _question(row, schemas[name])
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder}: not the files of MedAgentBench: {error!r}") from error


def _question(row: Mapping[str, Any], schema: Mapping[str, Any]) -> Sample:
    resource = schema["name"].rpartition("/")[2]
    body = _observation(row) if resource == "Observation" else _referral(row)
    call = {"method": "POST", "url": f"{{api_base}}/{resource}", "body": body}
    text = f"{row['instruction'].strip()}\n{row['context'].strip()}\n\n{json.dumps(schema, ensure_ascii=False)}\n\n{RULES}"  # noqa: E501
    words = f"POST {call['url']}\n{json.dumps(body, ensure_ascii=False)}\nFINISH([])"
    fields = {
        "target": json.dumps({"calls": [call], "answer": []}, ensure_ascii=False),
        "license": LICENSE,
        "split": "test",
    }
    return item(
        f"medagentbench_orders/{row['id']}",
        text,
        words,
        study_id=row["id"],
        patient_id=row["eval_MRN"],
        **fields,
    )


def _observation(row: Mapping[str, Any]) -> dict[str, Any]:
    coding = {
        "system": "http://hl7.org/fhir/observation-category",
        "code": "vital-signs",
        "display": "Vital Signs",
    }
    return {
        "resourceType": "Observation",
        "category": [{"coding": [coding]}],
        "code": {"text": _said(r"flowsheet ID for blood pressure is (\w+)", row["context"])},
        "effectiveDateTime": _now(row),
        "status": "final",
        "valueString": _said(r"\"([^\"]+)\"", row["instruction"]),
        "subject": {"reference": f"Patient/{row['eval_MRN']}"},
    }


def _referral(row: Mapping[str, Any]) -> dict[str, Any]:
    code = _said(r"SNOMED code for .* is (\d+)", row["context"])
    return {
        "resourceType": "ServiceRequest",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
        "authoredOn": _now(row),
        "status": "active",
        "intent": "order",
        "priority": "stat",
        "subject": {"reference": f"Patient/{row['eval_MRN']}"},
        "note": {"text": _said(r"\"([^\"]+)\"", row["instruction"])},
    }


def _now(row: Mapping[str, Any]) -> str:
    return _said(r"It's (\S+) now", row["context"])


def _said(pattern: str, text: str) -> str:
    if not (match := re.search(pattern, text)):
        raise DataError(f"{pattern!r} is not in {text[:120]!r}")
    return match[1]


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    row = {
        "id": "task3_example",
        "instruction": (
            'I just measured the blood pressure for patient with MRN of S1, and it is "120/80 mmHg". Help me'
            " record it."
        ),
        "context": "It's 2023-11-13T10:15:00+00:00 now. The flowsheet ID for blood pressure is BP.",
        "eval_MRN": "S1",
    }
    return _question(row, {"name": KINDS["task3"], "parameters": {}})
