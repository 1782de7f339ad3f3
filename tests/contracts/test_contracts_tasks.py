"""Every task that ships: its example is solvable, a non-answer scores 0, splits share nobody, the prompt has
no gold."""

from functools import cache

import pytest

from medxiaohe import io, plugins, tasks
from medxiaohe.errors import ConfigError, DataError, MedError
from medxiaohe.scoring.judges.scorer import JudgedScorer
from medxiaohe.types import Message, Sample, Score, Scorer, Task, Trace

NAMES = plugins.shipped("tasks")
ONES_HERE = (
    "chest_xray",
    "entity_kind",
    "held_out",
    "mesh_topic",
    "pneumonia_mnist",
    "pubmedqa",
    "rare_disease",
    "vqa_rad",
)
NO_ANSWERS = [
    "",
    "   ",
    "Sorry, I cannot determine this.",
    "A or B",
    "yes or no",
    "unknown",
    "I am not sure.",
]


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
        for scorer, score in zip(task.scorers, scores(task, answer, task.example), strict=True):
            expected = (None, "unjudged") if _needs_a_judge(scorer) else (1.0, "judged")
            assert (score.value, score.status) == expected, score
        names = [score.name for score in scores(task, answer, task.example)]
        assert len(set(names)) == len(names), "two scores of one name cannot be told apart in a table"


@pytest.mark.parametrize("answer", NO_ANSWERS)
def test_no_answer_scores_zero_and_is_not_judged(task: Task, answer: str) -> None:
    for score in scores(task, answer, task.example):
        assert score.value == 0.0 and score.status in ("unparsed", "refused", "truncated") and score.why


def test_its_example_hides_the_gold_in_the_prompt(task: Task) -> None:
    assert task.example.messages[-1].role == "assistant"
    assert all(message.role != "assistant" for message in task.example.prompt.messages)


def test_a_split_that_is_not_there_is_refused(task: Task) -> None:
    with pytest.raises((ConfigError, DataError)):
        list(task.samples("tset"))


def _needs_a_judge(scorer: Scorer) -> bool:
    return isinstance(scorer, JudgedScorer)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_how_it_asks_and_what_it_has(name: str) -> None:
    task = made(name)
    assert (
        tasks.prompt_id(task).partition("@")[2]
        and set(task.splits) <= {"train", "validation", "test"}
        and "test" in task.splits
    )
    assert set(task.fingerprints) <= set(task.splits) and all(
        len(print_) == 16 for print_ in task.fingerprints.values()
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_the_other_side_may_say_does_not_hold_the_gold(name: str) -> None:
    example = made(name).example
    assert example.target.casefold() not in str(example.facts).casefold() or len(example.target) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ONES_HERE)
def test_its_samples_are_sound(name: str) -> None:
    """The tasks of the data pack have a stricter test of their own, tests/tasks/test_tasks_pack.py."""
    task = made(name)
    for split in task.splits:
        found = rows(name, split)
        assert found and len({sample.id for sample in found}) == len(found)
        for sample in found[:300]:
            assert sample.split == split and sample.source == task.name and sample.license
            assert scores(task, sample.messages[-1].text, sample)[0].value == 1.0, sample.id
            assert scores(task, task.gold(sample), sample)[0].value == 1.0, sample.id


@pytest.mark.slow
@pytest.mark.parametrize("name", ONES_HERE)
def test_no_patient_study_or_question_is_in_two_splits(name: str) -> None:
    for what in (lambda s: s.patient_id, lambda s: s.study_id, lambda s: s.id, _question):
        units = [{what(sample) for sample in rows(name, split)} - {""} for split in made(name).splits]
        assert all(not a & b for i, a in enumerate(units) for b in units[:i])


def _question(sample: Sample) -> str:
    """What is asked: the words and the bytes of the images; "" for pneumonia_mnist, whose file repeats
    images."""
    if sample.source == "pneumonia_mnist":
        return ""
    return io.fingerprint([sample.prompt.messages[-1].text, [image.sha256 for image in sample.images]])


@pytest.mark.slow
@pytest.mark.parametrize("name", ONES_HERE)
def test_the_order_is_the_same_every_time(name: str) -> None:
    assert [s.id for s in rows(name, "validation")] == [s.id for s in made(name).samples("validation")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chest_xray", "pneumonia_mnist"])
def test_a_limit_gives_a_balanced_sample(name: str) -> None:
    first = [sample.target for sample in rows(name, "test")[:40]]
    assert len({first.count(target) for target in set(first)}) == 1
