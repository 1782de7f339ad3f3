"""Workflow: a doctor model talks with a simulated patient until it states its diagnosis (AgentClinic,
Schmidgall et al. 2024).

The facts of a prompt are {"patient": [{"topic", "text"}], "results": [{"name", "text"}]}; the gold is not
among them, so the other side cannot say it unless the case itself does. Every message of the doctor is one of
three:

    any question                what the patient knows: one or two sentences of the case, or that it is not
                                known
    REQUEST TEST: name, name    findings of examinations and tests, found by their names and never by their
                                content
    FINAL DIAGNOSIS: name       the end

With `by: model` the model of the role `patient` answers from the facts. `consult` is the same talk with
another patient: a function of yours, or `by_model`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, run, workflow
from medxiaohe.errors import DataError
from medxiaohe.retrieval.bm25 import BM25, words
from medxiaohe.types import Evidence, Message, Model, Prompt, Trace

MAX_TURNS = 20
SENTENCES = 2  # of one answer
DONE = re.compile(r"FINAL DIAGNOSIS\s*[:：]\s*\S", re.IGNORECASE)
TEST = re.compile(r"REQUEST TEST\s*[:：]\s*([^\n]+)", re.IGNORECASE)
LAST = "That was the last question. Say FINAL DIAGNOSIS: and the diagnosis."
NOT_KNOWN = "I don't know anything about that."
EXAMPLE = Example(
    "FINAL DIAGNOSIS: scurvy",
    Message("assistant", ("What brings you here?",)),
    {"patient": [{"topic": "history", "text": "My gums bleed."}], "results": []},
)
RULES = (
    "You are a doctor who talks with a patient. In each message do one thing: ask the patient one question;"
    " or write REQUEST TEST: and the name of an examination or test; or, when you are sure, write FINAL"
    " DIAGNOSIS: and one diagnosis (its letter where options are given). You have {turns} messages."
)
PATIENT = (
    "You are a patient at the doctor's. Answer the last question in one or two sentences, only from"
    " these facts; say that you do not know what is not in them. Name no disease of your own"
    " accord."
)
ASKS_ABOUT = {  # words of a question -> words of a topic that hold the answer
    "demographics": "age old sex gender name man woman",
    "social": (
        "smoke smoking tobacco cigarettes alcohol drink drugs job work occupation live living home travel"
        " partner exercise diet"
    ),
    "medication": "medication medications medicine medicines drugs pills tablets taking treatment treated",
    "past": (
        "past previous before history conditions illnesses operations surgery hospitalized chronic allergies"
    ),
    "family": "family mother father parents siblings relatives inherited runs",
    "review": "other else also symptoms noticed fever weight appetite",
    "symptom": "symptoms symptom bothers complaint problem feel feeling brings",
    "history": "start started begin began long when since happened worse better often brings",
}
SAME = {  # short names of tests -> words of their names
    "ecg": "electrocardiogram", "ekg": "electrocardiogram", "cbc": "complete blood count",
    "bp": "blood pressure", "hr": "heart rate",
    "vitals": "vital signs", "xray": "x ray", "cxr": "chest x ray", "bmp": "basic metabolic panel",
    "lfts": "liver function",
    "lft": "liver function", "csf": "cerebrospinal fluid",
    "eeg": "electroencephalogram", "emg": "electromyography", "echo": "echocardiogram",
    "echocardiography": "echocardiogram", "electrocardiography": "electrocardiogram",
    "ultrasonography": "ultrasound",
    "lp": "lumbar puncture", "abg": "arterial blood gas", "ua": "urinalysis", "exam": "examination",
    "labs": "laboratory blood",
}  # fmt: skip
EMPTY = frozenset(
    "a an and any are as at be been can could did do does for from had has have having how i if in is it its"
    " like me more of on or please some tell that the there this to up us was were what when where which who"
    " why with would you your test tests findings results result patient".split()
)

# facts, the talk so far, the question -> what the patient replies
Reply = Callable[[Mapping[str, Any], Sequence[Message], str], str]


@workflow(roles=("patient",))
def patient(
    case: Case, turns: int = MAX_TURNS, by: Literal["rule", "model"] = "rule"
) -> Generator[Any, Any, Answer]:
    """At most `turns` messages of the doctor, the default role; `by` says who answers: sentences of the case,
    or the model of the role `patient`.

    Args:
        case: the item: prompt, tools and images.
        turns: messages of the doctor at most.
        by: who plays the patient: rule or model.

    Returns:
        the answer, with claims where there are some
    """
    return (yield from consultation(case, turns, by_role if by == "model" else _as_generator(by_rule)))


def consult(
    prompts: Sequence[Prompt], model: Model, reply: Reply | ByModel, max_turns: int = MAX_TURNS
) -> list[Trace]:
    """Run the consultation with another patient than the rule-based one.

    Args:
        prompts: with facts of the patient.
        model: the doctor.
        reply: a function of the facts, the messages and the question, or `by_model`.
        max_turns: messages of the doctor at most.

    Returns:
        one trace for each prompt, in order.

    Raises:
        DataError: a prompt has no facts.
    """
    if isinstance(reply, ByModel):
        cast = {"": model, "patient": reply.model}
        return run(patient, prompts, cast, settings={"turns": max_turns, "by": "model"})
    return run(lambda case: consultation(case, max_turns, _as_generator(reply)), prompts, model)


def consultation(case: Case, turns: int, reply: Callable[..., Any]) -> Generator[Any, Any, Answer]:
    """Run one consultation as a flow.

    Args:
        case: the item; its facts have `patient` and `results`.
        turns: messages of the doctor at most.
        reply: a generator function of the facts, the messages and the question.

    Returns:
        the conversation; without a diagnosis, with an error.

    Raises:
        DataError: the prompt has no facts.
    """
    facts, prompt = case.facts, case.prompt
    if not isinstance(facts.get("patient"), (list, tuple)):
        raise DataError(
            f"{prompt.id} has no facts for the workflow patient: it needs facts.patient and facts.results"
        )
    talk = [Message("system", (RULES.format(turns=turns),)), *prompt.messages]
    try:
        for turn in range(1, turns + 1):
            doctor = yield Ask("", tuple(talk))
            talk.append(doctor)
            if DONE.search(doctor.text):
                return Answer(messages=talk)
            if turn < turns:
                requested = TEST.findall(doctor.text)
                heard = (
                    results(facts, requested[-1])
                    if requested
                    else (yield from reply(facts, talk, doctor.text))
                )
                talk.append(Message("user", (heard if turn + 1 < turns else f"{heard}\n{LAST}",)))
    except BudgetSpent as spent:
        return Answer(messages=talk, error=f"no diagnosis: {spent}")
    return Answer(messages=talk, error=f"no diagnosis after {turns} messages")


def _as_generator(reply: Reply) -> Callable[..., Generator[Any, Any, str]]:
    """Wrap a function as a generator function without requests."""

    def replied(*arguments: Any) -> Generator[Any, Any, str]:
        return reply(*arguments)
        yield

    return replied


@dataclass(frozen=True)
class ByModel:
    """A second model that plays the patient."""

    model: Model


def by_model(model: Model) -> ByModel:
    """Let a second model play the patient.

    Args:
        model: it reads the facts of the patient, not the findings of tests and not the diagnosis.
    """
    return ByModel(model)


def by_role(facts: Mapping[str, Any], talk: Sequence[Message], question: str) -> Generator[Any, Any, str]:
    """Ask the model of the role `patient` to answer from the patient's facts.

    Args:
        facts: of the prompt; only those under `patient` are shown.
        talk: messages so far; the roles of doctor and patient are swapped for the model.
        question: not used; it is the last message.

    Returns:
        the reply.
    """
    text = "\n".join(f"{row['topic']}: {row['text']}" for row in facts["patient"])
    swapped = [
        Message("user" if m.role == "assistant" else "assistant", (m.text,))
        for m in talk
        if m.role in ("user", "assistant")
    ][1:]
    reply = yield Ask("patient", (Message("system", (f"{PATIENT}\n\n{text}",)), *swapped))
    return str(reply.text)


def results(facts: Mapping[str, Any], request: str) -> str:
    """Look up findings of examinations and tests by their names.

    Contents are not searched, so a finding cannot be requested by guessing it.

    Args:
        facts: of the prompt.
        request: names, separated by commas, semicolons or "and".

    Returns:
        RESULTS and one line for each finding, or for each name without one.
    """
    lines = []
    for item in filter(None, (part.strip(" .") for part in re.split(r"[,;，；]|\band\b", request))):
        matches = _best([row["name"] for row in facts.get("results", ())], _expanded(item))
        lines += [f"{facts['results'][i]['name']}: {facts['results'][i]['text']}" for i in matches] or [
            f"{item}: no result."
        ]
    return "RESULTS\n" + "\n".join(dict.fromkeys(lines))


def _best(names: Sequence[str], requested: set[str], most: int = 6) -> list[int]:
    """Indices of the names that share most words with the request, in order; [] if none shares a word."""
    # number of shared words of each name
    shares = [len(requested & _expanded(name)) for name in names]
    best = max(shares, default=0)
    return (
        [i for i, n in enumerate(shares) if n == best][:most]
        if best and 2 * best >= min(2, len(requested))
        else []
    )


def _expanded(name: str) -> set[str]:
    plain = words(re.sub(r"x-?ray", "x ray", name.casefold()))
    return {word for item in plain for word in words(SAME.get(item, item)) if word not in EMPTY}


def by_rule(facts: Mapping[str, Any], talk: Sequence[Message], question: str) -> str:
    """Answer a question with sentences of the case, ranked by BM25 on words of the sentence and its topic.

    Args:
        facts: of the prompt.
        talk: messages so far; sentences that were not said yet come first.
        question: of the doctor.

    Returns:
        at most `SENTENCES` sentences, or `NOT_KNOWN`.
    """
    rows = [(row["topic"], sentence) for row in facts["patient"] for sentence in _sentences(row["text"])]
    # one document for each sentence, with words of questions that its topic answers
    library = BM25(
        Evidence(str(i), f"{_words_of(topic)} {topic} {sentence}", "patient")
        for i, (topic, sentence) in enumerate(rows)
    )
    query = " ".join(word for word in words(question) if word not in EMPTY)
    ranked = [rows[int(e.id)][1] for e in library.search([query], len(rows))[0]]
    heard = "\n".join(message.text for message in talk if message.role == "user")
    # do not repeat a sentence unless nothing else fits
    fresh = [sentence for sentence in ranked if sentence not in heard]
    return " ".join((fresh or ranked)[:SENTENCES]) or NOT_KNOWN


def _words_of(topic: str) -> str:
    return " ".join(synonyms for key, synonyms in ASKS_ABOUT.items() if key in topic.casefold())


def _sentences(text: str) -> list[str]:
    return [item for item in re.split(r"(?<=[.!?。！？])\s+", " ".join(text.split())) if item]
