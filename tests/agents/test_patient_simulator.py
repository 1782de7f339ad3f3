"""The workflow `patient`: what a simulated patient says, and that it never says what the case does not."""

import os

import pytest

from medxiaohe import plugins
from medxiaohe.agents import patient as simulator
from medxiaohe.errors import DataError, ModelError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tasks import make
from medxiaohe.types import Message, Prompt, Sample, Trace

FACTS = {
    "patient": [
        {"topic": "Demographics", "text": "35-year-old woman."},
        {
            "topic": "History",
            "text": "She has seen double for a month. It gets worse in the evening. Rest helps.",
        },
        {"topic": "Social History", "text": "Does not smoke. Works as a designer."},
        {"topic": "Past Medical History", "text": "Appendectomy at twelve."},
    ],
    "results": [
        {"name": "Physical Examination Vital Signs Blood Pressure", "text": "125/80 mmHg."},
        {"name": "Physical Examination Vital Signs Heart Rate", "text": "72 bpm."},
        {"name": "Blood Tests Acetylcholine Receptor Antibodies", "text": "Present."},
        {"name": "Imaging Chest CT Findings", "text": "No thymoma."},
    ],
}
NEEDS_PACK = pytest.mark.skipif(
    not os.environ.get("MEDXIAOHE_DATA"), reason="needs the data pack: MEDXIAOHE_DATA"
)


def prompt(facts: dict = FACTS) -> Prompt:
    return Prompt("case/1", (Message("user", ("A patient with double vision.",)),), facts=facts)


def talk(*said: str, facts: dict = FACTS) -> Trace:
    (trace,) = plugins.load("workflows", "patient")([prompt(facts)], scripted("doctor", said), ())
    return trace


def heard(trace: Trace) -> list[str]:
    """What the other side said, in order."""
    return [message.text for message in trace.messages[2:] if message.role == "user"]


def test_a_talk_ends_with_the_diagnosis_and_keeps_every_message() -> None:
    trace = talk(
        "How long have you seen double?",
        "REQUEST TEST: acetylcholine receptor antibodies",
        "FINAL DIAGNOSIS: Myasthenia gravis",
    )
    assert trace.answer == "FINAL DIAGNOSIS: Myasthenia gravis" and trace.error == ""
    assert [message.role for message in trace.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert (
        "a month" in heard(trace)[0]
        and heard(trace)[1] == "RESULTS\nBlood Tests Acetylcholine Receptor Antibodies: Present."
    )


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Do you smoke or drink?", "smoke"),
        ("What do you do for a living?", "designer"),
        ("Have you had any operations before?", "Appendectomy"),
        ("How old are you?", "35-year-old"),
        ("Does rest help?", "Rest helps"),
    ],
)
def test_a_question_is_answered_from_its_part_of_the_case(question: str, answer: str) -> None:
    assert answer in heard(talk(question, "FINAL DIAGNOSIS: x"))[0]


def test_what_the_case_does_not_say_is_not_known() -> None:
    assert heard(talk("Quelle heure?", "FINAL DIAGNOSIS: x")) == [simulator.NOT_KNOWN]


def test_a_question_asked_again_brings_what_was_not_said_yet() -> None:
    first, second = heard(talk("When did it start?", "When did it start?", "FINAL DIAGNOSIS: x"))
    assert first != second


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        ("blood pressure", ["Physical Examination Vital Signs Blood Pressure: 125/80 mmHg."]),
        ("BP", ["Physical Examination Vital Signs Blood Pressure: 125/80 mmHg."]),
        (
            "vitals",
            [
                "Physical Examination Vital Signs Blood Pressure: 125/80 mmHg.",
                "Physical Examination Vital Signs Heart Rate: 72 bpm.",
            ],
        ),
        (
            "Chest CT and MRI of the brain",
            ["Imaging Chest CT Findings: No thymoma.", "MRI of the brain: no result."],
        ),
    ],
)
def test_tests_are_found_by_their_names(wanted: str, lines: list[str]) -> None:
    assert heard(talk(f"REQUEST TEST: {wanted}", "FINAL DIAGNOSIS: x"))[0].split("\n")[1:] == lines


def test_a_finding_is_not_found_by_guessing_what_it_says() -> None:
    facts = {"patient": [], "results": [{"name": "Biopsy", "text": "Hodgkin lymphoma."}]}
    said = heard(
        talk(
            "REQUEST TEST: lymphoma",
            "REQUEST TEST: the Hodgkin lymphoma finding",
            "Is it lymphoma?",
            "FINAL DIAGNOSIS: x",
            facts=facts,
        )
    )
    assert not any("Hodgkin lymphoma." in text for text in said)


def test_nothing_of_the_results_is_said_before_it_is_asked_for() -> None:
    trace = talk(
        *["What is wrong with you?", "Tell me everything.", "Are your antibodies present?"],
        "FINAL DIAGNOSIS: x",
    )
    assert not any(row["text"] in text for row in FACTS["results"] for text in heard(trace))


def test_a_doctor_who_never_decides_is_told_and_then_ends_with_an_error() -> None:
    trace = talk(*["How are you?"] * simulator.MAX_TURNS)
    assert (
        "FINAL DIAGNOSIS" in heard(trace)[-1]
        and trace.error == f"no diagnosis after {simulator.MAX_TURNS} messages"
    )
    assert len([message for message in trace.messages if message.role == "assistant"]) == simulator.MAX_TURNS


def test_many_talks_go_on_side_by_side_and_come_back_in_order() -> None:
    prompts = [Prompt(f"case/{i}", (Message("user", (f"Patient {i}.",)),), facts=FACTS) for i in range(5)]
    asked: list[int] = []

    def doctor(messages):
        asked.append(len(messages))
        number = int(messages[1].text.split()[1][:-1])
        return "FINAL DIAGNOSIS: d" + str(number) if len(messages) > 2 * number + 1 else "Does rest help?"

    traces = simulator.patient(prompts, scripted("doctor", doctor))
    assert [trace.answer for trace in traces] == [f"FINAL DIAGNOSIS: d{i}" for i in range(5)] and [
        t.prompt.id for t in traces
    ] == [p.id for p in prompts]
    assert asked == sorted(asked)  # all open talks are asked in one batch, turn by turn


def test_facts_are_asked_for_and_a_model_that_loses_talks_is_an_error() -> None:
    with pytest.raises(DataError, match=r"facts\.patient"):
        talk("hello", facts={})

    class Short:
        name = "short"

        def reply(self, conversations, tools=()):
            return []

    with pytest.raises(ModelError, match="0 replies to 1"):
        simulator.patient([prompt()], Short())


def test_a_second_model_may_be_the_patient_and_sees_only_what_the_patient_knows() -> None:
    other = scripted("patient", lambda messages: "It started a month ago.")
    doctor = scripted("doctor", ["When did it start?", "FINAL DIAGNOSIS: x"])
    (trace,) = simulator.consult([prompt()], doctor, simulator.by_model(other))
    assert heard(trace) == ["It started a month ago."]
    told = str(other.conversations)
    assert (
        "Appendectomy" in told
        and "Antibodies" not in told
        and other.conversations[0][-1].text == "When did it start?"
    )


@pytest.mark.parametrize("name", ["agentclinic", "craftmd_talk"])
def test_a_perfect_doctor_scores_one_on_the_example(name: str) -> None:
    task = make(name)
    (trace,) = plugins.load("workflows", task.workflow)(
        [task.example.prompt], scripted("doctor", ["How old are you?", task.example.messages[-1].text])
    )
    assert task.scorers[0](task.example, trace).value == 1.0


QUESTIONS = [
    "What brings you here?", "What is your diagnosis?", "What disease do you have?",
    "Tell me about your symptoms.", "Any past illnesses?",
    "Do you take medication?", "Do you smoke?", "REQUEST TEST: vital signs", "REQUEST TEST: diagnosis",
    "REQUEST TEST: correct diagnosis",
]  # fmt: skip


@NEEDS_PACK
@pytest.mark.parametrize("name", ["agentclinic", "craftmd_talk"])
def test_no_case_of_the_pack_says_its_diagnosis_unless_its_facts_do(name: str) -> None:
    """Everything the simulator can say is in the facts; where the facts do not name the diagnosis, no talk
    does."""
    named = 0
    for sample in list(make(name).samples("test"))[:214]:
        gold = (sample.choices["ABCD".index(sample.target)] if sample.choices else sample.target).casefold()
        rows = [*sample.facts["patient"], *sample.facts["results"]]
        said = "\n".join(f"{row.get('name', '')} {row['text']}" for row in rows).casefold()
        named += gold in said
        (trace,) = simulator.patient(
            [sample.prompt], scripted("doctor", [*QUESTIONS, "FINAL DIAGNOSIS: unknown"])
        )
        talked = "\n".join(heard(trace)).casefold()
        assert gold in said or gold not in talked, sample.id
        assert sample.target not in str(sample.facts) or len(sample.target) == 1 or gold in said
        assert all(
            line in text_of(sample) or line.endswith("no result.") or line in (simulator.NOT_KNOWN, "RESULTS")
            for line in parts(trace)
        ), sample.id
    assert named < 60  # 27 of 214 and some vignettes name it, as published


def text_of(sample: Sample) -> str:
    rows = [*sample.facts["patient"], *sample.facts["results"]]
    return "\n".join(
        " ".join(f"{row.get('name', row.get('topic'))}: {row['text']}".split())
        + "\n"
        + " ".join(row["text"].split())
        for row in rows
    )


def parts(trace: Trace) -> list[str]:
    """Lines of results and sentences of answers, one by one."""
    found = []
    for text in heard(trace):
        lines = [" ".join(line.split()) for line in text.split("\n") if line != simulator.LAST]
        found += (
            lines if lines[0] == "RESULTS" else [one for line in lines for one in simulator._sentences(line)]
        )
    return found


def test_no_byte_that_a_model_is_sent_holds_the_gold() -> None:
    """A canary as the gold of every agentic task reaches neither the doctor nor a second model that plays the
    patient."""
    canary = "CANARY-9f3a"
    sample = Sample(
        "x/1",
        (Message("user", ("Find it.",)), Message("assistant", (canary,))),
        target=canary,
        meta={"gold": canary},
        facts=FACTS,
    )
    doctor = scripted(
        "doctor", lambda messages: "What is it?" if len(messages) < 12 else "FINAL DIAGNOSIS: x"
    )
    other = scripted("patient", lambda messages: "I do not know.")
    simulator.consult([sample.prompt], doctor, simulator.by_model(other))
    simulator.patient(
        [sample.prompt],
        scripted("doctor", lambda messages: "What is it?" if len(messages) < 12 else "FINAL DIAGNOSIS: x"),
    )
    assert (
        canary not in str(doctor.conversations)
        and canary not in str(other.conversations)
        and canary not in str(sample.prompt)
    )
