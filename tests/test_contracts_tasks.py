"""Every task that ships: its example is solvable, a non-answer scores 0, splits share nobody, the prompt has no gold."""

from functools import cache

import pytest

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError, DataError, MedError
from medxiaohe.types import Message, Sample, Score, Task, Trace

NAMES = plugins.available("tasks")
SPLITS = ("train", "validation", "test")
NO_ANSWERS = ["", "   ", "Sorry, I cannot determine this.", "A or B", "yes or no", "unknown", "I am not sure."]


@pytest.fixture(params=NAMES)
def task(request: pytest.FixtureRequest) -> Task:
    return made(request.param)


@cache
def made(name: str) -> Task:
    return plugins.load("tasks", name)()


@cache
def rows(name: str, split: str) -> tuple[Sample, ...]:
    """All samples of a split; the test is skipped where the data is not on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDXIAOHE_OFFLINE", "1")
        try:
            return tuple(made(name).samples(split))
        except MedError as error:
            pytest.skip(f"{name}: {error}")


def scores(task: Task, answer: str, sample: Sample) -> list[Score]:
    trace = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))
    return [scorer(sample, trace) for scorer in task.scorers]


def test_it_says_whose_data_it_is(task: Task) -> None:
    assert task.license and task.access in ("public", "gated", "private") and task.name in NAMES


def test_the_gold_of_its_example_scores_one(task: Task) -> None:
    for answer in (task.gold(task.example), task.example.messages[-1].text):
        assert [(s.value, s.status) for s in scores(task, answer, task.example)] == [(1.0, "judged")] * len(task.scorers)


@pytest.mark.parametrize("answer", NO_ANSWERS)
def test_no_answer_scores_zero_and_is_not_judged(task: Task, answer: str) -> None:
    for score in scores(task, answer, task.example):
        assert score.value == 0.0 and score.status in ("unparsed", "refused") and score.why


def test_its_example_hides_the_gold_in_the_prompt(task: Task) -> None:
    assert task.example.messages[-1].role == "assistant"
    assert all(message.role != "assistant" for message in task.example.prompt.messages)


def test_a_split_that_is_not_there_is_refused(task: Task) -> None:
    with pytest.raises((ConfigError, DataError)):
        list(task.samples("tset"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_samples_are_sound(name: str) -> None:
    task = made(name)
    for split in SPLITS:
        found = rows(name, split)
        assert found and len({sample.id for sample in found}) == len(found)
        for sample in found[:300]:
            assert sample.split == split and sample.source == task.name and sample.license
            assert scores(task, sample.messages[-1].text, sample)[0].value == 1.0, sample.id
            assert scores(task, task.gold(sample), sample)[0].value == 1.0, sample.id


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_patient_study_or_question_is_in_two_splits(name: str) -> None:
    for what in (lambda s: s.patient_id, lambda s: s.study_id, lambda s: s.id, _question):
        units = [{what(sample) for sample in rows(name, split)} - {""} for split in SPLITS]
        assert not units[0] & units[1] and not units[0] & units[2] and not units[1] & units[2]


def _question(sample: Sample) -> str:
    """What is asked: the words and the bytes of the images; "" for pneumonia_mnist, whose file repeats images."""
    if sample.source == "pneumonia_mnist":
        return ""
    return io.fingerprint([sample.prompt.messages[-1].text, [image.sha256 for image in sample.images]])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_order_is_the_same_every_time(name: str) -> None:
    assert [s.id for s in rows(name, "validation")] == [s.id for s in made(name).samples("validation")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chest_xray", "pneumonia_mnist"])
def test_a_limit_gives_a_balanced_sample(name: str) -> None:
    first = [sample.target for sample in rows(name, "test")[:40]]
    assert len({first.count(target) for target in set(first)}) == 1
