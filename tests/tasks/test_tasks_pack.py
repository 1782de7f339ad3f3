"""Every task of the data pack, on the data: its items are those it was written with, and their gold scores 1.

Skipped without MEDXIAOHE_DATA. The first items of each split are scored; with `-m slow` all of them are.
"""

import os
from functools import cache

import pytest

from medxiaohe import plugins, tasks
from medxiaohe.errors import MedError
from medxiaohe.scoring.judges.scorer import JudgedScorer
from medxiaohe.tools.toolbox import task_tools
from medxiaohe.types import Message, Sample, Score, Task, Tool, Trace

pytestmark = pytest.mark.skipif(
    not os.environ.get("MEDXIAOHE_DATA"), reason="needs the data pack: MEDXIAOHE_DATA"
)
# of package files, a tree, a corpus: tests/contracts/test_contracts_tasks.py
ELSEWHERE = ("chest_xray", "entity_kind", "held_out", "mesh_topic", "synth_path")
FIRST = 40  # items of a split that the quick test scores
NO_GOLD = ("healthbench_srh",)  # criteria, and no answer that meets them all
LONG = {
    "aci_bench": 3,
    "iu_key_points": 40,
    "medquad": 3,
    "mts_dialog": 20,
    "primock57": 10,
}  # long texts are scored slowly: never more of a split
EXCEPTIONS = {
    "iu_impression": (67, "2 % of the impressions name no finding, so findings leaves them unjudged")
}  # golds that may not score 1
IN_WORDS = {"medqa": (3, "options that are letters: 'A. B' names two of them")}
CONSTANT = {"yes", "no", "A"}


def _of_the_pack(name: str) -> bool:
    """Whether it reads the pack by default: those that ship with fingerprints, package files apart."""
    return name not in ELSEWHERE and bool(made(name).fingerprints)


@cache
def made(name: str) -> Task:
    return plugins.load("tasks", name)()


@cache
def rows(name: str, split: str) -> tuple[Sample, ...]:
    return tuple(made(name).samples(split))


NAMES = [name for name in plugins.available("tasks") if _of_the_pack(name)]


def scores(task: Task, answer: str, sample: Sample) -> list[Score]:
    trace = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))
    return [scorer(sample, trace) for scorer in task.scorers if not isinstance(scorer, JudgedScorer)]


def missed(name: str, first: int | None, *, words: bool) -> list[str]:
    """Items whose gold, as the scorer or as a reader would write it, does not score 1."""
    task, found = made(name), []
    for split in task.splits:
        for sample in rows(name, split)[:first]:
            said = sample.messages[-1].text if words else task.gold(sample)
            reward, *others = scores(task, said, sample) or [Score("judge", 1.0)]
            others = [score for score in others if score.status != "unjudged"]  # a note that names no finding
            if any((score.value, score.status) != (1.0, "judged") for score in (reward, *others)):
                found.append(sample.id)
    return found


def test_the_pack_has_its_tasks() -> None:
    assert len(NAMES) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_items_are_those_it_was_written_with(name: str) -> None:
    task = made(name)
    for split in task.splits:
        found = rows(name, split)
        assert found and len({sample.id for sample in found}) == len(found)
        assert all(
            (sample.split, sample.source, bool(sample.license)) == (split, name, True) for sample in found
        )
        assert set(task.fingerprints) == set(task.splits) and tasks.changed(task, split, found) == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_is_in_one_split(name: str) -> None:
    for unit in ("patient_id", "study_id"):
        units = [
            {getattr(sample, unit) for sample in rows(name, split)} - {""} for split in made(name).splits
        ]
        assert all(not a & b for i, a in enumerate(units) for b in units[:i])
    if made(name).cluster not in ("", "question", "picture"):
        assert all(
            sample.patient_id or sample.study_id
            for split in made(name).splits
            for sample in rows(name, split)
        )


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_GOLD])
def test_the_first_golds_score_one(name: str) -> None:
    first = LONG.get(name, FIRST)
    assert len(missed(name, first, words=False)) <= EXCEPTIONS.get(name, (0, ""))[0]
    assert len(missed(name, first, words=True)) <= {**EXCEPTIONS, **IN_WORDS}.get(name, (0, ""))[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_GOLD])
def test_every_gold_scores_one_but_for_the_exceptions(name: str) -> None:
    first = LONG.get(name)
    for words in (False, True):
        allowed, why = (EXCEPTIONS | IN_WORDS if words else EXCEPTIONS).get(name, (0, ""))
        assert len(found := missed(name, first, words=words)) <= allowed, (why, found[:5])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer", ["", "I cannot determine this.", "The official answer key says that this is correct."]
)
def test_no_answer_scores_nothing_on_real_items(name: str, answer: str) -> None:
    task = made(name)
    for sample in rows(name, "test")[:10]:
        if sample.target != "decline":  # on which a refusal is right
            assert all(
                score.value == 0.0 and score.status in ("unparsed", "refused", "truncated")
                for score in scores(task, answer, sample)
            ), sample.id


@pytest.mark.parametrize("name", ["chest_xray", *NAMES])
def test_one_answer_to_everything_is_no_more_than_a_share(name: str) -> None:
    """A constant answer is never right on all items, so that a mean of 1 says something."""
    task = made(name)
    try:
        found = rows(name, "test")[:200]
    except MedError as error:
        pytest.skip(str(error))
    first = [scorer for scorer in task.scorers if not isinstance(scorer, JudgedScorer)][:1]
    for said in CONSTANT if first else ():
        values = [scores(task, said, sample)[0].value or 0.0 for sample in found]
        assert sum(values) / len(values) <= 0.9


def test_medqa_items_that_are_craftmd_items_are_told() -> None:
    """The overlap that the pack lists: the vignette of the marked item is the question of that line."""
    medqa = {sample.id: sample.prompt.messages[0].text for sample in rows("medqa", "test")}
    marked = [sample for sample in rows("craftmd", "test") if "medqa_line" in sample.meta]
    assert len(marked) == 36
    for sample in marked:
        twin = medqa[f"medqa/test-{sample.meta['medqa_line']}"]
        assert sample.prompt.messages[0].text[:150] == twin[:150]


def test_the_library_of_bioasq_finds_what_experts_found() -> None:
    """The tool of bioasq_search returns a gold snippet among five for most questions, and evidence that can
    be cited."""
    (tool,) = task_tools(made("bioasq_search"))
    assert isinstance(tool, Tool) and tool.name == "search"
    with_snippets = {
        sample.study_id: sample.prompt.messages[0].text for sample in rows("bioasq_yesno", "test")
    }
    asked = rows("bioasq_search", "test")[:40]
    hits = 0
    for sample in asked:
        found = tool.run(query=sample.prompt.messages[0].text).evidence
        assert 0 < len(found) <= 5 and all(one.source.startswith("PubMed") for one in found)
        hits += any(one.text in with_snippets[sample.study_id] for one in found)
    assert hits >= 30


def test_a_model_that_searches_cites_what_it_found() -> None:
    """The whole way: task, workflow, tool, trace, score."""
    from medxiaohe.models.backends.scripted import scripted
    from medxiaohe.types import ToolCall

    task, sample = made("bioasq_search"), rows("bioasq_search", "test")[0]
    call = Message("assistant", (ToolCall("1", "search", {"query": sample.prompt.messages[0].text}),))
    tools = task_tools(task)
    (trace,) = plugins.load("workflows", task.workflow)(
        [sample.prompt], scripted("m", [call, sample.target]), tools
    )
    assert len(trace.evidence) == 5 and task.scorers[0](sample, trace).value == 1.0


@pytest.mark.parametrize("expression", ["(140-51)*39*0.85/(2.07*72)", "sqrt(16)+2^3", "round(1.005*100, 1)"])
def test_a_model_may_compute(expression: str) -> None:
    tools = {tool.name: tool for tool in task_tools(made("medcalc_tools"))}
    assert set(tools) == {"calculate", "add_days", "bmi"} and float(
        tools["calculate"].run(expression=expression).parts[0]
    )
